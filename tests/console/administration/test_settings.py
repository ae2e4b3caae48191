"""Templates, statistics, rules, callbacks, operators, tokens: what the pages do."""

import re
from io import BytesIO
from typing import Any

import httpx
import openpyxl

from console.conftest import PASSWORD, Visit, browsing, log_in
from support.doors import Door
from support.fakes import DROP_TAKEN
from support.flow import with_settings
from support.receiver import receiving
from support.telling import ALLOWED
from ums.core.channels import channels
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.identity import operators
from ums.core.senders import senders
from ums.core.senders.senders import NewSender


async def followed(client: httpx.AsyncClient, answer: httpx.Response) -> str:
    """The page that an answer leads to."""
    assert answer.status_code == 303, answer.text
    shown = await client.get(answer.headers["location"])
    assert shown.status_code == 200
    return shown.text


async def test_a_template_from_its_making_to_an_old_version(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    base = f"/channels/{channel.key}/templates"
    user = {"userid": "li", "attributes": {"name": "<Li>"}, "email": {"all": "li@example.org"}}
    await door.post("/v1/user/opt", [user], await door.access_key())
    fields = {"name": "Welcome", "subject": "Hi {{ name }}", "kind": "html"}
    fields |= {"html": "<p>{{ name }} {{ city }}</p>", "defaults": '{"city": "Rome"}'}
    made = await visitor.post(base, data=fields)
    one = made.headers["location"].partition("?")[0]
    assert "[name]" in await followed(visitor, made)
    as_li = (await visitor.get(f"{one}?userid=li")).text
    assert "Hi &lt;Li&gt;" in as_li
    assert "&lt;Li&gt; Rome" in (await visitor.get(f"{one}/mail?userid=li")).text
    strange = (await visitor.get(f"{one}?userid=nobody")).text
    assert "There is no such user" in strange
    wrong = await visitor.post(one, data={**fields, "html": "{% for %}"})
    assert (wrong.status_code, 'id="html-error"' in wrong.text) == (400, True)
    changed = await visitor.post(one, data={**fields, "html": "<p>New {{ name }}</p>"})
    await followed(visitor, changed)
    old = (await visitor.get(f"{one}?version=1")).text
    assert 'class="taken"' in old
    assert "{{ city }}" in (await visitor.get(f"{one}/edit?version=1")).text
    tested = await visitor.post(f"{one}/test", data={"to": "me@example.org", "userid": "li"})
    msgid = re.findall(r"/messages/([^?]+)", tested.headers["location"])[0]
    await door.done(msgid, channel)
    assert door.smtp.mails[-1].rcpt_to == "me@example.org"
    await followed(visitor, await visitor.post(f"{one}/close"))
    assert "closed" in (await visitor.get(f"/templates?channel={channel.key}")).text
    viewer = await visit("viewer")
    assert (await viewer.get(one)).status_code == 200
    assert (await viewer.post(f"{one}/open")).status_code == 403


async def test_rules_are_kept_or_refused_at_their_field(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    path = f"/channels/{channel.key}/rules"
    fields: dict[str, Any] = {
        "zone": "Asia/Shanghai",
        "approval": "on",
        "quiet_start": "22:00",
        "quiet_end": "08:00",
        "quiet_action": "refuse",
        "cap_count": "3",
        "cap_hours": "24",
        "broadcasts_per_day": "5",
        "requests_per_second": "0",
        "statuses": ["2", "3"],
    }
    shown = await followed(visitor, await visitor.post(path, data=fields))
    assert 'value="Asia/Shanghai"' in shown
    rules = await channels.rules_of(door.system, channel.key)
    assert (rules.approval, rules.word_filter, rules.statuses) == (True, False, (2, 3))
    assert (rules.quiet_hours.start, rules.frequency_cap.count) == ("22:00", 3)  # type: ignore[union-attr]
    for field, value in (
        ("zone", "Nowhere/None"),
        ("quiet_end", ""),
        ("cap_hours", "x"),
        ("broadcasts_per_day", "-1"),
        ("requests_per_second", "1e999"),
    ):
        refused = await visitor.post(path, data={**fields, field: value})
        assert refused.status_code == 400, field
        assert 'aria-invalid="true"' in refused.text or "trouble" in refused.text, field
    assert await channels.rules_of(door.system, channel.key) == rules
    await followed(visitor, await visitor.post(path, data={**fields, "zone": ""}))
    assert (await channels.rules_of(door.system, channel.key)).zone == "UTC"


async def test_what_is_wrong_with_rules_is_told_in_chinese(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(language="zh"), await door.channel()
    path = f"/channels/{channel.key}/rules"
    fields = {"quiet_start": "22:00", "quiet_end": "08:00", "cap_count": "3", "cap_hours": "24"}
    fields |= {"quiet_action": "delay", "broadcasts_per_day": "5", "requests_per_second": "0"}
    for field, value in (
        ("zone", "Nowhere/None"),
        ("quiet_end", "25:00"),
        ("quiet_end", "22:00"),
        ("cap_count", "0"),
        ("cap_count", "1.5"),
        ("cap_hours", "0"),
        ("broadcasts_per_day", "-1"),
    ):
        refused = await visitor.post(path, data={**fields, field: value})
        told = re.search(rf'id="{field}-error">([^<]*)<', refused.text)
        assert refused.status_code == 400, (field, value)
        assert told is not None, (field, value)
        assert re.search("[\u4e00-\u9fff]", told[1]), told[1]


async def test_who_is_bound_to_a_channel_changes_its_rules_but_those_that_protect_others(
    door: Door, visit: Visit
) -> None:
    channel, visitor = await door.channel(), await visit()
    await channels.set_rules(
        door.system, channel.key, ChannelPolicy(approval=True, approval_from=7)
    )
    own = (await door.system.directory.now()).channels[channel.key].id
    await operators.create(door.system, "second", PASSWORD)
    await operators.change(door.system, "administrator0", channels=[own])
    path = f"/channels/{channel.key}/rules"
    assert (await visitor.get(path)).text.count("Only administrators of all channels") == 2
    fields = {"zone": "UTC", "broadcasts_per_day": "5", "requests_per_second": "0"}
    wrong = await visitor.post(path, data={**fields, "cap_count": "x", "cap_hours": "1"})
    assert wrong.status_code == 400
    assert 'value="7"' in wrong.text
    await visitor.post(path, data={**fields, "key_replaces_shared": "", "approval_from": "9"})
    rules = await channels.rules_of(door.system, channel.key)
    assert (rules.approval, rules.approval_from, rules.broadcasts_per_day) == (True, 7, 5)
    assert rules.key_replaces_shared == ChannelPolicy().key_replaces_shared


async def test_callbacks_are_verified_tested_and_forgotten(door: Door, visit: Visit) -> None:
    with_settings(door.system, **ALLOWED)
    visitor, channel = await visit(), await door.channel()
    path = f"/channels/{channel.key}/callbacks"
    async with receiving(channel.key, channel.secret) as receiver:
        none = await visitor.post(path, data={"url": "nonsense", "schedule": "hosted"})
        assert (none.status_code, 'id="url-error"' in none.text) == (400, True)
        fields = {"url": receiver.url, "schedule": "hosted", "form": "hosted"}
        made = await followed(visitor, await visitor.post(path, data=fields))
        secret = re.findall(r"whsec_[\w+/=]+", made)[0]
        assert secret not in (await visitor.get(path)).text
        tested = await visitor.post(f"{path}/1/test")
        assert "It took the sample record" in tested.text
        receiver.verify(receiver.posts[0], secret)
        only = await visitor.post(f"{path}/1/delete")
        assert 'role="alert"' in only.text  # the default one stays
        await visitor.post(path, data={**fields, "url": f"{receiver.url}?2"})
        await visitor.post(f"{path}/2/default")
        gone = await visitor.post(f"{path}/1/delete")
        assert gone.text.count("<h2>http") == 1
        assert (await visitor.post(f"{path}/9/verify")).status_code == 404
        assert (await visitor.post(f"{path}/2/nonsense")).status_code == 404


async def test_a_callback_is_edited_and_proves_itself_otherwise(door: Door, visit: Visit) -> None:
    with_settings(door.system, **ALLOWED)
    visitor, channel = await visit(), await door.channel()
    path = f"/channels/{channel.key}/callbacks"
    async with receiving("", "") as receiver:
        page = (await visitor.get(path)).text
        assert 'value="signed" selected' in page
        await visitor.post(path, data={"url": receiver.url, "schedule": "hosted"})
        receiver.key, receiver.secret = "ums", "word"
        fields = {"url": receiver.url, "form": "signed", "username": "ums", "password": "no"}
        refused = await visitor.post(f"{path}/1", data=fields)
        assert (refused.status_code, 'id="url-error"' in refused.text) == (400, True)
        assert "no" not in re.findall(r'name="password"[^>]*value="([^"]*)"', refused.text)
        done = await followed(
            visitor, await visitor.post(f"{path}/1", data={**fields, "password": "word"})
        )
        assert "Basic user: ums" in done
        assert 'value="ums"' in (await visitor.get(f"{path}/1")).text
        receiver.key, receiver.secret = channel.key, channel.secret
        hosted = {"url": receiver.url, "form": "hosted", "username": "", "password": ""}
        await visitor.post(f"{path}/1", data=hosted)
        assert "ChannelKey and MasterSecret" in (await visitor.get(path)).text


async def test_somebody_is_invited_and_shut_out(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    fields = {"role": "operator", "channels": [channel.key]}
    invited = await followed(visitor, await visitor.post("/operators/invite", data=fields))
    link = re.findall(r"/invitation/[\w-]{43}", invited)[0]
    async with browsing(door) as guest:
        assert "invited as Operator" in (await guest.get(link)).text
        new = {"name": "zhao", "password": PASSWORD, "again": PASSWORD}
        differ = await guest.post(link, data={**new, "again": "another one"})
        assert (differ.status_code, 'id="again-error"' in differ.text) == (400, True)
        await guest.post(link, data=new)
        assert (await guest.get(link)).status_code == 404  # it is good once
        await log_in(guest, "zhao")
        assert (await guest.get("/messages")).status_code == 200
        other = await door.channel()
        assert (await guest.get(f"/channels/{other.key}")).status_code == 404
        assert (await guest.get("/operators")).status_code == 403
        await visitor.post("/operators/zhao", data={"role": "viewer", "disabled": "yes"})
        assert (await guest.get("/messages")).status_code == 303
    last = await visitor.post("/operators/administrator0", data={"role": "viewer"})
    assert (last.status_code, 'role="alert"' in last.text) == (409, True)
    listed = (await visitor.get("/operators")).text
    assert "zhao" in listed
    noted = (await visitor.get("/audit?action=operator.invite")).text
    assert "operator:administrator0" in noted


async def test_a_token_is_shown_once_and_revoked(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    fields = {"name": "ci", "scopes": ["messages:read"], "channels": [channel.key]}
    made = await followed(visitor, await visitor.post("/tokens", data=fields))
    token = re.findall(r"ums_[\w-]{40,}", made)[0]
    assert token not in (await visitor.get("/tokens")).text
    assert (await door.get("/api/messages", token)).status == 200
    nothing = await visitor.post("/tokens", data={"name": "x"})
    assert (nothing.status_code, 'class="error"' in nothing.text) == (400, True)
    await visitor.post("/tokens/1/revoke")
    assert (await door.get("/api/messages", token)).status == 401


async def test_statistics_say_what_the_api_says(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    body = {"recipients": [{"address": "a@example.org"}, {"userid": "nobody"}]}
    sent = await door.post("/api/messages", {**body, "subject": "s", "text": "t"}, channel)
    await door.done(sent.body["msgid"], channel)
    for by in ("day", "hour", "channel", "sender"):
        text = (await visitor.get(f"/statistics?by={by}&channel={channel.key}")).text
        assert "There is no such user." in text
    exported = (await visitor.get("/statistics.csv?by=channel")).text.splitlines()
    assert exported[-1] == "total,1,2,0,1,0,1,0,0"
    assert exported[1].startswith(f"{channel.key},1,2")


async def test_days_are_counted_by_each_channel_s_clock(door: Door, visit: Visit) -> None:
    visitor, east, west = await visit(), await door.channel(), await door.channel()
    zones = {east.key: "Pacific/Kiritimati", west.key: "Pacific/Pago_Pago"}  # 25 hours apart
    for channel in (east, west):
        await channels.set_rules(door.system, channel.key, ChannelPolicy(zone=zones[channel.key]))
        body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
        sent = await door.post("/api/messages", body, channel)
        await door.done(sent.body["msgid"], channel)
    path = "/statistics.csv?days=7&channel="
    days: dict[str, str] = {}
    for channel in (east, west):
        lines = (await visitor.get(path + channel.key)).text.splitlines()
        assert lines[0].startswith(f"\ufeffkey ({zones[channel.key]}),messages,")
        (days[channel.key],) = [line[:10] for line in lines[1:-1] if line[10:13] == ",1,"]
    assert days[west.key] < days[east.key]
    both = (await visitor.get(path)).text
    assert both.startswith('\ufeff"key (Pacific/Kiritimati, Pacific/Pago_Pago)",messages,')
    assert {line[:10] for line in both.splitlines()[1:-1] if line[10:13] == ",1,"} == {
        *days.values()
    }
    told = "Days are those of each channel’s own time zone (Pacific/Kiritimati, Pacific/Pago_Pago)."
    assert told in (await visitor.get("/statistics?by=day")).text
    assert told not in (await visitor.get("/statistics?by=channel")).text
    assert "Days and hours are those of UTC." in (await visitor.get("/statistics?by=hour")).text
    home = (await visitor.get("/home")).text
    assert told in home
    tile = home.partition("<h2>Today</h2>")[2].partition("<dd>")[2].partition("</dd>")[0]
    assert tile == "2"  # what is today in Kiritimati and what is today in Pago Pago
    one = await visitor.get(f"/statistics?by=day&channel={west.key}")
    assert "Days and hours are those of Pacific/Pago_Pago." in one.text
    chinese = await visitor.get("/statistics?by=day", headers={"Accept-Language": "zh"})
    assert "日期按各渠道自己的时区计算" in chinese.text


async def test_a_segment_is_counted_before_it_is_saved(door: Door, visit: Visit) -> None:
    visitor = await visit()
    people = [{"userid": f"seg{age}", "attributes": {"age": age}} for age in (10, 20, 30)]
    await door.post("/v1/user/opt", people, await door.access_key())
    conditions = '{"attribute": {"name": "age", "op": "ge", "value": 18}}'
    fields = {"name": "grown", "conditions": conditions}
    counted = await visitor.post("/segments", data={**fields, "count": "1"})
    assert "2 users now" in counted.text
    assert "seg20" in counted.text
    assert "grown" not in (await visitor.get("/segments")).text
    made = await visitor.post("/segments", data=fields)
    assert "2 users now" in await followed(visitor, made)
    for wrong in ("{", '{"nonsense": 1}', "[]"):
        refused = await visitor.post("/segments/1", data={**fields, "conditions": wrong})
        assert (refused.status_code, 'id="conditions-error"' in refused.text) == (400, True)
    await followed(visitor, await visitor.post("/segments/1", data={**fields, "name": "adults"}))
    assert "adults" in (await visitor.get("/segments")).text
    await followed(visitor, await visitor.post("/segments/1/delete"))
    assert (await visitor.get("/segments/1")).status_code == 404


async def test_a_list_is_filled_and_emptied(door: Door, visit: Visit) -> None:
    visitor, channel = await visit("operator"), await door.channel()
    base = f"/channels/{channel.key}/lists"
    made = await visitor.post(base, data={"kind": "block", "name": "投诉"})
    one = made.headers["location"]
    await followed(visitor, await visitor.post(one, data={"entries": "A@X.cn\nzhang\n\n"}))
    shown = (await visitor.get(one)).text
    assert ("A@x.cn" in shown, ">zhang<" in shown, "2 entries" in shown) == (True, True, True)
    wrong = await visitor.post(one, data={"entries": "b@x.cn\nnot one@"})
    assert (wrong.status_code, 'id="entries-error"' in wrong.text) == (400, True)
    await followed(visitor, await visitor.post(one, data={"remove": "zhang"}))
    assert "1 entry" in (await visitor.get(base)).text
    twice = await visitor.post(base, data={"kind": "block", "name": "投诉"})
    assert (twice.status_code, 'id="name-error"' in twice.text) == (409, True)
    await followed(visitor, await visitor.post(f"{one}/delete"))
    assert (await visitor.get(one)).status_code == 404


async def test_a_wrong_mode_is_found_out(door: Door, visit: Visit) -> None:
    visitor = await visit()
    sender = NewSender(
        code="main",
        name="Main",
        host="127.0.0.1",
        port=door.smtp.port,
        encryption="ssl",
        from_address="a@sender.example",
        allow_port=True,
    )
    await senders.create(door.system, sender)
    failed = (await visitor.post("/senders/main/test", data={"to": ""})).text
    assert 'class="verdict bad"' in failed
    assert f'value="{door.smtp.port} none"' in failed
    assert "No encrypted connection could be made" in failed
    took = await visitor.post("/senders/main/way", data={"way": f"{door.smtp.port} none"})
    await followed(visitor, took)
    passed = (await visitor.post("/senders/main/test", data={"to": "to@example.org"})).text
    assert 'class="verdict good"' in passed
    assert door.smtp.mails[-1].rcpt_to == "to@example.org"
    refused = await visitor.post("/senders/main/way", data={"way": "0 none"})
    assert (refused.status_code, 'id="port-error"' in refused.text) == (400, True)


async def test_what_is_unknown_is_found_out_and_exported(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    door.smtp.script["DOT"] = lambda call: DROP_TAKEN if "b@" in call.rcpt_to[0] else None
    with_settings(door.system, unknown_retry_seconds=0.05)
    people = [{"address": f"{name}@example.org"} for name in "abc"]
    body = {"recipients": people, "subject": "=1+1", "text": "t", "on_unknown": "hold"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    assert (await door.done(msgid, channel))["counts"] == {"sent": 2, "unknown": 1}
    shown = (await visitor.get(f"/messages/{msgid}?userid=&state=unknown")).text
    assert "1 unknown: did it arrive?" in shown
    (id,) = re.findall(r"/deliveries/(\d+)", shown)
    one = (await visitor.get(f"/deliveries/{id}")).text
    assert "Did it arrive?" in one
    answer = await visitor.post(
        f"/messages/{msgid}/resolve", data={"delivery": id, "arrived": "no"}
    )
    assert "an operator found that it did not arrive" in await followed(visitor, answer)
    book = (await visitor.get(f"/messages/{msgid}/deliveries.xlsx?state=failed")).content
    rows = list(openpyxl.load_workbook(BytesIO(book)).active.iter_rows(values_only=True))
    assert [row[2:5] for row in rows] == [
        ("address", "state", "reason"),
        ("b@example.org", "failed", "not_received"),
    ]
    lines = (await visitor.get(f"/messages/{msgid}/deliveries.csv?address=a@example.org")).text
    assert len(lines.splitlines()) == 2
    assert lines.splitlines()[0].endswith(",updated_at (UTC)")
    assert rows[0][-1] == "updated_at (UTC)"
    strange = await visitor.get("/messages/nothing/deliveries.xlsx")
    assert strange.status_code == 404


async def test_a_part_of_a_page_follows_the_message(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    async with visitor.stream("GET", f"/messages/{msgid}/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = "".join([line + "\n" async for line in stream.aiter_lines()])
    assert told.count("event: part") >= 1
    assert "event: end" in told
    assert 'class="tiles"' in told
    assert (await visitor.get("/messages/nothing/live")).status_code == 404
    async with visitor.stream("GET", "/home/live") as stream:
        assert "event: end" in "".join([part async for part in stream.aiter_text()])


async def test_a_preset_tells_what_the_provider_takes(visit: Visit) -> None:
    visitor = await visit()
    assert "500 mails a day" in (await visitor.get("/senders/new?preset=gmail")).text
    shown = (await visitor.get("/senders/new?preset=qiye163")).text
    assert "counted anew at 00:00 Asia/Shanghai" in shown
    assert "by reputation" in (await visitor.get("/senders/new?preset=qq")).text
    assert (await visitor.get("/senders/new?preset=custom")).text.count("provider takes") == 0
