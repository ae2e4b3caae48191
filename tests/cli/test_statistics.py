"""`ums stats`."""

from cli.conftest import Ums


def test_statistics_add_up(sending: Ums) -> None:
    mail = ("--channel", "1234", "--subject", "s", "--text", "t")
    msgid = sending("send", *mail, "--to", "a@b.example", "--json").json["msgid"]
    sending("send", *mail, "--to", "b@b.example", "--to", "c@b.example")
    day = sending("stats", "--json").json
    assert (day["total"]["messages"], day["total"]["target"]) == (2, 3)
    one = sending("stats", "--by", "message", "--message", msgid, "--json").json
    assert [(item["key"], item["target"]) for item in one["items"]] == [(msgid, 1)]
    by_channel = sending("stats", "--channel", "1234", "--by", "channel").out
    assert by_channel.split()[:2] == ["key", "messages"]
    by_day = sending("stats", "--zone", "Asia/Shanghai").out
    assert by_day.split()[:3] == ["key", "(Asia/Shanghai)", "messages"]
    total = sending("stats", "--by", "sender").out.splitlines()[-1].split()
    assert total[:4] == ["total", "2", "3", "3"]  # all are pending: no engine has run yet
    unknown = sending("stats", "--channel", "5678", "--json")
    assert unknown.error["reason"] == "channel_unknown"
    assert sending("stats", "--by", "colour", "--json").error["reason"] == "misfit"
    assert sending("stats", "--since", "yesterday", "--json").error["code"] == 4004
