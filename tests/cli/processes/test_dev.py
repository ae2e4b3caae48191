"""`ums dev seed`: made-up data for an installation that has no messages."""

from cli.conftest import Ums
from cli.terminal import Terminal

FEW = ("--users", "20", "--messages", "3")


def test_an_installation_is_filled_once(ums: Ums) -> None:
    done = ums("dev", "seed", *FEW, "--json").json
    assert done["channels"] == ["sampleorders", "sampleaccounts", "samplenews"]
    assert (done["users"], done["messages"]) == (20, 3)
    assert ums("status", "--json").status == 0
    refused = ums("dev", "seed", *FEW, "--json")
    assert refused.error["reason"] == "not_empty"
    assert "--anyway" in ums("dev", "seed", *FEW).complaint
    assert len(ums("message", "list", "--json").json["items"]) == 3
    assert ums("dev", "seed", *FEW, "--anyway").status == 0
    assert len(ums("message", "list", "--json").json["items"]) == 6


def test_a_channel_that_is_named_gets_them_in_any_case(orders: Ums) -> None:
    assert orders("dev", "seed", *FEW, "--channel", "1234", "--json").json["channels"] == ["1234"]
    assert orders("dev", "seed", *FEW, "--channel", "1234").status == 0
    assert len(orders("channel", "list", "--json").json) == 1
    assert "none" in orders("dev", "seed", "--channel", "none").complaint


def test_a_folder_that_a_server_holds_is_left_to_it(bare: Terminal, here: Ums) -> None:
    with bare.serve() as server:
        complaint = here(bare, "dev", "seed", *FEW).complaint
        assert complaint.startswith("another UMS process holds ")
        assert server.end() == 0
