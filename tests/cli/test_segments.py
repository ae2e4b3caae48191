"""`ums segment`."""

import json
from pathlib import Path

import pytest

from cli.conftest import Ums

ADULTS = {"attribute": {"name": "age", "op": "ge", "value": 18}}


@pytest.mark.slow
def test_segments(ums: Ums, tmp_path: Path) -> None:
    made = ums("segment", "create", "成年人", "--conditions", json.dumps(ADULTS), "--json").json
    assert made["conditions"] == ADULTS
    id = str(made["id"])
    assert ums("segment", "show", id, "--json").json == made
    assert '"op": "ge"' in ums("segment", "show", id).out
    file = tmp_path / "conditions.json"
    file.write_text(json.dumps({"not": ADULTS}))
    changed = ums("segment", "update", id, "--name", "未成年", "--conditions", str(file), "--json")
    assert (changed.json["name"], changed.json["conditions"]) == ("未成年", {"not": ADULTS})
    everyone = ums("segment", "create", "Everyone", "--json").json
    assert "everyone" in ums("segment", "list").out
    assert ums("segment", "list", "--json").json == [changed.json, everyone]
    sheet = tmp_path / "users.csv"
    sheet.write_text("userid,email\n" + "".join(f"u{i},u{i}@x.cn\n" for i in range(5)))
    ums("user", "import", str(sheet))
    assert ums("segment", "count", id, "--json").json == {"users": 5}
    assert ums("segment", "count", "--conditions", json.dumps(ADULTS), "--json").json["users"] == 0
    page = ums("segment", "sample", id, "--limit", "3", "--json").json
    assert [user["userid"] for user in page["items"]] == ["u0", "u1", "u2"]
    assert "u3" in ums("segment", "sample", "--conditions", "{}", "--after", page["next"]).out
    assert ums("segment", "delete", id, "--json").json == {"id": made["id"]}
    assert ums("segment", "show", id, "--json").error["reason"] == "segment_unknown"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{", "not JSON"),
        ("nowhere.json", "No such file"),
        ('{"age": 18}', "conditions: an object with one key"),
        ('{"and": []}', "conditions.and: a list of one or more"),
    ],
)
def test_conditions_that_cannot_be_read(ums: Ums, given: str, told: str) -> None:
    assert told in ums("segment", "create", "s", "--conditions", given).complaint
    assert told in ums("segment", "count", "--conditions", given).complaint


def test_a_selection_is_one_thing(ums: Ums) -> None:
    for more in ((), ("1", "--conditions", "{}")):
        assert "--conditions" in ums("segment", "count", *more).complaint
    assert "--name" in ums("segment", "update", "1").complaint
