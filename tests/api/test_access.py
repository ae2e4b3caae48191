"""Who may call: keys and secrets, their rotation, and how they lie in the database."""

import base64
import os
import stat
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from support.doors import Answer, Basic, Door, OneChannel, open_door
from ums import clock
from ums.config import Settings
from ums.core.channels import channels
from ums.core.common.encryption import KEY_FILE
from ums.core.context import directory
from ums.core.senders import senders
from ums.core.senders.senders import NewSender
from ums.core.tables import channels as rows
from ums.core.tables import metadata

PASSWORD = "sMtP-PaSsWoRd-0123456789"


def likeness(answer: Answer) -> tuple[Any, ...]:
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status, answer.raw, headers


async def test_strangers_cannot_tell_which_keys_exist(
    shared: Door, caller: OneChannel, master: Basic
) -> None:
    closed = await shared.channel()
    await channels.set_open(shared.system, closed.key, open=False)
    wrong: list[Basic] = [
        ("nobody", caller.secret),
        (caller.key, "wrong"),
        (caller.key, ""),
        (caller.key, caller.secret[:-1]),
        (caller.key, caller.secret + "0"),
        (caller.key, caller.secret.upper()),
        (caller.key.upper(), caller.secret),
        (caller.key, master[1]),
        (master[0], caller.secret),
        (master[0], "wrong"),
        (closed.key, "wrong"),
        ("", ""),
    ]
    for path in ("/v1/sent", "/v1/user/opt", "/v1/user/delete"):
        seen = [likeness(await shared.post(path, {}, basic)) for basic in wrong]
        assert seen == [seen[0]] * len(wrong)
        assert seen[0][0] == 401


async def test_the_access_key_cannot_send_or_look(shared: Door, master: Basic) -> None:
    for answer in (
        await shared.post("/v1/sent", {}, master),
        await shared.post("/v1/broadcast", {}, master),
        await shared.get("/api/messages", master),
        await shared.get("/api/messages/x", master),
        await shared.get("/api/messages/x/deliveries", master),
        await shared.get("/api/deliveries/1", master),
    ):
        assert answer.told == (403, 4005, "channel_only")


async def works(door: Door, key: str, secret: str) -> bool:
    answer = await door.get("/api/messages", (key, secret))
    assert answer.status in {200, 401}
    return answer.status == 200


async def rotated(door: Door, key: str, overlap: int = channels.OVERLAP) -> str:
    return str((await channels.rotate(door.system, key, overlap)).mastersecret)


async def test_rotation_with_an_overlap(shared: Door) -> None:
    channel = await shared.channel()
    new = await rotated(shared, channel.key)
    assert new != channel.secret
    assert await works(shared, channel.key, new)
    assert await works(shared, channel.key, channel.secret)
    async with shared.system.database.write() as tx:
        past = update(rows).where(rows.c.key == channel.key)
        await tx.run(past.values(old_secret_until=clock.now()))
        await directory.touch(tx)
    shared.system.directory.forget()
    assert await works(shared, channel.key, new)
    assert not await works(shared, channel.key, channel.secret)


async def test_rotation_without_an_overlap_and_twice(shared: Door) -> None:
    channel = await shared.channel()
    second = await rotated(shared, channel.key, 0)
    assert not await works(shared, channel.key, channel.secret)
    third = await rotated(shared, channel.key)
    assert await works(shared, channel.key, second)
    assert await works(shared, channel.key, third)
    assert not await works(shared, channel.key, channel.secret)


def disguises(secret: str) -> list[bytes]:
    """The secret as it is, and in what one might take for a disguise."""
    plain = secret.encode()
    # Base64 of a text that holds it at any of three places has one of these in it.
    inside = [base64.b64encode(b"_" * n + plain)[4 if n else 0 : -4] for n in range(3)]
    return [
        plain,
        plain[::-1],
        plain.hex().encode(),
        secret.encode("utf-16-le"),
        base64.b32encode(plain).rstrip(b"="),
        *inside,
    ]


async def dump(door: Door) -> bytes:
    """Everything in the database, also as it lies in SQLite's files."""
    texts: list[str] = []
    async with door.system.database.read() as tx:
        for table in metadata.sorted_tables:
            texts += [repr(tuple(row)) for row in await tx.rows(select(table))]
    folder = door.system.settings.data_dir
    files = b"".join(path.read_bytes() for path in sorted(folder.glob("ums.db*")))
    return "\n".join(texts).encode() + files


