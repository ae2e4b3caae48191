"""Operators' rules for replies, and the replies that no rule knows."""

from collections.abc import AsyncIterator

import pytest

from support.fakes import SmtpServer
from support.flow import Flow, open_flow
from ums.core.senders import reply_rules
from ums.core.senders.reply_rules import LONGEST
from ums.engine.worker import running
from ums.errors import Invalid, NotFound

STRANGE = b"550 Our elders have spoken against a@x.cn, case 77\r\n"


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def flow(system: object, server: SmtpServer) -> Flow:
    return await open_flow(system, server)  # type: ignore[arg-type]


async def test_a_rule_says_what_a_reply_means(flow: Flow, server: SmtpServer) -> None:
    server.script["RCPT"] = lambda call: STRANGE
    async with running(flow.system):
        first = await flow.send("a@x.cn")
        await flow.until_settled(first)
        assert (await flow.delivery(first)).reason == "refused"
        (unclear,) = await reply_rules.unclear(flow.system)
        assert (unclear.code, unclear.stage, unclear.count) == (550, "rcpt", 1)
        rule = await reply_rules.create(flow.system, "ELDERS have spoken", "no_such_mailbox", "55x")
        second = await flow.send("a@x.cn")
        await flow.until_settled(second)
        found = await flow.delivery(second)
        assert (found.state, found.reason) == ("failed", "no_such_mailbox")
        assert [one.reason for one in await flow.attempts(second)] == ["no_such_mailbox"]
    await reply_rules.remove(flow.system, rule.id)
    assert await reply_rules.list_rules(flow.system) == []


async def test_replies_that_are_alike_are_counted_together(flow: Flow, server: SmtpServer) -> None:
    number = iter(range(100))
    server.script["RCPT"] = lambda call: (
        f"550 Go away {call.line.partition(':')[2]} (ref {next(number)}x)\r\n".encode()
        if b"never" not in str(call.line).encode()
        else b"550 5.1.1 User unknown\r\n"
    )
    async with running(flow.system):
        msgid = await flow.send("a@x.cn", "b@x.cn", "never@x.cn")
        await flow.until_settled(msgid)
    (unclear,) = await reply_rules.unclear(flow.system)
    assert (unclear.count, unclear.reason) == (2, "refused")
    assert unclear.text.startswith("Go away <")


@pytest.mark.parametrize(
    ("text", "reason", "code", "refusal"),
    [
        ("no", "content", "", "rule_text"),
        ("x" * (LONGEST + 1), "content", "", "rule_text"),
        (" padded ", "content", "", "rule_text"),
        ("two\nlines", "content", "", "rule_text"),
        ("words", "sent", "", "bad_value"),
        ("words", "nonsense", "", "bad_value"),
        ("words", "content", "250", "bad_value"),
        ("words", "content", "5x", "bad_value"),
    ],
)
async def test_rules_that_make_no_sense(
    flow: Flow, text: str, reason: str, code: str, refusal: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await reply_rules.create(flow.system, text, reason, code)
    assert refused.value.reason == refusal


async def test_one_rule_for_a_text(flow: Flow) -> None:
    await reply_rules.create(flow.system, "some words", "content")
    await reply_rules.create(flow.system, "some words", "policy", "550")
    with pytest.raises(Invalid):
        await reply_rules.create(flow.system, "some words", "rate")
    assert [one.reason for one in await reply_rules.list_rules(flow.system)] == [
        "policy",
        "content",
    ]
    with pytest.raises(NotFound):
        await reply_rules.remove(flow.system, 99)
