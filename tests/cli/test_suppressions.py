"""`ums suppression`."""

from pathlib import Path
from typing import Any

from cli.conftest import Ums


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
