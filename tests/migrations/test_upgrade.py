"""What a release stored is there in every later version: the contract that 0.2.0 begins.

`releases/` holds the database of each release as SQL text, with a small world in it
(`release.py`). Each is upgraded to the schema of today and read through the application.
"""

from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import select

from migrations.release import FOLDER, KEY, load
from migrations.test_schema import schema_of
from support.doors import OneChannel, open_door, password_is
from ums.config import Settings
from ums.core.audit import audit_proof
from ums.core.maintenance import health_checks, restore_guard
from ums.core.tables import channels, senders, users
from ums.migrations import runner

RELEASES = sorted({path.name.rpartition(".sql")[0].rpartition(".")[0] for path in FOLDER.iterdir()})


def test_there_is_a_release_of_either_kind() -> None:
    assert RELEASES[0] == "0.2.0"
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {f"{one}.{kind}.sql" for one in RELEASES for kind in ("sqlite", "postgresql")}


@pytest.fixture(params=RELEASES)
async def released(empty: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of a database as a release left it."""
    kind = "sqlite" if empty.is_sqlite else "postgresql"
    await load(empty, (FOLDER / f"{request.param}.{kind}.sql").read_text("utf-8"))
    return structs.replace(empty, secret_key=KEY, demo=False)


async def test_it_gets_the_schema_of_today(released: Settings, settings: Settings) -> None:
    async with open_door(released) as door:
        assert await runner.revision(door.system.database) == runner.head()
    assert await schema_of(released) == await schema_of(settings)


async def test_all_that_it_stored_is_there(released: Settings) -> None:
    async with open_door(released) as door:
        token = await door.api_token()

        async def items(path: str) -> list[Any]:
            answer = await door.get(path, token)
            assert answer.status == 200, answer.raw
            return answer.body["items"]

        ((channel,), (sender,), (user,), (message,)) = [
            await items(f"/api/{noun}") for noun in ("channels", "senders", "users", "messages")
        ]
        key = channel["channelkey"]
        assert channel["senders"] == [sender["code"]]
        assert await health_checks.unreadable(door.system) == ([], 3)
        assert user["addresses"] == {"email": {key: [f"a{key}@private.example"]}}
        assert (message["state"], message["subject"]) == ("done", "s")
        (delivery,) = await items(f"/api/messages/{message['msgid']}/deliveries")
        assert (delivery["userid"], delivery["state"]) == (user["userid"], "sent")
        shown = (await door.get(f"/api/deliveries/{delivery['id']}", token)).body
        assert [one["verdict"] for one in shown["attempts"]] == ["sent"]
        for noun in ("templates", "lists", "strategies", "words", "callbacks"):
            assert len(await items(f"/api/channels/{key}/{noun}")) == 1, noun
        for noun in ("segments", "materials", "reply-rules", "tokens"):
            assert await items(f"/api/{noun}"), noun
        assert await items(f"/api/users?search={user['userid'][:5]}") == [user]
        assert await password_is(door.system, f"op{key}", "seven grey herons")
        assert (await audit_proof.verify(door.system)).problem == ""


async def test_it_goes_on_with_its_work(released: Settings) -> None:
    async with open_door(released) as door:
        if released.is_sqlite:  # without the file beside it, it looks like a restored backup
            await restore_guard.confirm(door.system)
        async with door.system.database.read() as tx:
            code = await tx.value(select(senders.c.code))
            user = await tx.value(select(users.c.userid))
            key = await tx.value(select(channels.c.key))
        token = await door.api_token()
        # Its server listens at another port now, and passwords are bound to where they go.
        there = {"port": door.smtp.port, "allow_port": True, "password": "canary"}
        moved = await door.send("PATCH", f"/api/senders/{code}", there, token)
        assert moved.status == 200, moved.raw
        rotated = await door.post(f"/api/channels/{key}/rotate", {}, token)
        owner = OneChannel(key, rotated.body["mastersecret"], code)
        mail = {"aud_userid": [user], "msg_email": [{"subject": "new", "text": "t"}]}
        answer = await door.post("/v1/sent", mail, owner)
        assert answer.status == 200, answer.raw
        assert (await door.done(answer.body["msgid"], owner))["counts"] == {"sent": 1}
        assert len((await door.get("/api/messages", token)).body["items"]) == 2
