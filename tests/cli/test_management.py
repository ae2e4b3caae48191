"""Tokens, statistics, imports and operators from the command line."""

from pathlib import Path

import pytest

from cli.conftest import Ums
from cli.test_app import create_sender

PASSWORD = "correct horse battery"


@pytest.fixture
def orders(ums: Ums, tmp_path: Path) -> Ums:
    """With a channel 1234 that has a sender."""
    ums("channel", "create", "Orders", "--key", "1234")
    create_sender(ums, tmp_path, "--channel", "1234")
    return ums


def test_a_token_from_its_making_to_its_end(orders: Ums) -> None:
    made = orders(
        *("token", "create", "ci", "--scope", "stats:read", "--scope", "users:write"),
        *("--channel", "1234", "--days", "30", "--json"),
    ).json
    assert made["token"].startswith("ums_")
    assert (made["scopes"], made["channels"]) == (["stats:read", "users:write"], ["1234"])
    assert made["expires_at"] is not None
    later = orders("token", "create", "later", "--scope", "admin", "--json").json
    listed = orders("token", "list", "--limit", "1", "--json").json
    assert [one["id"] for one in listed["items"]] == [later["id"]]
    assert made["token"] not in orders("token", "list").out
    rest = orders("token", "list", "--after", listed["next"], "--json").json
    assert [(one["name"], one["revoked_at"]) for one in rest["items"]] == [("ci", None)]
    assert orders("token", "revoke", str(made["id"]), "--json").json["revoked_at"] is not None


def test_tokens_that_cannot_be(orders: Ums) -> None:
    wrong = orders("token", "create", "x", "--scope", "everything", "--json")
    assert (wrong.error["code"], wrong.error["reason"]) == (4004, "misfit")
    nowhere = orders("token", "create", "x", "--scope", "admin", "--channel", "5678", "--json")
    assert nowhere.error["reason"] == "channel_unknown"
    never = orders("token", "create", "x", "--scope", "admin", "--days", "-1", "--json")
    assert never.status == 2
    assert orders("token", "revoke", "99", "--json").error["reason"] == "token_unknown"
    assert orders("token", "list", "--json").json["items"] == []


def test_statistics_add_up(orders: Ums) -> None:
    mail = ("--channel", "1234", "--subject", "s", "--text", "t")
    msgid = orders("send", *mail, "--to", "a@b.example", "--json").json["msgid"]
    orders("send", *mail, "--to", "b@b.example", "--to", "c@b.example")
    day = orders("stats", "--json").json
    assert (day["total"]["messages"], day["total"]["target"]) == (2, 3)
    one = orders("stats", "--by", "message", "--message", msgid, "--json").json
    assert [(item["key"], item["target"]) for item in one["items"]] == [(msgid, 1)]
    by_channel = orders("stats", "--channel", "1234", "--by", "channel").out
    assert by_channel.split()[:2] == ["key", "messages"]
    by_day = orders("stats", "--zone", "Asia/Shanghai").out
    assert by_day.split()[:3] == ["key", "(Asia/Shanghai)", "messages"]
    total = orders("stats", "--by", "sender").out.splitlines()[-1].split()
    assert total[:4] == ["total", "2", "3", "3"]  # all are pending: no engine has run yet
    unknown = orders("stats", "--channel", "5678", "--json")
    assert unknown.error["reason"] == "channel_unknown"
    assert orders("stats", "--by", "colour", "--json").error["reason"] == "misfit"
    assert orders("stats", "--since", "yesterday", "--json").error["code"] == 4004


def test_an_import_is_listed_and_taken_back(orders: Ums, tmp_path: Path) -> None:
    sheet = tmp_path / "users.csv"
    sheet.write_text("userid,email\nzhang,zhang@example.cn\nli,li@example.cn\n")
    done = orders("user", "import", str(sheet), "--json").json
    listed = orders("import", "list", "--json").json["items"]
    assert [(one["id"], one["added"], one["state"]) for one in listed] == [(done["id"], 2, "done")]
    assert "users.csv" in orders("import", "list").out
    undone = orders("import", "undo", str(done["id"]), "--json").json
    assert undone["state"] == "undoing"  # until a server runs
    assert orders("import", "undo", "99", "--json").error["reason"] == "import_unknown"


def test_operators_are_listed_and_changed(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    for name in ("wang", "zhao"):
        assert ums("operator", "create", name, "--password-file", str(file)).status == 0
    changed = ums("operator", "change", "zhao", "--role", "viewer", "--disable", "--json").json
    assert (changed["role"], changed["disabled"]) == ("viewer", True)
    listed = ums("operator", "list", "--json").json["items"]
    assert [(one["name"], one["role"], one["disabled"]) for one in listed] == [
        ("wang", "administrator", False),
        ("zhao", "viewer", True),
    ]
    assert ums("operator", "change", "zhao", "--enable", "--json").json["disabled"] is False
    last = ums("operator", "change", "wang", "--role", "viewer", "--json")
    assert last.error["reason"] == "last_administrator"
    nobody = ums("operator", "change", "nobody", "--role", "viewer", "--json")
    assert nobody.error["reason"] == "operator_unknown"


def test_a_password_is_changed_and_nothing_else(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    given = ("--password-file", str(file), "--json")
    ums("operator", "create", "wang", *given)
    made = ums("operator", "create", "zhao", "--role", "viewer", *given).json
    assert (made["role"], made["disabled"]) == ("viewer", False)
    for name in ("zhao", "Zhao"):
        assert ums("operator", "create", name, *given).error["reason"] == "name_taken"
    ums("operator", "change", "zhao", "--disable")
    file.write_text("another of my passwords")
    changed = ums("operator", "password", "zhao", *given).json
    assert (changed["role"], changed["disabled"]) == ("viewer", True)
    assert ums("operator", "password", "nobody", *given).error["reason"] == "operator_unknown"
    for bad, reason in (("short", "short_password"), ("password1234", "common_password")):
        file.write_text(bad)
        assert ums("operator", "password", "wang", *given).error["reason"] == reason


def test_sessions_and_lost_factors(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    ums("operator", "create", "wang", "--password-file", str(file))
    assert ums("operator", "sessions", "wang", "--json").json == []
    assert ums("operator", "end-session", "wang", "--json").json == []
    none = ums("operator", "end-session", "wang", "7", "--json")
    assert none.error["reason"] == "session_unknown"
    shown = ums("operator", "reset-second-factor", "wang", "--json").json
    assert (shown["name"], shown["two_factor"]) == ("wang", False)
    nobody = ums("operator", "sessions", "nobody", "--json")
    assert nobody.error["reason"] == "operator_unknown"
