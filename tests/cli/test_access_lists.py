"""`ums blocklist` and `ums allowlist`."""

from pathlib import Path

import pytest

from cli.conftest import Ums


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
