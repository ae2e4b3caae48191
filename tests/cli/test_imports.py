"""`ums import`."""

from pathlib import Path

from cli.conftest import Ums


def test_an_import_is_listed_and_taken_back(sending: Ums, tmp_path: Path) -> None:
    sheet = tmp_path / "users.csv"
    sheet.write_text("userid,email\nzhang,zhang@example.cn\nli,li@example.cn\n")
    done = sending("user", "import", str(sheet), "--json").json
    listed = sending("import", "list", "--json").json["items"]
    assert [(one["id"], one["added"], one["state"]) for one in listed] == [(done["id"], 2, "done")]
    assert "users.csv" in sending("import", "list").out
    undone = sending("import", "undo", str(done["id"]), "--json").json
    assert undone["state"] == "undoing"  # until a server runs
    assert sending("import", "undo", "99", "--json").error["reason"] == "import_unknown"
