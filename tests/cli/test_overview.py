"""Messages and users from the command line, and the state of the installation."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from cli.conftest import Ums, create_sender
from ums import __version__, clock
from ums.config import Settings
from ums.core.common import metadata
from ums.core.maintenance.startup import open_system
from ums.core.tables import senders


@pytest.fixture
def orders(ums: Ums, tmp_path: Path) -> Ums:
    """With the channels 1234 and 5678, which share a sender."""
    for name, key in (("Orders", "1234"), ("News", "5678")):
        ums("channel", "create", name, "--key", key)
    create_sender(ums, tmp_path, "--channel", "1234", "--channel", "5678")
    return ums


def sent(ums: Ums, channel: str, subject: str) -> str:
    mail = ("--subject", subject, "--text", "t", "--to", "a@b.example")
    return ums("send", "--channel", channel, *mail, "--json").json["msgid"]


def listed(ums: Ums, *options: str) -> list[str]:
    found = ums("message", "list", *options, "--json").json
    return [one["msgid"] for one in found["items"]]


def test_messages_are_listed_by_channel_state_and_words(orders: Ums) -> None:
    one, two = sent(orders, "1234", "Invoice of May"), sent(orders, "5678", "Spring sale")
    assert listed(orders) == [two, one]
    assert listed(orders, "--channel", "1234") == [one]
    assert listed(orders, "--subject", "SPRING") == [two]
    assert listed(orders, "--sender", "mail") == [two, one]
    orders("message", "pause", one)
    assert listed(orders, "--state", "paused") == [one]
    assert listed(orders, "--state", "accepted") == [two]
    table = orders("message", "list", "--state", "paused").out.splitlines()
    assert (table[0].split()[0], len(table)) == ("msgid", 2)
    assert "Invoice of May" in table[1]


def test_messages_come_in_pages(orders: Ums) -> None:
    msgids = [sent(orders, "1234", f"No {number}") for number in range(3)]
    first = orders("message", "list", "--limit", "2", "--json").json
    assert [one["msgid"] for one in first["items"]] == msgids[:0:-1]
    assert listed(orders, "--limit", "2", "--after", first["next"]) == msgids[:1]
    assert (
        f"There are more: --after {first['next']}" in orders("message", "list", "--limit", "2").out
    )


def test_what_no_message_can_be_listed_by(orders: Ums) -> None:
    for options, reason in (
        (("--channel", "none"), "channel_unknown"),
        (("--sender", "none"), "sender_unknown"),
        (("--state", "blue"), "misfit"),
        (("--after", "x"), "bad_filter"),
    ):
        assert orders("message", "list", *options, "--json").error["reason"] == reason
    assert orders("message", "list", "--limit", "501").status == 2


@pytest.fixture
def people(orders: Ums, tmp_path: Path) -> Ums:
    sheet = tmp_path / "users.csv"
    sheet.write_text(
        "userid,email,tag,City\nzhang,zhang@a.example,vip,上海\nli,li@b.example,,Lanzhou\n"
        "zhao,zhao@a.example,vip,\n"
    )
    orders("user", "import", str(sheet), "--map", "City=user.city")
    own = tmp_path / "own.csv"
    own.write_text("userid,email\nli,li@shop.example\n")
    orders("user", "import", str(own), "--bind-id", "1234")
    return orders


def found(ums: Ums, *options: str) -> list[str]:
    answer = ums("user", "list", *options, "--json").json
    return [one["userid"] for one in answer["items"]]


def test_users_are_found_by_what_is_known_of_them(people: Ums) -> None:
    everyone = found(people)
    assert sorted(everyone) == ["li", "zhang", "zhao"]
    assert found(people, "--search", "LANZ") == ["li"]
    assert found(people, "--search", "上海") == ["zhang"]
    assert found(people, "--prefix", "zha", "--sort", "-userid") == ["zhao", "zhang"]
    assert found(people, "--address", "li@shop.example") == ["li"]
    assert found(people, "--tag", "vip", "--sort", "userid") == ["zhang", "zhao"]
    assert found(people, "--tag", "vip", "--search", "zhao") == ["zhao"]
    first = people("user", "list", "--limit", "2", "--json").json
    assert found(people, "--after", first["next"]) == everyone[2:]
    table = people("user", "list", "--search", "li@").out
    assert "li@b.example, li@shop.example (1234)" in table


def test_what_no_user_can_be_searched_by(people: Ums) -> None:
    assert people("user", "list", "--segment", "99", "--json").error["reason"] == "segment_unknown"
    assert people("user", "list", "--search", "x" * 101, "--json").error["reason"] == "misfit"
    assert people("user", "list", "--sort", "colour", "--json").error["reason"] == "misfit"


def test_a_user_is_shown(people: Ums) -> None:
    shown = people("user", "show", "li", "--json").json
    assert shown["addresses"]["email"] == {"all": ["li@b.example"], "1234": ["li@shop.example"]}
    assert shown["attributes"] == {"city": "Lanzhou"}
    lines = people("user", "show", "li").out.splitlines()
    assert [line.split()[0] for line in lines][:2] == ["userid", "email"]
    assert people("user", "show", "none", "--json").error["reason"] == "user_unknown"


def test_the_status_of_an_installation(orders: Ums, dialect: str) -> None:
    sent(orders, "1234", "One")
    status = orders("status", "--json").json
    assert status == {
        "server": None,
        "version": __version__,
        "database": {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[dialect],
        "waiting": 1,
        "sent_today": 0,
        "senders_on_hold": {},
        "restored_from": None,
    }
    assert "waiting" in orders("status").out


async def held_back(settings: Settings, *, restored: bool = False, **values: object) -> None:
    async with open_system(settings) as system, system.database.write() as tx:
        await tx.run(update(senders).where(senders.c.code == "mail").values(values))
        if restored:
            await metadata.put_first(tx, metadata.HELD, "0")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"open": False}, "paused"),
        ({"suspended_at": 1}, "suspended until it is confirmed"),
        (
            {"cooldown_until": clock.now() + clock.DAY, "cooldown_reason": "auth_failed"},
            "in a cooldown (auth_failed)",
        ),
        ({"cooldown_until": 1, "cooldown_reason": "auth_failed"}, ""),
        ({"cap_reached_until": clock.now() + clock.DAY}, "has reached a cap"),
    ],
)
def test_the_status_tells_what_is_on_hold(
    orders: Ums, settings: Settings, values: dict[str, object], why: str
) -> None:
    asyncio.run(held_back(settings, **values))
    status = orders("status", "--json").json
    assert status["senders_on_hold"] == ({"mail": why} if why else {})
    assert status["restored_from"] is None


def test_the_status_tells_of_a_restored_backup(orders: Ums, settings: Settings) -> None:
    asyncio.run(held_back(settings, restored=True, suspended_at=1))
    status = orders("status", "--json").json
    assert status["senders_on_hold"] == {"mail": "held until the restored backup is confirmed"}
    assert status["restored_from"] == "1970-01-01T00:00:00.000Z"
