"""A UMS with something on every page, as an operator would have it after a morning's work."""

import re
from io import BytesIO
from typing import Any

import httpx
import xlsxwriter
from sqlalchemy import insert

from console.conftest import settled
from support.doors import Door, OneChannel
from ums import clock
from ums.core.senders import webhook_senders
from ums.core.senders.webhook_senders import NewWebhookSender
from ums.core.tables import callback_addresses

PEOPLE = ("zhangsan 张三", "lisi 李四", "wangwu 王五", "zhaoliu 赵六", "anna Anna", "ben Ben")
MAIL = """<h1 style="color:#1a5fb4">您好 {{ name }}</h1>
<p>本周精选已更新 — this week's picks are here.</p>
<p><a href="https://example.com/picks">查看 / Read on</a></p>"""


async def furnish(door: Door, visitor: httpx.AsyncClient) -> dict[str, str]:
    """The pages there are, each by its name."""
    channel = await _channel(door, visitor)
    template = await _template(visitor, channel.key)
    await _people(door)
    listed = await _rules(visitor, channel.key)
    failed = await _messages(door, channel)
    draft, done = await _imports(visitor)
    kept = await _draft(visitor, channel.key, template)
    shown = await _settings(visitor)
    await _webhook(door)
    base = f"/channels/{channel.key}"
    return {
        "home": "/home",
        "send": f"/send/{kept}",
        "send-new": "/send",
        "check": f"/send/{kept}/check",
        "messages": "/messages",
        "message": f"/messages/{failed['msgid']}",
        "delivery": f"/deliveries/{failed['delivery']}",
        "templates": f"/templates?channel={channel.key}",
        "template": f"{base}/templates/{template}?userid=zhangsan",
        "template-edit": f"{base}/templates/{template}/edit",
        "template-new": f"{base}/templates/new",
        "approvals": "/approvals",
        "statistics": "/statistics",
        "users": "/users",
        "user": "/users/zhangsan",
        "user-edit": "/users/zhangsan/edit",
        "user-new": "/users/new",
        "uploads": "/imports",
        "upload": f"/imports/{draft}",
        "dry-run": f"/imports/{draft}/dry-run",
        "import": f"/imports/{done}",
        "segments": "/segments",
        "segment": "/segments/1",
        "segment-new": "/segments/new",
        "channels": "/channels",
        "channel": base,
        "channel-new": "/channels/new",
        "rules": f"{base}/rules",
        "callbacks": f"{base}/callbacks",
        "callback": f"{base}/callbacks/{await _told(door, channel)}",
        "lists": f"{base}/lists",
        "channel-words": f"{base}/words",
        "strategies": f"{base}/strategies",
        "materials": "/materials",
        "words": "/words",
        "settings": "/settings",
        "list": listed,
        "restored": "/restored",
        "suppressions": f"{base}/suppressions",
        "replies": "/replies",
        "senders": "/senders",
        "sender": f"/senders/{channel.sender}",
        "sender-caps": f"/senders/{channel.sender}/caps",
        "sender-warm-up": f"/senders/{channel.sender}/warm-up",
        "sender-mailbox": f"/senders/{channel.sender}/mailbox",
        "sender-edit": f"/senders/{channel.sender}/edit",
        "provider": "/senders/new",
        "sender-new": "/senders/new?preset=qq",
        "webhook-sender": "/senders/hook",
        "webhook-sender-edit": "/webhook-senders/hook/edit",
        "webhook-sender-new": "/webhook-senders/new",
        "operators": "/operators",
        "operator": "/operators/administrator0",
        "tokens": "/tokens",
        "shown-once": shown,
        "audit": "/audit",
        "account": "/account",
        "password": "/account/password",
        "two-factor": "/account/two-factor",
        "confirm": "/account/confirm",
        "help": "/help",
        "about": "/about",
        "sandbox": "/sandbox",
        "api": "/api/docs",
    }


async def _channel(door: Door, visitor: httpx.AsyncClient) -> OneChannel:
    channel = await door.channel("news2026")
    await _post(visitor, "/channels/news2026", {"name": "资讯 News"}, may_fail=True)
    return channel


async def _webhook(door: Door) -> None:
    given = NewWebhookSender(
        code="hook", name="企业微信 Bot", url="https://bot.example.com/ums", password="token"
    )
    await webhook_senders.create(door.system, given)


async def _told(door: Door, channel: OneChannel) -> int:
    """A callback address, as if it had passed its check."""
    door.system.directory.forget()
    id, now = (await door.system.directory.now()).channels[channel.key].id, clock.now()
    row = {"channel_id": id, "url": "https://news.example/told", "is_default": True}
    row |= {"schedule": "hosted", "username": "ums", "secret": "", "state": "verified"}
    made = insert(callback_addresses).returning(callback_addresses.c.id)
    async with door.system.database.write() as tx:
        return int(await tx.value(made, {**row, "state_changed_at": now, "created_at": now}))


