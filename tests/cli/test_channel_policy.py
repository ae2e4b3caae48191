"""Words and strategies of channels."""

from cli.conftest import Ums


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
