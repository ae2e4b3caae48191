"""`ums callback`: an address from its verification to its deletion, and dead batches."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from cli.conftest import Ums
from cli.terminal import Ran, Terminal
from support.receiver import Receiver, receiving_aside
from ums import clock
from ums.config import Settings
from ums.core.tables import callback_batches
from ums.db import open_database

Callback = Callable[..., Ran]


@pytest.fixture
def callback(terminal: Terminal, here: Ums) -> Callback:
    """`ums callback ... --channel 1234` where callbacks may go to this machine."""
    allowed = terminal.also(UMS_CALLBACK_ALLOW="127.0.0.1/32")

    def run(*arguments: str) -> Ran:
        return here(allowed, "callback", *arguments, "--channel", "1234")

    return run


@pytest.fixture
def made(ums: Callable[..., Ran]) -> dict[str, Any]:
    return ums("channel", "create", "Shop", "--key", "1234", "--json").json


@pytest.fixture
def receiver(made: dict[str, Any]) -> Any:
    with receiving_aside("1234", made["mastersecret"]) as receiver:
        yield receiver


def test_the_life_of_an_address(callback: Callback, receiver: Receiver) -> None:
    added = callback("add", "--form", "hosted", receiver.url, "--json").json
    assert added["secret"].startswith("whsec_")
    assert (added["is_default"], added["state"], added["schedule"]) == (True, "verified", "hosted")
    second = callback(
        "add", "--form", "hosted", receiver.url + "?2", "--schedule", "standard", "--json"
    ).json
    listed = callback("list", "--json").json
    assert [row["url"] for row in listed] == [receiver.url, receiver.url + "?2"]
    assert not any("secret" in row for row in listed)
    assert callback("verify", receiver.url, "--json").json["state"] == "verified"
    told = callback("test", str(second["id"]), "--json").json
    assert (told["ok"], told["status"]) == (True, 200)
    assert "default callback address" in callback("delete", receiver.url).complaint
    assert callback("default", str(second["id"]), "--json").json["is_default"]
    rotated = callback("rotate", str(second["id"]), "--json").json
    assert rotated["secret"] != second["secret"]
    assert callback("delete", receiver.url, "--json").json == {"id": added["id"]}
    assert receiver.url + "?2" in callback("list").out


def test_an_address_that_does_not_pass(callback: Callback, receiver: Receiver) -> None:
    receiver.secret = "another"
    assert callback("add", "--form", "hosted", receiver.url).complaint == (
        "url: the address did not pass the check: answered 403."
    )
    assert (
        callback("add", "--form", "hosted", receiver.url, "--json").error["reason"]
        == "callback_unverified"
    )
    assert callback("list", "--json").json == []


def test_a_test_that_fails_says_so(callback: Callback, receiver: Receiver) -> None:
    callback("add", "--form", "hosted", receiver.url)
    receiver.script = [500]
    ran = callback("test", receiver.url)
    assert ran.status == 1
    assert "answered 500" in ran.out


def test_what_is_not_there(callback: Callback, ums: Callable[..., Ran]) -> None:
    assert "no channel" in callback("list").complaint.lower()
    ums("channel", "create", "Shop", "--key", "1234")
    assert callback("verify", "http://x.example/", "--json").error["reason"] == (
        "callback_address_unknown"
    )
    assert callback("replay", "--json").error["reason"] == "callback_replay"
    assert callback("replay", "--batch", "7", "--json").error["reason"] == "callback_batch_unknown"
    assert "--batch" in callback("replay", "--batch", "7", "--first", "1").complaint
    wrong = callback("add", "ftp://x.example/", "--json")
    assert wrong.error["reason"] == "callback_url"


def dead(settings: Settings, address_id: int, count: int) -> None:
    async def put() -> None:
        database = open_database(settings.database_url, settings.data_dir)
        now = clock.now()
        row = {"address_id": address_id, "state": "dead", "size": 1, "tries": 4, "due_at": now}
        row |= {"first_at": now, "last_at": now, "created_at": now, "ended_at": now}
        row |= {"last_status": 500, "last_error": "answered 500"}
        async with database.write() as tx:
            rows = [{**row, "webhook_id": f"ums_{n}"} for n in range(count)]
            await tx.run(insert(callback_batches), rows)
        await database.close()

    asyncio.run(put())


def test_dead_batches(settings: Settings, callback: Callback, receiver: Receiver) -> None:
    address = callback("add", "--form", "hosted", receiver.url, "--json").json
    dead(settings, address["id"], 5)
    page = callback("dead", "--limit", "3", "--json").json
    assert [row["id"] for row in page["items"]] == [1, 2, 3]
    assert page["items"][0]["last_error"] == "answered 500"
    page = callback("dead", "--after", page["next"], "--address", receiver.url, "--json").json
    assert ([row["id"] for row in page["items"]], page["next"]) == ([4, 5], None)
    ran = callback("dead", "--limit", "1")
    assert "more: --after 1" in ran.err
    assert callback("list", "--json").json[0]["dead"] == 5
    assert callback("replay", "--batch", "1", "--json").json == {"batches": 1}
    assert callback("replay", "--first", "2", "--last", "3", "--json").json == {"batches": 2}
    assert callback("replay", "--address", receiver.url, "--json").json == {"batches": 2}
    assert callback("dead", "--json").json["items"] == []
