"""Users by the page, words, strategies, materials, settings: what the pages do."""

import base64
import re

from sqlalchemy import insert

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door
from support.flow import with_settings
from ums.core.common.metadata import HELD
from ums.core.identity import operators
from ums.core.tables import meta


async def test_users_are_found_by_reach_and_changed_together(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    people = [
        {"userid": "everywhere", "email": {"all": "a@example.org"}},
        {"userid": "here", "email": {channel.key: "b@example.org"}},
        {"userid": "nowhere"},
    ]
    await door.post("/v1/user/opt", people, await door.access_key())

    async def found(query: str) -> set[str]:
        text = (await visitor.get(f"/users?{query}")).text
        return set(re.findall(r'name="userid" value="(\w+)"', text))

    assert await found("") == {"everywhere", "here", "nowhere"}
    assert await found(f"reach={channel.key}") == {"everywhere", "here"}
    other = await door.channel()
    assert await found(f"reach={other.key}") == {"everywhere"}
    assert await found("reach=-") == {"nowhere"}
    assert (await visitor.get("/users?reach=strange")).status_code == 404
    chosen = {"userid": ["here", "nowhere"], "tag": "vip"}
    await followed(visitor, await visitor.post("/users-chosen", data={**chosen, "doing": "add"}))
    assert await found("tag=vip") == {"here", "nowhere"}
    taken = {"userid": ["here"], "tag": "vip", "doing": "del"}
    await followed(visitor, await visitor.post("/users-chosen", data=taken))
    assert await found("tag=vip") == {"nowhere"}
    nothing = await visitor.post("/users-chosen", data={"userid": ["here"], "doing": "add"})
    assert "Nothing was changed" in await followed(visitor, nothing)
    asked = await visitor.post("/users-chosen", data={"userid": ["nowhere"], "doing": "delete"})
    assert (asked.status_code, "Delete 1 user" in asked.text) == (200, True)
    assert await found("") == {"everywhere", "here", "nowhere"}
    sure = {"userid": ["nowhere"], "doing": "delete", "sure": "1"}
    gone = await visitor.post("/users-chosen", data=sure)
    assert "1 user deleted." in await followed(visitor, gone)
    assert await found("") == {"everywhere", "here"}


async def test_suppressed_addresses_are_shown_and_lifted(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    person = {"userid": "li", "email": {"all": "li@example.org"}}
    await door.post("/v1/user/opt", [person], await door.access_key())
    base = f"/channels/{channel.key}/suppressions"
    assert "No address is suppressed" in (await visitor.get(base)).text
    door.smtp.script["RCPT"] = lambda call: b"550 5.1.1 no <b>such</b> user\r\n"
    body = {"recipients": [{"userid": "li"}], "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    await door.done(msgid, channel)
    shown = (await visitor.get(base)).text
    assert "no &lt;b&gt;such&lt;/b&gt; user" in shown
    assert "Why, and how to lift it" in (await visitor.get("/users/li")).text
    file = (await visitor.get(f"{base}.csv")).text
    assert "li@example.org,no_such_mailbox," in file
    wrong = await visitor.post(base, data={"addresses": "nobody"})
    assert (wrong.status_code, 'id="addresses-error"' in wrong.text) == (400, True)
    await followed(visitor, await visitor.post(base, data={"addresses": "a@x.cn\n b@x.cn \n"}))
    assert "a@x.cn" in (await visitor.get(f"{base}?address=a@X.CN")).text
    assert "is not suppressed" in (await visitor.get(f"{base}?address=c@x.cn")).text
    nothing = await visitor.post(f"{base}/lift", data={})
    assert "Nothing was ticked" in await followed(visitor, nothing)
    lifting = {"address": ["li@example.org", "a@x.cn"]}
    left = await followed(visitor, await visitor.post(f"{base}/lift", data=lifting))
    assert ("b@x.cn" in left, "li@example.org" in left) == (True, False)
    assert "Why, and how to lift it" not in (await visitor.get("/users/li")).text


async def test_settings_are_changed_while_it_runs(door: Door, visit: Visit) -> None:
    visitor, viewer = await visit("administrator"), await visit("viewer")
    with_settings(door.system, sessions=3)
    fields = {"message_days": "90", "file_limit": "30", "ports": "587", "sandbox_keep": ""}
    shown = await followed(visitor, await visitor.post("/settings", data=fields))
    assert re.search(r'name="message_days"[^>]* value="90"', shown)
    assert re.search(r'name="file_limit"[^>]* value="30"', shown)
    own = door.system.settings
    assert (own.message_days, own.file_limit, own.ports) == (90, 30 * 1024 * 1024, "587")
    for data, field in (
        ({"message_days": "soon"}, "message_days"),
        ({"session_messages": "5000"}, "session_messages"),
        ({"file_limit": "1.5"}, "file_limit"),
        ({"ports": "587;25"}, "ports"),
    ):
        wrong = await visitor.post("/settings", data=data)
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (400, True), data
    assert (await viewer.post("/settings", data=fields)).status_code == 403
    assert re.search(r'name="sessions"[^>]* disabled', (await visitor.get("/settings")).text)
    ignored = await visitor.post("/settings", data={"sessions": "9", "message_days": ""})
    await followed(visitor, ignored)
    assert (door.system.settings.sessions, door.system.settings.message_days) == (3, 0)


async def test_a_restored_backup_is_explained_and_confirmed(door: Door, visit: Visit) -> None:
    visitor, viewer = await visit(), await visit("viewer")
    assert "nothing is held" in (await visitor.get("/restored")).text
    async with door.system.database.write() as tx:
        await tx.run(insert(meta), {"name": HELD, "value": "1000"})
    assert "Restored from a backup" in (await viewer.get("/home")).text
    assert "An administrator decides" in (await viewer.get("/restored")).text
    channel = await door.channel()
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    held = (await door.get("/api/restored", await door.api_token())).body
    assert held["backup_at"] == "1970-01-01T00:00:01.000Z"
    assert (await viewer.post("/restored")).status_code == 403
    shown = await visitor.get(f"/messages/{msgid}")
    assert "until an administrator confirms" in shown.text
    assert "nothing is held" in await followed(visitor, await visitor.post("/restored"))
    await door.done(msgid, channel)


async def test_words_of_all_channels_and_of_one(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    base = f"/channels/{channel.key}/words"
    assert "赌博" in await followed(visitor, await visitor.post("/words", data={"word": "赌博"}))
    again = await visitor.post("/words", data={"word": ""})
    assert (again.status_code, 'class="error"' in again.text) == (400, True)
    exempt = await visitor.post(base, data={"word": "赌博", "exempt": "on"})
    shown = await followed(visitor, exempt)
    assert "allowed here" in shown
    (id,) = re.findall(rf"{base}/(\d+)/delete", shown)
    assert "No words yet" in await followed(visitor, await visitor.post(f"{base}/{id}/delete"))


async def test_strategies_are_made_and_switched(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    base = f"/channels/{channel.key}/strategies"
    shown = await followed(visitor, await visitor.post(base, data={"name": "By email"}))
    (id,) = re.findall(rf"{base}/(\d+)", shown)
    assert "usable" in shown
    closed = await visitor.post(f"{base}/{id}", data={"doing": "close"})
    assert "switched off" in await followed(visitor, closed)
    gone = await visitor.post(f"{base}/{id}", data={"doing": "delete"})
    assert "By email" not in await followed(visitor, gone)
    assert (await visitor.post(base, data={"name": ""})).status_code == 400


async def test_materials_are_uploaded_and_ended(door: Door, visit: Visit) -> None:
    visitor = await visit()
    files = {"file": ("<价目表>.pdf", b"%PDF-1.4 x")}
    made = await visitor.post("/materials", files=files, data={"hours": "2", "channel": ""})
    shown = await followed(visitor, made)
    assert "&lt;价目表&gt;.pdf" in shown
    wrong = await visitor.post("/materials", files=files, data={"hours": "9999"})
    assert (wrong.status_code, 'id="hours-error"' in wrong.text) == (400, True)
    assert (await visitor.post("/materials", data={"hours": "2"})).status_code == 400
    (id,) = re.findall(r"/materials/(\d+)/delete", shown)
    assert "Deleted." in await followed(visitor, await visitor.post(f"/materials/{id}/delete"))


async def test_settings_are_shown_without_secrets(door: Door, visit: Visit) -> None:
    with_settings(door.system, secret_key="c2VjcmV0c2VjcmV0", database_url="")
    shown = (await (await visit()).get("/settings")).text
    assert "UMS_STOP_SECONDS" in shown
    assert "c2VjcmV0" not in shown
    assert (await (await visit("operator")).get("/settings")).status_code == 403


async def test_an_operators_channels_are_changed(door: Door, visit: Visit) -> None:
    visitor, bound = await visit(), await visit("operator")
    one, other = await door.channel(), await door.channel()
    path = "/operators/operator1"
    seen = (await bound.get("/channels")).text
    assert one.key in seen
    assert other.key in seen
    fields = {"role": "operator", "disabled": "no", "channels": ["", one.key]}
    shown = await followed(visitor, await visitor.post(path, data=fields))
    assert re.search(rf'value="{one.key}" checked', shown)
    seen = (await bound.get("/channels")).text
    assert one.key in seen
    assert other.key not in seen
    assert (await bound.get(f"/channels/{other.key}")).status_code == 404
    await followed(visitor, await visitor.post(path, data={**fields, "channels": [""]}))
    assert other.key in (await bound.get("/channels")).text
    assert (await visitor.post(path, data={**fields, "channels": ["x"]})).status_code == 404


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_the_console_gets_a_name_and_a_logo(door: Door, visit: Visit) -> None:
    visitor, viewer = await visit(), await visit("viewer")
    assert (await visitor.get("/brand/logo")).status_code == 404
    files = {"logo": ("logo.png", PIXEL)}
    made = await visitor.post("/settings/brand", data={"brand": "<群发>"}, files=files)
    shown = await followed(visitor, made)
    assert "&lt;群发&gt;</a>" in shown
    (address,) = re.findall(r'class="logo" src="([^"]+)"', (await viewer.get("/home")).text)
    picture = await viewer.get(address)
    assert (picture.content, picture.headers["content-type"]) == (PIXEL, "image/png")
    for data, file, field in (
        ({"brand": "x" * 41}, None, "brand"),
        ({"brand": "x"}, b"<svg onload=alert(1)>", "logo"),
        ({"brand": "x"}, PIXEL[:8] + b"0" * 200_000, "logo"),
    ):
        files = {"logo": ("logo.png", file)} if file else {"logo": ("", b"")}
        wrong = await visitor.post("/settings/brand", data=data, files=files)
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (400, True)
    assert (await viewer.post("/settings/brand", data={"brand": "x"})).status_code == 403
    gone = {"brand": "", "remove_logo": "on"}
    shown = await followed(visitor, await visitor.post("/settings/brand", data=gone))
    assert 'class="mark"' in shown
    assert (await visitor.get("/brand/logo")).status_code == 404


async def test_lists_are_sorted(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    for userid in ("b", "a", "c"):
        await door.post("/v1/user/opt", [{"userid": userid}], await door.access_key())
        body = {"recipients": [{"userid": userid}], "subject": f"to {userid}", "text": "t"}
        await door.post("/api/messages", body, channel)

    async def users(query: str) -> list[str]:
        text = (await visitor.get(f"/users?{query}")).text
        return re.findall(r'name="userid" value="(\w+)"', text)

    assert await users("") == ["b", "a", "c"]
    assert await users("sort=-created_at") == ["c", "a", "b"]
    assert await users("sort=userid") == ["a", "b", "c"]
    assert await users("sort=-userid&after=b") == ["a"]
    assert await users("sort=nonsense") == ["b", "a", "c"]
    text = (await visitor.get("/users?sort=userid")).text
    assert 'aria-sort="ascending"><a class="sort" href="?sort=-userid">' in text
    for query, expected in (("", "cab"), ("?sort=accepted_at", "bac")):
        text = (await visitor.get(f"/messages{query}")).text
        assert re.findall(r"to (\w)</a>", text) == list(expected)


async def test_what_governs_a_channel_is_sorted_too(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    admin = await door.api_token()
    await operators.create(door.system, "zhao", "a rather long password")
    base = f"/channels/{channel.key}"
    for name in ("b", "a", "c"):
        await door.post("/api/words", {"word": f"word {name}"}, admin)
        await door.post(f"/api{base}/strategies", {"name": f"rule {name}"}, admin)
    black = {"kind": "block", "name": "black"}
    id = (await door.post(f"/api{base}/lists", black, admin)).body["id"]
    entries = [{"kind": "userid", "value": f"user-{name}"} for name in "bac"]
    await door.post(f"/api{base}/lists/{id}/entries", {"entries": entries}, admin)
    await door.send("PATCH", f"/api{base}/rules", {"approval": True}, admin)
    for name in "bac":
        body = {"recipients": [{"address": "a@example.org"}], "subject": f"mail {name}"}
        await door.post("/api/messages", {**body, "text": "t", "owner": "zhao"}, channel)
    for path, query, found, order in (
        ("/words", "", r"word (\w)</td>", "bac"),
        ("/words", "sort=word", r"word (\w)</td>", "abc"),
        ("/words", "sort=-word", r"word (\w)</td>", "cba"),
        (f"{base}/strategies", "sort=name", r"rule (\w) ", "abc"),
        (f"{base}/strategies", "sort=-created_at", r"rule (\w) ", "cab"),
        (f"{base}/lists/{id}", "", r">user-(\w)</td>", "abc"),
        (f"{base}/lists/{id}", "sort=-value", r">user-(\w)</td>", "cba"),
        ("/approvals", "", r"mail (\w)</a>", "bac"),
        ("/approvals", "sort=-created_at", r"mail (\w)</a>", "cab"),
    ):
        text = (await visitor.get(f"{path}?{query}")).text
        assert re.findall(found, text) == list(order), (path, query)
