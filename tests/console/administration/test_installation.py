"""Settings that change while UMS runs, a restored backup, and the brand."""

import base64
import re

from sqlalchemy import insert

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door
from support.flow import with_settings
from ums.core.common.metadata import HELD
from ums.core.tables import meta


async def test_settings_are_changed_while_it_runs(door: Door, visit: Visit) -> None:
    visitor, viewer = await visit("administrator"), await visit("viewer")
    with_settings(door.system, smtp_sessions=3)
    fields = {
        "message_retention_days": "90",
        "attachments_limit_bytes": "30",
        "sender_ports": "587",
        "sandbox_keep": "",
    }
    shown = await followed(visitor, await visitor.post("/settings", data=fields))
    assert re.search(r'name="message_retention_days"[^>]* value="90"', shown)
    assert re.search(r'name="attachments_limit_bytes"[^>]* value="30"', shown)
    own = door.system.settings
    assert (own.message_retention_days, own.attachments_limit_bytes, own.sender_ports) == (
        90,
        30 * 1024 * 1024,
        "587",
    )
    for data, field in (
        ({"message_retention_days": "soon"}, "message_retention_days"),
        ({"smtp_session_messages": "5000"}, "smtp_session_messages"),
        ({"attachments_limit_bytes": "1.5"}, "attachments_limit_bytes"),
        ({"sender_ports": "587;25"}, "sender_ports"),
    ):
        wrong = await visitor.post("/settings", data=data)
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (400, True), data
    assert (await viewer.post("/settings", data=fields)).status_code == 403
    assert re.search(r'name="smtp_sessions"[^>]* disabled', (await visitor.get("/settings")).text)
    ignored = await visitor.post(
        "/settings", data={"smtp_sessions": "9", "message_retention_days": ""}
    )
    await followed(visitor, ignored)
    assert (door.system.settings.smtp_sessions, door.system.settings.message_retention_days) == (
        3,
        0,
    )


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


async def test_settings_are_shown_without_secrets(door: Door, visit: Visit) -> None:
    with_settings(door.system, secret_key="c2VjcmV0c2VjcmV0", database_url="")
    shown = (await (await visit()).get("/settings")).text
    assert "UMS_SHUTDOWN_SECONDS" in shown
    assert "c2VjcmV0" not in shown
    assert (await (await visit("operator")).get("/settings")).status_code == 403


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
