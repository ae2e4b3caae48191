"""Caps and routes: `ums sender caps`, `ums channel route`."""

from cli.conftest import Ums


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
    shown = orders("sender", "caps", "main", "--urgent-reserve-percent", "25").out
    assert (day in shown, "5000/180" in shown) == (True, True)
    (sender,) = orders("sender", "list", "--json").json
    assert (sender["urgent_reserve_percent"], len(sender["caps"])) == (25, 2)
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
