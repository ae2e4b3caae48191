"""`ums operator`."""

from pathlib import Path

from cli.conftest import Ums

PASSWORD = "correct horse battery"


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


def test_who_is_bound_to_channels_is_no_administrator_that_is_left(
    ums: Ums, tmp_path: Path
) -> None:
    """As it could not change one who is not bound."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    key = ums("channel", "create", "Shop", "--json").json["channelkey"]
    for name, bound in (("wang", ()), ("zhao", ("--channel", key)), ("qian", ("--channel", key))):
        made = ums("operator", "create", name, "--password-file", str(file), *bound)
        assert made.status == 0
    for change in (("--role", "viewer"), ("--disable",), ("--channel", key)):
        refused = ums("operator", "change", "wang", *change, "--json")
        assert refused.error["reason"] == "last_administrator", change
    for name in ("zhao", "qian"):
        assert ums("operator", "change", name, "--disable").status == 0


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
