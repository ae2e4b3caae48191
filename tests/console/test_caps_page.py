"""What a sender may send in a time, and its place among the senders of a channel."""

import re

from console.administration.test_settings import followed
from console.conftest import Visit
from support.doors import Door


async def test_limits_are_set_shown_and_taken_away(door: Door, visit: Visit) -> None:
    visitor, viewer, code = await visit(), await visit("viewer"), await door.sender()
    page = f"/senders/{code}/caps"
    rows = {"count_0": "1000", "seconds_0": "86400", "reset_0": " 00:00  Asia/Shanghai "}
    rows |= {"count_1": "", "seconds_1": "3600", "count_2": "7", "seconds_2": "180"}
    fields = {**rows, "urgent_reserve_percent": "20"}
    assert (await viewer.post(page, data=fields)).status_code == 403
    shown = await followed(visitor, await visitor.post(page, data=fields))
    assert "1,000 mails a day, counted anew at 00:00 Asia/Shanghai" in shown
    assert "7 mails in 3 min" in shown
    assert "The last 20 % of each" in shown
    form = (await visitor.get(page)).text
    assert re.findall(r'name="count_\d" type="text" value="(\d*)"', form) == ["1000", "7", "", ""]
    assert '<option value="180" selected>' in form
    for change, field in (
        ({"count_2": "many"}, "count_2"),
        ({"urgent_reserve_percent": "91"}, "urgent_reserve_percent"),
    ):
        wrong = await visitor.post(page, data={**fields, **change})
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (400, True)
        assert 'value="1000"' in wrong.text
    wrong = await visitor.post(page, data={**fields, "reset_0": "noon"})
    assert (wrong.status_code, "A cap cannot begin anew at noon" in wrong.text) == (400, True)
    gone = await visitor.post(page, data={"count_0": "", "urgent_reserve_percent": "10"})
    assert "None: it sends as fast as its server takes mail." in await followed(visitor, gone)


async def test_the_senders_of_a_channel_get_their_places(door: Door, visit: Visit) -> None:
    visitor, viewer, channel = await visit(), await visit("viewer"), await door.channel()
    page = f"/channels/{channel.key}"
    assert "rank_" not in (await visitor.get(page)).text
    second = await door.sender(channel.key)
    fields = {f"rank_{channel.sender}": "1", f"weight_{channel.sender}": "1"}
    fields |= {f"rank_{second}": "2", f"weight_{second}": "7", "default": channel.sender}
    assert (await viewer.post(f"{page}/route", data=fields)).status_code == 403
    shown = await followed(visitor, await visitor.post(f"{page}/route", data=fields))
    assert re.findall(r'name="weight_\w+" value="(\d+)"', shown) == ["1", "7"]
    assert re.findall(r'<option value="(\d)" selected>', shown) == ["1", "2"]
    for change in ({f"weight_{second}": "101"}, {f"rank_{second}": "x"}):
        wrong = await visitor.post(f"{page}/route", data={**fields, **change})
        assert (wrong.status_code, f'id="{next(iter(change))}-error"' in wrong.text) == (400, True)
    await visitor.post(f"{page}/route", data={**fields, "default": second})
    (told,) = (await door.get("/api/channels", channel)).body["items"]
    assert (told["default_sender"], len(told["route"])) == (second, 2)


async def test_a_sender_of_a_preset_begins_with_its_limits(door: Door, visit: Visit) -> None:
    visitor = await visit(language="zh")
    assert "通道创建后即按此限额发送" in (await visitor.get("/senders/new?preset=gmail")).text
    fields = {"preset": "gmail", "code": "g", "name": "G", "host": "smtp.gmail.com"}
    fields |= {"port": "465", "encryption": "ssl", "from_address": "a@gmail.com"}
    fields |= {"account": "a@gmail.com", "password": "secret"}
    shown = await followed(visitor, await visitor.post("/senders", data=fields))
    assert "500 封 / 天" in shown
    await visitor.post("/senders/g/caps", data={"urgent_reserve_percent": "0"})
    assert 'value="500"' not in (await visitor.get("/senders/g/caps")).text
    assert 'value="500"' in (await visitor.get("/senders/g/caps?preset=1")).text


async def test_a_sender_is_warmed_up(door: Door, visit: Visit) -> None:
    visitor, viewer, code = await visit(), await visit("viewer"), await door.sender()
    page = f"/senders/{code}/warm-up"
    fields = {"start": "50", "growth": "50", "target": "100", "zone": "Asia/Shanghai"}
    assert (await viewer.post(page, data=fields)).status_code == 403
    for change, field in (
        ({"start": "x"}, "start"),
        ({"growth": "201"}, "growth"),
        ({"target": "10"}, "target"),
        ({"zone": "Mars/Olympus"}, "zone"),
    ):
        wrong = await visitor.post(page, data={**fields, **change})
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (400, True)
    shown = await followed(visitor, await visitor.post(page, data=fields))
    assert "Being warmed up: 50 mails today, 100 a day after 2 more good days." in shown
    assert "50 mails a day, counted anew at 00:00 Asia/Shanghai" in shown
    assert 'value="100"' in (await visitor.get(page)).text
    ended = await followed(visitor, await visitor.post(f"{page}/end"))
    assert "Being warmed up" not in ended
