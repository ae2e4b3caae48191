"""Every command, with the names that programs read, on both databases."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from cli.conftest import ACCOUNT, Ums, create_sender
from cli.terminal import Terminal
from ums.config import Settings
from ums.core.deliveries import queue
from ums.core.imports import runner
from ums.core.maintenance.startup import open_system
from ums.migrations.runner import head

SECRET = re.compile(r"[0-9a-f]{24}")


def test_a_channel_from_its_making_to_its_closing(ums: Ums) -> None:
    made = ums("channel", "create", "Orders", "--key", "1234", "--json").json
    assert (made["name"], made["channelkey"], made["open"]) == ("Orders", "1234", True)
    assert SECRET.fullmatch(made["mastersecret"])
    rotated = ums("channel", "rotate", "1234", "--overlap-hours", "1", "--json").json
    assert SECRET.fullmatch(rotated["mastersecret"])
    assert rotated["mastersecret"] != made["mastersecret"]
    assert ums("channel", "close", "1234", "--json").json["open"] is False
    assert ums("channel", "list", "--json").json[0] == {
        **{name: made[name] for name in made if name != "mastersecret"},
        "open": False,
    }
    assert ums("channel", "open", "1234", "--json").json["open"] is True


def test_a_chosen_key_is_optional_and_its_refusal_is_told(ums: Ums) -> None:
    assert SECRET.fullmatch(ums("channel", "create", "One", "--json").json["channelkey"])
    table = ums("channel", "create", "East", "--key", "east", "--zone", "Asia/Shanghai").out
    assert "created_at (UTC)" in table
    assert ums("channel", "rules", "east", "--json").json["zone"] == "Asia/Shanghai"
    wrong = ums("channel", "create", "Moon", "--zone", "Moon/Base", "--json").error
    assert wrong["reason"] == "bad_rule"
    assert ums("channel", "create", "One").complaint == "The name One is taken."
    refused = ums("channel", "create", "Two", "--key", "all", "--json").error
    assert (refused["code"], refused["reason"]) == (4004, "key_shape")


def test_an_access_key(ums: Ums) -> None:
    made = ums("accesskey", "create", "--json").json
    assert set(made) == {"accesskey", "mastersecret"}
    assert SECRET.fullmatch(made["accesskey"])


def test_a_sender(ums: Ums, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    made = create_sender(ums, tmp_path, "--channel", "1234", "--json")
    assert made.json["channels"] == ["1234"]
    assert (made.json["from_name"], made.json["from_address"]) == ("Ums 张", "ums@example.com")
    listed = ums("sender", "list", "--json")
    assert [sender["code"] for sender in listed.json] == ["mail"]
    assert "canary-password" not in made.out + listed.out + ums("sender", "list").out
    ums("channel", "create", "Other", "--key", "5678")
    shown = ums("sender", "authorise", "mail", "--channel", "5678", "--default", "--json").json
    assert shown["channels"] == ["1234", "5678"]


def test_a_port_needs_approval(ums: Ums, tmp_path: Path) -> None:
    refused = create_sender(ums, tmp_path, port="2600").complaint
    assert "approval" in refused
    assert "--" not in refused  # the same words stand on a page
    assert create_sender(ums, tmp_path, "--allow-port", "--json", port="2600").json["port"] == 2600


def test_a_sender_that_moves_needs_its_password_again(ums: Ums, tmp_path: Path) -> None:
    create_sender(ums, tmp_path)
    moved = ("--code", "mail", "--port", "25", "--encryption", "ssl", *ACCOUNT, "--change")
    refused = ums("sender", "create", *moved, "--account", "ums@example.com", "--json").error
    assert refused["reason"] == "password_again"


def test_an_account_without_a_password_is_refused(ums: Ums) -> None:
    options = ("--code", "mail", "--port", "25", "--encryption", "none", *ACCOUNT)
    refused = ums("sender", "create", *options, "--account", "a")
    assert "--password-file" in refused.complaint
    assert ums("sender", "create", *options, "--json").json["account"] == ""


def test_a_password_file_that_is_not_there(ums: Ums, tmp_path: Path) -> None:
    options = ("--code", "mail", "--port", "25", "--encryption", "none", *ACCOUNT)
    gone = tmp_path / "gone"
    refused = ums("sender", "create", *options, "--account", "a", "--password-file", str(gone))
    assert refused.complaint == f"{gone}: No such file or directory"
    gone.write_bytes(b"\xff\xfe")
    refused = ums("sender", "create", *options, "--account", "a", "--password-file", str(gone))
    assert refused.complaint == f"{gone}: not a text file"


def test_a_message_is_accepted_and_shown(ums: Ums, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    create_sender(ums, tmp_path, "--channel", "1234")
    body = (
        "--channel",
        "1234",
        "--subject",
        "Hello [bold]",
        "--text",
        "你好",
        "--to",
        "a@b.example",
    )
    sent = ums("send", *body, "--key", "once", "--json").json
    assert ums("send", *body, "--key", "once", "--json").json == sent
    shown = ums("message", "show", sent["msgid"], "--json").json
    assert (shown["msgid"], shown["channelkey"]) == (sent["msgid"], "1234")
    assert shown["audience"] == sum(shown["counts"].values()) == 1
    with_deliveries = ums("message", "show", sent["msgid"], "--deliveries", "--json").json
    assert with_deliveries["deliveries"] == []  # no engine has expanded it yet
    assert "Hello [bold]" in ums("message", "show", sent["msgid"], "--deliveries").out


def test_a_message_names_a_list(ums: Ums, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    create_sender(ums, tmp_path, "--channel", "1234")
    made = ums("blocklist", "create", "no", "--channel", "1234", "--json").json
    body = ("--channel", "1234", "--subject", "s", "--text", "t", "--to", "a@b.example", "--json")
    assert ums("send", *body, "--block-list", str(made["id"])).json["msgid"]
    assert ums("send", *body, "--allow-list", "99").error["reason"] == "allowlist_unknown"
    both = ums("send", *body, "--block-list", "1", "--allow-list", "1")
    assert both.error["code"] == 1015097


def test_what_cannot_be_sent_is_refused_as_the_api_does(ums: Ums, tmp_path: Path) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    body = ("--channel", "1234", "--subject", "s", "--to", "a@b.example")
    assert ums("send", *body, "--text", "t", "--json").error["code"] == 1015010
    assert ums("send", *body).complaint == "give --text or --text-file"
    refused = ums("send", *body, "--text-file", str(tmp_path / "gone"))
    assert refused.complaint == f"{tmp_path / 'gone'}: No such file or directory"
    ums("channel", "close", "1234")
    assert ums("send", *body, "--text", "t", "--json").error["reason"] == "channel_closed"


def test_no_backup_was_restored(ums: Ums) -> None:
    assert ums("restored", "show", "--json").json == {
        "backup_at": None,
        "waiting": 0,
        "messages": [],
    }
    assert ums("restored", "confirm", "--json").json == {
        "backup_at": None,
        "waiting": 0,
        "messages": [],
    }


def test_unknown_things(ums: Ums) -> None:
    assert ums("message", "show", "none").complaint == "This channel has no such message."
    assert ums("sender", "test", "none").complaint == "There is no sender none."
    assert ums("channel", "close", "none").complaint == "There is no channel none."
    assert ums("message", "show", "none", "--json").error["reason"] == "message_unknown"


def test_segments_and_operators(ums: Ums, tmp_path: Path) -> None:
    made = ums("segment", "create", "Everyone", "--json").json
    assert ums("segment", "list", "--json").json == [made]
    password = tmp_path / "password"
    password.write_text("long enough, I hope")
    options = ("--password-file", str(password), "--json")
    made = ums("operator", "create", "admin", *options).json
    assert (made["name"], made["role"]) == ("admin", "administrator")
    password.write_text("short")
    assert ums("operator", "create", "li", *options).error["reason"] == "short_password"


def test_users_are_imported_and_rejected_rows_come_back(ums: Ums, tmp_path: Path) -> None:
    from python_calamine import CalamineWorkbook

    file = tmp_path / "users.csv"
    file.write_text("userid,email\nu1,a@example.com\nu2,nonsense\n")
    done = ums("user", "import", str(file), "--bind-id", "all", "--json").json
    assert (done["state"], done["added"], done["rejected"]) == ("done", 1, 1)
    sheet = CalamineWorkbook.from_path(done["rejected_rows"]).get_sheet_by_index(0).to_python()
    assert sheet[0] == ["userid", "email", "row", "reason"]
    assert sheet[1][:3] == ["u2", "nonsense", "3"]
    assert done["rejected_rows"] == str(tmp_path / "users-rejected.xlsx")


def test_a_spreadsheet_that_cannot_be_imported(ums: Ums, tmp_path: Path) -> None:
    gone = tmp_path / "gone.csv"
    assert ums("user", "import", str(gone)).complaint == "There is no file gone.csv."
    gone.write_text("colour\nred\n")
    refused = ums("user", "import", str(gone), "--json")
    assert refused.error["reason"] == "sheet_columns"
    assert "email+userid" in refused.error["message"]
    wrong = ums("user", "import", str(gone), "--map", "colour")
    assert wrong.complaint == "colour: give COLUMN=FIELD, such as Member=userid or City=user.city"
    nowhere = ("--rejects", str(tmp_path / "no" / "where.xlsx"))
    assert "--rejects" in ums("user", "import", str(gone), *nowhere).complaint


def test_sheet_header_and_columns_of_an_import_are_chosen(ums: Ums, tmp_path: Path) -> None:
    import xlsxwriter

    file = tmp_path / "users.xlsx"
    with xlsxwriter.Workbook(str(file)) as book:
        book.add_worksheet("notes").write_row(0, 0, ["userid", "note"])
        sheet = book.add_worksheet("list")
        sheet.write_row(0, 0, ["title"])
        sheet.write_row(1, 0, ["No", "Address", "Town"])
        sheet.write_row(2, 0, ["1", "a@a.org", "Ulm"])
    how = ("--sheet", "list", "--header-row", "2", "--map", "No=userid", "--map", "B=email")
    done = ums("user", "import", str(file), *how, "--map", "Town=user.city", "--json").json
    assert (done["state"], done["added"], done["header_row"]) == ("done", 1, 2)
    assert (done["columns"], done["ignored"]) == ("No=userid, Address=email, Town=user.city", "")
    again = ums("user", "import", str(file), *how, "--ignore", "Town", "--json").json
    assert (again["unchanged"], again["ignored"]) == (1, "Town")


def test_migrate(ums: Ums) -> None:
    assert ums("migrate", "--json").json == {"revision": head()}


def test_doctor_looks_at_everything(ums: Ums, dialect: str) -> None:
    # The tests' own PostgreSQL runs without fsync, which a doctor must not let pass.
    found = {one["check"]: one for one in json.loads(ums("doctor", "--json").out)}
    looked_at = {"versions", "settings", "data folder", "schema", "time", "secrets", "key file"}
    looked_at |= {"factor"}
    assert "required of nobody" in found["factor"]["finding"]
    assert looked_at <= {check for check, one in found.items() if one["ok"]}
    assert all(bool(one["advice"]) is not one["ok"] for one in found.values())
    if dialect == "postgresql":
        assert found["clock"]["ok"]
    if "fsync off" in found["database"]["finding"]:
        assert not found["database"]["ok"]


def test_everything_works_before_the_first_start(bare: Terminal, here: Ums) -> None:
    assert here(bare, "channel", "list", "--json").json == []
    assert (bare.folder / "ums.db").exists()
    assert here(bare, "doctor", "--json").status == 0


@pytest.mark.parametrize("arguments", [["nope"], ["channel", "create"], ["serve", "--port", "x"]])
def test_a_wrong_use_is_not_the_same_as_a_failure(
    bare: Terminal, here: Ums, arguments: list[str]
) -> None:
    assert here(bare, *arguments).status == 2


def test_the_words_are_in_the_language_of_the_terminal(terminal: Terminal, here: Ums) -> None:
    chinese = terminal.also(LC_ALL="zh_CN.UTF-8")
    assert here(chinese, "message", "show", "none").complaint == "该渠道没有此消息。"


def test_an_import_goes_on_where_a_killed_command_left_it(
    terminal: Terminal, settings: Settings, here: Ums, tmp_path: Path
) -> None:
    file = tmp_path / "users.csv"
    rows = "".join(f"u{number},u{number}@example.com\n" for number in range(1_500))
    file.write_text(f"userid,email\n{rows}")
    # On SQLite whoever had the file is dead; on PostgreSQL only the lease's end tells that.
    lease = 60_000 if settings.is_sqlite else 500

    async def killed() -> int:
        async with open_system(settings) as system:
            begun = await runner.open_import(system, file, bind_id="all", name=file.name)
            async with system.database.write() as tx:
                await queue.beat(tx, "dead", lease)
            assert await runner.step(system, begun.id, "dead")
            async with system.database.read() as tx:
                found = await runner.show(tx, begun.id)
            assert found is not None
            assert 0 < found.added < 1_500
            return begun.id

    begun = asyncio.run(killed())
    done = here(terminal, "user", "import", str(file), "--bind-id", "all", "--json").json
    assert (done["id"], done["state"], done["added"], done["rejected"]) == (begun, "done", 1_500, 0)
