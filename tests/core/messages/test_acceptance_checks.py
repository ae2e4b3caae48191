"""The policy of a channel: all that keeps a message back, judged from what was looked up."""

from typing import Any

import pytest
from msgspec import structs

from support.flow import Flow, open_flow
from support.ruling import rule
from ums.core.channels import access_lists, content_filter
from ums.core.channels.broadcast_quota import Quota
from ums.core.context.app_context import AppContext
from ums.core.messages.acceptance_checks import PolicyFacts, look_up, policy_errors
from ums.core.messages.requests import SendRequest, parse
from ums.core.senders import senders
from ums.core.tables import broadcast_usage
from ums.errors import Invalid, Refused

BODY = b'{"msg_email":[{"subject":"big casino","text":"t"}]}'


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def facts(flow: Flow, **option: Any) -> PolicyFacts:
    request: SendRequest = parse(BODY, broadcast=True)
    request = structs.replace(request, option=structs.replace(request.option, **option))
    found, _ = await look_up(flow.system, await flow.channel(), request, origin="console")
    return found


async def test_a_message_that_nothing_keeps_back(flow: Flow) -> None:
    found = await facts(flow)
    assert policy_errors(found) == []
    assert found.sender is not None
    assert (found.sender.code, found.approval_needed) == ("main", False)


async def test_everything_that_keeps_a_message_back_is_found_at_once(flow: Flow) -> None:
    system = flow.system
    await rule(system, flow.key, broadcasts_per_day=1)
    await content_filter.add(system, "casino")
    channel = await flow.channel()
    made = await access_lists.create(system, channel, "allow", "VIP")
    before = await facts(flow, black_id=made.id)
    async with system.database.write() as tx:
        quota = before.quota
        assert quota is not None
        row = {"channel_id": channel.id, "day": quota.day, "broadcasts": 1}
        await tx.run(broadcast_usage.insert().values(row))
    await senders.set_open(system, "main", open=False)
    found = policy_errors(await facts(flow, black_id=made.id))
    assert [error.reason for error in found] == [
        "no_sender",
        "blocklist_unknown",
        "sensitive_word",
        "broadcast_quota",
    ]
    assert found[2].values == {"word": "casino"}


async def test_the_errors_follow_from_the_facts_alone(flow: Flow) -> None:
    good = await facts(flow)
    channel = structs.replace(good.channel, open=False)
    lacking = Invalid("missing", field="owner")
    for changes, reasons in (
        ({"channel": channel}, ["channel_closed"]),
        ({"unapproved": lacking}, ["missing"]),
        ({"quiet": Refused("quiet_hours")}, ["quiet_hours"]),
        ({"quota": Quota(1, "2026-01-01", 3), "quota_used": 2}, []),
        ({"quota": Quota(1, "2026-01-01", 3), "quota_used": 3}, ["broadcast_quota"]),
        ({"quota": None, "quota_used": 3}, []),
    ):
        found = policy_errors(structs.replace(good, **changes))
        assert [error.reason for error in found] == reasons
