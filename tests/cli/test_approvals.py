"""`ums approval`."""

from cli.conftest import Ums


def test_nothing_waits_for_approval(orders: Ums) -> None:
    assert orders("approval", "list", "--json").json == {"items": [], "next": None}
    mine = orders("approval", "list", "--channel", "1234", "--json").json
    assert mine == {"items": [], "next": None}
    for action in ("approve", "refuse"):
        error = orders("approval", action, "v:1t:1p:1n:1", "--json").error
        assert error["reason"] == "message_unknown"
