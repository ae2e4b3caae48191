"""`ums material` and `ums channel rules`."""

import re
from pathlib import Path

from cli.conftest import Ums


def test_a_material_from_its_upload_to_its_end(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "价格.csv"
    file.write_bytes(b"1,2")
    made = ums("material", "upload", str(file), "--ttl", "48", "--json").json
    assert (made["name"], made["content_type"], made["size"]) == ("价格.csv", "text/csv", 3)
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/v1/material/[\w-]{43}", made["url"])
    listed = ums("material", "list", "--json").json
    assert listed == {"items": [made], "next": None}
    assert "价格.csv" in ums("material", "list").out
    assert ums("material", "delete", str(made["id"]), "--json").json["expired"] is True
    assert ums("material", "list", "--json").json["items"] == []
    error = ums("material", "delete", str(made["id"]), "--json").error
    assert (error["code"], error["reason"]) == (4004, "no_material")


def test_what_cannot_be_a_material(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x")
    assert ums("material", "upload", str(tmp_path / "none"), "--json").error["reason"] == (
        "file_missing"
    )
    for hours in ("0", "169"):
        refused = ums("material", "upload", str(file), "--ttl", hours, "--json")
        assert (refused.status, "--ttl" in refused.err) == (2, True)
    assert ums("material", "list", "--limit", "501", "--json").status == 2


def test_the_list_goes_by_pages(ums: Ums, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"x")
    ids = [ums("material", "upload", str(file), "--json").json["id"] for _ in range(2)]
    first = ums("material", "list", "--limit", "1", "--json").json
    assert [item["id"] for item in first["items"]] == ids[1:]
    assert f"--after {first['next']}" in ums("material", "list", "--limit", "1").out
    after = ums("material", "list", "--after", first["next"], "--json").json
    assert [item["id"] for item in after["items"]] == ids[:1]


def test_the_rules_of_a_channel(ums: Ums) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    shown = ums("channel", "rules", "1234", "--json").json
    assert (shown["requests_per_second"], shown["zone"]) == (100, "UTC")
    quiet = '{"quiet_hours": {"start": "22:00", "end": "08:00", "action": "delay"}}'
    options = ("--requests-per-second", "0", "--zone", "Asia/Shanghai", "--set", quiet)
    changed = ums("channel", "rules", "1234", *options, "--json").json
    assert changed["requests_per_second"] == 0
    assert changed["quiet_hours"]["start"] == "22:00"
    assert ums("channel", "rules", "1234", "--json").json == changed
    again = ums("channel", "rules", "1234", "--set", '{"quiet_hours": null}', "--json").json
    assert again == {**changed, "quiet_hours": None}
    assert "Asia/Shanghai" in ums("channel", "rules", "1234").out


def test_rules_that_cannot_be_kept(ums: Ums) -> None:
    ums("channel", "create", "Orders", "--key", "1234")
    before = ums("channel", "rules", "1234", "--json").json
    for given, reason in (
        ('{"zone": "Mars/Olympus"}', "bad_rule"),
        ('{"nothing": 1}', "unknown_field"),
        ("[]", "command"),
        ("{", "command"),
    ):
        refused = ums("channel", "rules", "1234", "--set", given, "--json").error
        assert refused["reason"] == reason
    assert ums("channel", "rules", "x", "--json").error["reason"] == "channel_unknown"
    assert ums("channel", "rules", "1234", "--json").json == before