async def test_no_secret_lies_in_the_database(door: Door) -> None:
    channel = await door.channel()
    key, secret = await door.access_key()
    new = await rotated(door, channel.key)
    given = NewSender(
        code="guarded",
        name="guarded",
        host="smtp.example.org",
        port=465,
        encryption="ssl",
        account="account",
        password=PASSWORD,
        from_address="a@example.org",
    )
    await senders.create(door.system, given)
    assert (await door.post("/v1/sent", {}, (channel.key, new))).status == 400
    assert (await door.post("/v1/user/delete", ["x"], (key, secret))).status == 200
    held = await dump(door)
    for known in (channel.key, key, "smtp.example.org"):
        assert known.encode() in held  # the dump would show them
    for hidden in (channel.secret, new, secret, PASSWORD):
        assert not [form for form in disguises(hidden) if form in held]


async def test_a_sender_s_password_is_never_shown(door: Door) -> None:
    given = {
        "code": "guarded",
        "name": "guarded",
        "host": "smtp.example.org",
        "port": 465,
        "encryption": "ssl",
        "password": PASSWORD,
        "from_address": "a@example.org",
    }
    headers = {"Authorization": f"Bearer {door.token}"}
    for verb, params in (("sender.create", given), ("sender.list", {})):
        answer = await door.post(f"/local/{verb}", params, **headers)
        assert b"smtp.example.org" in answer.raw
        assert PASSWORD.encode() not in answer.raw


async def test_the_key_file_is_its_owner_s_alone(door: Door) -> None:
    path = door.system.settings.data_dir / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_uid == os.geteuid()


async def test_the_key_of_the_settings_goes_before_the_file(settings: Settings) -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    with_key = msgspec.structs.replace(settings, secret_key=key)
    async with open_door(with_key) as door:
        channel = await door.channel()
        assert not (settings.data_dir / KEY_FILE).exists()
    async with open_door(with_key) as door:
        assert await works(door, channel.key, channel.secret)


async def test_with_a_wrong_key_callers_are_told_of_a_fault_of_ours(settings: Settings) -> None:
    async with open_door(settings) as door:
        channel = await door.channel()
        access_key = await door.access_key()
    other = base64.b64encode(os.urandom(32)).decode()
    async with open_door(msgspec.structs.replace(settings, secret_key=other)) as door:
        for who in (channel, access_key):
            answer = await door.post("/v1/user/opt", [], who)
            assert answer.told == (500, 5000, "broken")
            assert "key" not in answer.body["message"].lower()


async def test_a_change_of_another_process_counts_when_the_directory_looks_again(
    shared: Door,
) -> None:
    channel = await shared.channel()
    body = {
        "aud_email": [{"data": ["a@example.org"]}],
        "msg_email": [{"subject": "s", "text": "t"}],
    }
    for open_, status in ((False, 400), (True, 200)):
        async with shared.system.database.write() as tx:
            mine = update(rows).where(rows.c.key == channel.key)
            await tx.run(mine.values(open=open_))
            await directory.touch(tx)
        shared.system.directory.forget()  # stands for the second that passes
        assert (await shared.post("/v1/sent", body, channel)).status == status


@pytest.mark.parametrize("path", ["/v1/sent", "/v1/user/opt", "/v1/retract/x", "/api/messages"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_no_page_of_another_site_uses_a_password_that_a_browser_remembers(
    shared: Door, path: str, site: str
) -> None:
    channel = await shared.channel()
    said = {"Sec-Fetch-Site": site, "Content-Type": "application/json"}
    refused = await shared.ask("POST", path, channel, content=b"{}", headers=said)
    assert refused.told == (403, 4005, "foreign_site")
    for own in ("same-origin", "none"):
        headers = {**said, "Sec-Fetch-Site": own}
        answer = await shared.ask("POST", path, channel, content=b"{}", headers=headers)
        assert answer.body["reason"] != "foreign_site"
    looked = await shared.ask("GET", "/api/messages", channel, headers=said)
    assert looked.status == 200
