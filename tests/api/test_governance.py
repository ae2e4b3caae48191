"""What a channel's rules refuse at `/v1`, with the documented codes, in the documented order."""

from typing import Any

import pytest_asyncio

from support.doors import Door, OneChannel
from support.ruling import rule
from ums import clock
from ums.core.channels import access_lists, content_filter, strategies
from ums.core.identity import operators
from ums.core.messages import approval
from ums.core.users import segments

DIRECT = {"aud_email": [{"data": ["a@example.org"]}]}
CONTENT = {"msg_email": [{"subject": "Hello", "text": "<p>World</p>"}]}


def to(**body: Any) -> dict[str, Any]:
    return {
        **(DIRECT if not any(name.startswith("aud_") for name in body) else {}),
        **CONTENT,
    } | body


def now_quiet(action: str) -> dict[str, Any]:
    """Quiet hours that hold now and for hours to come."""
    hour = clock.now() // clock.HOUR % 24
    start, end = f"{(hour - 1) % 24:02}:00", f"{(hour + 6) % 24:02}:00"
    return {"start": start, "end": end, "action": action}


@pytest_asyncio.fixture(loop_scope="module")
async def channel(shared: Door) -> OneChannel:
    return await shared.channel()


async def test_the_order_of_refusals(shared: Door, channel: OneChannel) -> None:
    system = shared.system
    await operators.create(system, "zhao", "correct horse battery")
    await content_filter.add(
        system, "forbidden", (await system.directory.now()).channels[channel.key]
    )
    quiet = now_quiet("refuse")
    await rule(system, channel.key, approval=True, quiet_hours=quiet)
    body = {"aud_segment": [999999], "rule_id": 77, "option": {"black_id": 99}}
    body |= {"msg_email": [{"subject": "s", "text": "forbidden"}]}

    async def told(**changes: Any) -> tuple[int, int, str]:
        body.update(changes)
        return (await shared.post("/v1/sent", body, channel)).told

    assert await told() == (400, 1015023, "owner_missing")
    assert await told(option={"black_id": 99, "owner": "li"}) == (400, 1015023, "owner_unknown")
    mine = {"black_id": 99, "owner": "zhao"}
    assert await told(option=mine) == (400, 1015038, "quiet_hours")
    await rule(system, channel.key, approval=True)
    assert await told() == (400, 1015046, "blocklist_unknown")
    directory = (await system.directory.now()).channels[channel.key]
    listed = await access_lists.create(system, directory, "block", "l")
    assert await told(option={**mine, "black_id": listed.id}) == (400, 1015026, "strategy_unknown")
    plan = await strategies.create(system, directory, "s")
    assert await told(rule_id=plan.id) == (400, 4004, "segment_unknown")
    segment = await segments.create(system, f"segment of {channel.key}")
    assert await told(aud_segment=[segment.id]) == (400, 1015034, "sensitive_word")
    good = {**body, "msg_email": [{"subject": "s", "text": "t"}]}
    answer = await shared.post("/v1/sent", good, channel)
    assert answer.code == 0
    await approval.refuse(system, answer.body["msgid"], "admin")


async def test_a_word_is_named_in_the_callers_language(shared: Door, channel: OneChannel) -> None:
    mine = (await shared.system.directory.now()).channels[channel.key]
    await content_filter.add(shared.system, "发票", mine)
    body = to(msg_email=[{"subject": "代开发票", "text": "t"}])
    answer = await shared.post("/v1/sent", body, channel, Accept_Language="zh")
    assert answer.told == (400, 1015034, "sensitive_word")
    assert answer.body["message"] == "内容包含敏感词：发票"


async def test_a_broadcast_over_the_quota(shared: Door, channel: OneChannel) -> None:
    await rule(shared.system, channel.key, broadcasts_per_day=1, zone="Asia/Shanghai")
    headers = {"Idempotency_Key": "one"}
    first = await shared.post("/v1/broadcast", CONTENT, channel, **headers)
    assert first.code == 0
    again = await shared.post("/v1/broadcast", CONTENT, channel)
    assert again.told == (400, 1015029, "broadcast_quota")
    repeated = await shared.post("/v1/broadcast", CONTENT, channel, **headers)
    assert repeated.body == first.body
    assert (await shared.post("/v1/sent", to(), channel)).code == 0


async def test_a_repeat_is_answered_as_before_in_quiet_hours(
    shared: Door, channel: OneChannel
) -> None:
    headers = {"Idempotency_Key": "one"}
    first = await shared.post("/v1/sent", to(), channel, **headers)
    await rule(shared.system, channel.key, quiet_hours=now_quiet("refuse"))
    assert (await shared.post("/v1/sent", to(), channel, **headers)).body == first.body
    fresh = await shared.post("/v1/sent", to(), channel, Idempotency_Key="two")
    assert fresh.told == (400, 1015038, "quiet_hours")
    other = await shared.post("/v1/sent", to(option={"sendno": "x"}), channel, **headers)
    assert other.told == (400, 1015038, "quiet_hours")


async def test_a_message_waits_for_its_approval(shared: Door, channel: OneChannel) -> None:
    await operators.create(shared.system, "qian", "correct horse battery")
    await rule(shared.system, channel.key, approval=True)
    answer = await shared.post("/v1/sent", to(option={"owner": "qian"}), channel)
    msgid = answer.body["msgid"]
    await approval.approve(shared.system, msgid, "admin")
    assert (await shared.done(msgid, channel))["counts"] == {"sent": 1}
    stopped = await shared.post("/v1/sent", to(option={"owner": "qian"}), channel)
    await approval.refuse(shared.system, stopped.body["msgid"], "admin")
    shown = await shared.done(stopped.body["msgid"], channel)
    assert shown["counts"] == {"cancelled": 1}


async def test_a_blocked_address_gets_nothing(shared: Door, channel: OneChannel) -> None:
    mine = (await shared.system.directory.now()).channels[channel.key]
    listed = await access_lists.create(shared.system, mine, "block", "l")
    blocked = access_lists.Entry("address", f"blocked.{channel.key}@example.org")
    await access_lists.add(shared.system, mine, "block", listed.id, [blocked])
    body = to(
        aud_email=[{"data": [blocked.value, f"free.{channel.key}@example.org"]}],
        option={"black_id": listed.id},
    )
    answer = await shared.post("/v1/sent", body, channel)
    shown = await shared.done(answer.body["msgid"], channel)
    assert shown["counts"] == {"sent": 1, "invalid": 1}
    reached = [mail.rcpt_to for mail in shared.smtp.mails if channel.key in mail.rcpt_to]
    assert reached == [f"free.{channel.key}@example.org"]
