"""Lists, approval, words, strategies and segments from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Ums

ADULTS = {"attribute": {"name": "age", "op": "ge", "value": 18}}


@pytest.fixture
def orders(ums: Ums) -> Ums:
    """With a channel 1234."""
    ums("channel", "create", "Orders", "--key", "1234")
    return ums


@pytest.mark.parametrize("kind", ["blocklist", "allowlist"])
def test_a_list_from_its_making_to_its_end(orders: Ums, kind: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> object:
        return orders(kind, *arguments, "--channel", "1234", "--json").json

    made = orders(kind, "create", "投诉", "--channel", "1234", "--json").json
    id = str(made["id"])
    assert (made["name"], made["kind"], made["entries"]) == ("投诉", kind[:5], 0)
    file = tmp_path / "addresses.txt"
    file.write_bytes("\ufeffa@x.cn\r\n\r\n b@X.CN \r\nc@x.cn".encode())
    assert run("add", id, "--file", str(file)) == {"changed": 3, "unchanged": 0}
    assert run("add", id, "a@x.cn", "d@x.cn") == {"changed": 1, "unchanged": 1}
    assert run("add", id, "--userids", "zhangsan") == {"changed": 1, "unchanged": 0}
    assert run("remove", id, "d@x.cn") == {"changed": 1, "unchanged": 0}
    shown = orders(kind, "show", id, "--channel", "1234", "--limit", "3", "--json").json
    assert [one["value"] for one in shown["values"]] == ["a@x.cn", "b@x.cn", "c@x.cn"]
    assert (shown["entries"], shown["next"]) == (4, "address:c@x.cn")
    rest = orders(kind, "show", id, "--channel", "1234", "--after", shown["next"], "--json").json
    assert rest["values"] == [{"kind": "userid", "value": "zhangsan"}]
    listed = orders(kind, "list", "--channel", "1234", "--json").json
    assert [(one["id"], one["entries"]) for one in listed["items"]] == [(made["id"], 4)]
    assert "zhangsan" in orders(kind, "show", id, "--channel", "1234").out
    assert run("delete", id) == {"id": made["id"]}
    gone = orders(kind, "show", id, "--channel", "1234", "--json").error
    assert gone["reason"] == "list_unknown"


def test_what_a_list_cannot_do_is_told(orders: Ums, tmp_path: Path) -> None:
    orders("blocklist", "create", "x", "--channel", "1234")
    nowhere = orders("blocklist", "create", "x", "--channel", "5678", "--json")
    assert nowhere.error["reason"] == "channel_unknown"
    bad = orders("blocklist", "add", "1", "--channel", "1234", "a@x.cn", "bad", "--json")
    assert (bad.error["code"], bad.error["reason"]) == (4004, "bad_address")
    assert "entries[1]" in bad.error["message"]
    none = orders("blocklist", "add", "1", "--channel", "1234")
    assert "--file" in none.complaint
    missing = orders("blocklist", "add", "1", "--channel", "1234", "--file", str(tmp_path / "no"))
    assert "No such file" in missing.complaint


def test_suppressed_addresses(orders: Ums, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        return orders("suppression", *arguments, "--channel", "1234", "--json").json

    file = tmp_path / "gone.txt"
    file.write_text("a@x.cn\nb@X.CN\n")
    assert run("add", "--file", str(file)) == {"changed": 2, "unchanged": 0}
    assert run("add", "b@x.cn", "c@x.cn") == {"changed": 1, "unchanged": 1}
    assert [one["address"] for one in run("list")["items"]] == ["c@x.cn", "b@x.cn", "a@x.cn"]
    assert [one["reason"] for one in run("list", "--address", "a@X.cn")["items"]] == ["by_hand"]
    assert "b@x.cn" in orders("suppression", "list", "--channel", "1234").out
    assert run("lift", "--file", str(file)) == {"changed": 2, "unchanged": 0}
    assert [one["address"] for one in run("list")["items"]] == ["c@x.cn"]
    bad = orders("suppression", "add", "bad", "--channel", "1234", "--json")
    assert "addresses[0]" in bad.error["message"]


def test_caps_of_a_sender(orders: Ums) -> None:
    account = ("--host", "smtp.x.cn", "--port", "465", "--encryption", "ssl", "--from", "a@x.cn")
    orders("sender", "create", "--code", "main", "--name", "Main", *account)
    assert orders("sender", "caps", "main", "--json").json == []
    day = "100/day@00:00 Asia/Shanghai"
    made = orders("sender", "caps", "main", "--cap", day, "--cap", "5000/180", "--json").json
    assert [(one["count"], one["seconds"], one["left"]) for one in made] == [
        (100, 86_400, 100),
        (5000, 180, 5000),
    ]
    shown = orders("sender", "caps", "main", "--urgent-share", "25").out
    assert (day in shown, "5000/180" in shown) == (True, True)
    (sender,) = orders("sender", "list", "--json").json
    assert (sender["urgent_share"], len(sender["caps"])) == (25, 2)
    for wrong in ("many", "5/fortnight", "5", "5/0"):
        assert "is no cap" in orders("sender", "caps", "main", "--cap", wrong).complaint
    twice = ("--cap", "5/day", "--cap", "6/day")
    assert "same time" in orders("sender", "caps", "main", *twice).complaint
    assert orders("sender", "caps", "main", "--none", "--json").json == []


def test_a_route(orders: Ums) -> None:
    account = ("--host", "smtp.x.cn", "--port", "465", "--encryption", "ssl", "--from", "a@x.cn")
    for code in ("one", "two"):
        orders("sender", "create", "--code", code, "--name", code, *account, "--channel", "1234")
    orders("sender", "authorise", "two", "--channel", "1234", "--rank", "2", "--weight", "5")
    (channel,) = orders("channel", "list", "--json").json
    assert channel["route"] == [
        {"sender": "one", "rank": 1, "weight": 1},
        {"sender": "two", "rank": 2, "weight": 5},
    ]
    wrong = orders("sender", "authorise", "two", "--channel", "1234", "--rank", "10")
    assert (wrong.status, "less than or equal to 9" in wrong.err) == (2, True)


def test_words(orders: Ums) -> None:
    assert orders("word", "add", "Casino", "--json").json["word"] == "casino"
    assert orders("word", "add", "Casino").complaint == "The word is there already: casino"
    mine = ("--channel", "1234")
    assert orders("word", "add", "casino", *mine, "--exempt", "--json").json["exempt"] is True
    assert orders("word", "add", "x", "--exempt", "--json").error["reason"] == "missing"
    assert [one["word"] for one in orders("word", "list", "--json").json["items"]] == ["casino"]
    own = orders("word", "list", *mine, "--json").json["items"]
    assert [(one["word"], one["channelkey"]) for one in own] == [("casino", "1234")]
    assert orders("word", "remove", "CASINO", "--json").json == {"word": "CASINO"}
    assert orders("word", "remove", "casino", "--json").error["reason"] == "word_unknown"


def test_strategies(orders: Ums) -> None:
    mine = ("--channel", "1234", "--json")
    made = orders("strategy", "create", "按邮件", *mine).json
    assert (made["steps"], made["valid"]) == ([{"type": "email"}], True)
    assert orders("strategy", "list", *mine).json == {"items": [made], "next": None}
    assert "email" in orders("strategy", "list", "--channel", "1234").out
    assert orders("strategy", "delete", str(made["id"]), *mine).json == {"id": made["id"]}
    assert orders("strategy", "delete", "1", *mine).error["reason"] == "rule_unknown"


def test_nothing_waits_for_approval(orders: Ums) -> None:
    assert orders("approval", "list", "--json").json == {"items": [], "next": None}
    mine = orders("approval", "list", "--channel", "1234", "--json").json
    assert mine == {"items": [], "next": None}
    for action in ("approve", "refuse"):
        error = orders("approval", action, "v:1t:1p:1n:1", "--json").error
        assert error["reason"] == "message_unknown"


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