async def _post(
    visitor: httpx.AsyncClient, path: str, data: dict[str, Any], *, may_fail: bool = False
) -> str:
    answer = await visitor.post(path, data=data)
    assert may_fail or answer.status_code in (200, 303), answer.text
    return answer.headers.get("location", "")


async def _template(visitor: httpx.AsyncClient, key: str) -> str:
    base = f"/channels/{key}/templates"
    fields = {"name": "周刊 Weekly", "subject": "{{ name }}，本周精选", "kind": "html"}
    where = await _post(visitor, base, {**fields, "html": MAIL, "defaults": '{"name": "朋友"}'})
    path = where.partition("?")[0]
    await _post(
        visitor, path, {**fields, "html": MAIL + "<p>再见</p>", "defaults": '{"name": "朋友"}'}
    )
    return path.rsplit("/", 1)[1]


async def _people(door: Door) -> None:
    people = [
        {
            "userid": userid,
            "attributes": {"name": name, "age": 20 + number},
            "email": {"all": f"{userid}@example.{'cn' if number < 4 else 'org'}"},
            "tag": {"all": ["vip"] if number % 2 else ["vip", "beta"]},
        }
        for number, (userid, name) in enumerate(one.split() for one in PEOPLE)
    ]
    await door.post("/v1/user/opt", people, await door.access_key())


async def _rules(visitor: httpx.AsyncClient, key: str) -> str:
    base = f"/channels/{key}"
    where = await _post(visitor, f"{base}/lists", {"kind": "block", "name": "退订 Unsubscribed"})
    path = where.partition("?")[0]
    if not re.search(r"/lists/\d+$", path):
        found = re.search(rf"{base}/lists/\d+", (await visitor.get(f"{base}/lists")).text)
        assert found is not None
        path = found[0]
    await _post(visitor, path, {"entries": "gone@example.org\nlisi"}, may_fail=True)
    conditions = '{"tag": {"any": ["vip"]}}'
    for text in (conditions, '{"attribute": {"name": "age", "op": "ge", "value": 21}}'):
        await _post(
            visitor, "/segments", {"name": "成年 Adults", "conditions": text}, may_fail=True
        )
    return path


async def _messages(door: Door, channel: OneChannel) -> dict[str, str]:
    door.smtp.script["RCPT"] = lambda call: (
        b"550 5.1.1 no such user here\r\n" if "example.org" in call.line else None
    )
    everyone = [{"userid": one.split()[0]} for one in PEOPLE]
    nobody = [{"userid": "nobody"}, {"address": "visitor@example.com"}]
    body = {"recipients": [*everyone, *nobody], "subject": "本周精选 Weekly picks", "html": MAIL}
    sent = await door.post("/api/messages", {**body, "html": "<p>你好</p>"}, channel)
    msgid = sent.body["msgid"]
    await door.done(msgid, channel)
    items = (await door.get(f"/api/messages/{msgid}/deliveries", channel)).body["items"]
    failed = next(one for one in items if one["state"] == "failed")
    return {"msgid": msgid, "delivery": str(failed["id"])}


async def _imports(visitor: httpx.AsyncClient) -> tuple[str, str]:
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        for name in ("一月", "二月"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["userid", "邮箱", "备注"])
            for number in range(1, 9):
                address = f"user{number}@example.cn" if number % 4 else "not an address"
                sheet.write_row(number, 0, [f"user{number}", address, ""])
    ids: list[str] = []
    for name in ("会员.xlsx", "members.xlsx"):
        files = {"file": (name, file.getvalue())}
        made = await visitor.post("/imports", files=files, data={"bind_id": "all"})
        ids.append(made.headers["location"].rsplit("/", 1)[1])
    await _post(visitor, f"/imports/{ids[0]}", {"column": ["userid", "email", ""], "start": "1"})

    async def over() -> bool:
        return "/rejects" in (await visitor.get(f"/imports/{ids[0]}")).text

    await settled(over)
    return ids[1], ids[0]


async def _draft(visitor: httpx.AsyncClient, key: str, template: str) -> str:
    fields = {"channel": key, "to": "people", "people": "zhangsan\nlisi\nnobody"}
    fields |= {"with": "template", "template": template, "priority": "2"}
    where = await _post(visitor, "/send", fields)
    return where.split("/")[2]


async def _settings(visitor: httpx.AsyncClient) -> str:
    """The page that shows a token once."""
    shown = await _post(visitor, "/tokens", {"name": "报表 Reports", "scopes": ["stats:read"]})
    await _post(visitor, "/words", {"word": "赌博"})
    await _post(visitor, "/channels/news2026/words", {"word": "赌博", "exempt": "on"})
    await _post(visitor, "/channels/news2026/strategies", {"name": "邮件 By email"})
    files = {"file": ("价目表.pdf", b"%PDF-1.4")}
    answer = await visitor.post("/materials", files=files, data={"hours": "24"})
    assert answer.status_code == 303
    await _post(visitor, "/operators/invite", {"role": "viewer"})
    return shown
