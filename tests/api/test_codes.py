"""Every code of ums-spec 3.2 that email alone can bring about, each by a request that does."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.doors import Answer, Basic, Door
from support.ruling import rule
from ums.core.channels import channels, content_filter
from ums.core.context.channel_policy import QuietHours
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.errors import CODES, Broken, UmsError

MAIL = [{"subject": "s", "text": "t"}]
TO = [{"data": ["a@example.com"]}]


def request(**more: Any) -> dict[str, Any]:
    return {"aud_email": TO, "msg_email": MAIL, **more}


async def sent(door: Door, **more: Any) -> Answer:
    return await door.post("/v1/sent", request(**more), await door.channel())


async def _success(door: Door) -> Answer:
    return await sent(door)


async def _illegal(door: Door) -> Answer:
    return await sent(door, msg_email=None)


async def _stranger(door: Door) -> Answer:
    return await door.post("/v1/sent", request(), ("nobody", "x"))


async def _without_the_right(door: Door) -> Answer:
    return await door.post("/v1/user/delete", ["u"], await door.channel())


async def _defect(door: Door) -> Answer:
    async def broken(*_: object) -> Basic:
        raise RuntimeError("a defect")

    channel = await door.channel()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ums.api.authentication.authenticate", broken)
        return await door.post("/v1/sent", request(), channel)


async def _too_many_userids(door: Door) -> Answer:
    return await sent(door, aud_email=None, aud_userid=[f"u{n}" for n in range(1001)])


async def _closed(door: Door) -> Answer:
    channel = await door.channel()
    await channels.set_open(door.system, channel.key, open=False)
    return await door.post("/v1/sent", request(), channel)


def _other_type(kind: str) -> Callable[[Door], Awaitable[Answer]]:
    async def ask(door: Door) -> Answer:
        return await sent(door, **{f"msg_{kind}": {}})

    return ask


async def _no_sender(door: Door) -> Answer:
    return await door.post("/v1/sent", request(), await door.channel(sender=False))


async def _unknown_strategy(door: Door) -> Answer:
    return await sent(door, aud_email=None, aud_userid=["u"], rule_id=7)


async def _too_often(door: Door) -> Answer:
    channel = await door.channel(limit=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door.system.rates, "_now", lambda: 0.0)  # however slow the machine is
        await door.post("/v1/sent", request(), channel)
        return await door.post("/v1/sent", request(), channel)


async def _unknown_blocklist(door: Door) -> Answer:
    return await sent(door, option={"black_id": 999})


async def _both_lists(door: Door) -> Answer:
    return await sent(door, option={"black_id": 1, "white_id": 1})


async def _ruled(door: Door, path: str = "/v1/sent", **rules: Any) -> Answer:
    channel = await door.channel()
    await rule(door.system, channel.key, requests_per_second=0, **rules)
    body = request() if path == "/v1/sent" else {"msg_email": MAIL}
    await door.post(path, body, channel)
    return await door.post(path, body, channel)


async def _no_owner(door: Door) -> Answer:
    return await _ruled(door, approval=True)


async def _too_many_broadcasts(door: Door) -> Answer:
    return await _ruled(door, "/v1/broadcast", broadcasts_per_day=1)


async def _quiet(door: Door) -> Answer:
    # Two windows' worth of a day: whenever this runs, it is in one that ends a minute before.
    now = datetime.now(UTC)
    end = now - timedelta(minutes=2)
    quiet = QuietHours(f"{now:%H:%M}", f"{end:%H:%M}", "refuse")
    return await _ruled(door, quiet_hours=quiet)


async def _word(door: Door) -> Answer:
    await content_filter.add(door.system, "unspeakableword")
    return await sent(door, msg_email=[{"subject": "s", "text": "an UnspeakableWord"}])


async def _retracted_twice(door: Door) -> Answer:
    channel = await door.channel()
    msgid = (await door.post("/v1/sent", request(), channel)).body["msgid"]
    await door.post(f"/v1/retract/{msgid}", {}, channel)
    return await door.post(f"/v1/retract/{msgid}", {}, channel)


async def _unknown_template(door: Door) -> Answer:
    body = {"aud_email": TO, "template_id": 999_999}
    return await door.post("/v1/template/sent", body, await door.channel())


async def _template_with_content(door: Door) -> Answer:
    body = request(template_id=1)
    return await door.post("/v1/template/sent", body, await door.channel())


async def _closed_template(door: Door) -> Answer:
    made = await door.channel()
    channel = (await door.system.directory.now()).channels[made.key]
    template = await store.create(door.system, channel, "t", Sources(subject="s", text="t"))
    await store.set_open(door.system, channel, template.id, open=False)
    body = {"aud_email": TO, "template_id": template.id}
    return await door.post("/v1/template/sent", body, made)


TABLE: dict[str, tuple[int, int, Callable[[Door], Awaitable[Answer]]]] = {
    "success": (200, 0, _success),
    "illegal": (400, 4004, _illegal),
    "stranger": (401, 4005, _stranger),
    "without the right": (403, 4005, _without_the_right),
    "a defect": (500, 5000, _defect),
    "too many userids": (400, 1015004, _too_many_userids),
    "closed": (400, 1015005, _closed),
    "app": (400, 1015006, _other_type("app")),
    "sms": (400, 1015007, _other_type("sms")),
    "wechatoa": (400, 1015008, _other_type("wechatoa")),
    "wechatmp": (400, 1015009, _other_type("wechatmp")),
    "no email sender": (400, 1015010, _no_sender),
    "alipay_life": (400, 1015011, _other_type("alipay_life")),
    "dingtalk_cc": (400, 1015012, _other_type("dingtalk_cc")),
    "unknown strategy": (400, 1015026, _unknown_strategy),
    "too often": (429, 1015030, _too_often),
    "unknown blocklist": (400, 1015046, _unknown_blocklist),
    "both lists": (400, 1015097, _both_lists),
    "no owner": (400, 1015023, _no_owner),
    "quota": (400, 1015029, _too_many_broadcasts),
    "unknown template": (400, 1015031, _unknown_template),
    "word": (400, 1015034, _word),
    "quiet hours": (400, 1015038, _quiet),
    "retracted": (400, 1015055, _retracted_twice),
    "closed template": (400, 1015073, _closed_template),
    "template and content": (400, 1015094, _template_with_content),
}
NEVER = {
    1015025: "the licence of a channel",
    1015074: "blocklists are free",
    1015075: "allowlists are free",
    1015084: "App",
    1015085: "App",
    1015095: "SMS",
}


@pytest.mark.parametrize("name", TABLE)
async def test_it_occurs(shared: Door, name: str) -> None:
    status, code, ask = TABLE[name]
    answer = await ask(shared)
    assert (answer.status, answer.code) == (status, code)
    assert answer.body["message"]
    assert answer.headers["content-type"] == "application/json"


async def test_no_code_is_promised_that_never_comes() -> None:
    assert not set(NEVER) & set(CODES.values())
    assert Broken.code == UmsError.code == 5000
