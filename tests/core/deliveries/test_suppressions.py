"""Addresses that a channel no longer writes to: learnt, held back, lifted, forgiven."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from support.fakes import SmtpServer
from support.flow import Flow, open_flow
from ums import clock
from ums.core.deliveries import suppressions
from ums.core.deliveries.suppressions import BY_HAND, STORM, Refusal, learn
from ums.core.messages.resend import resend
from ums.core.tables import suppressions as table
from ums.engine.worker import running
from ums.errors import Invalid

GONE = b"550 5.1.1 No such user here\r\n"
DISABLED = b"550 5.2.1 Mailbox disabled\r\n"


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def flow(system: object, server: SmtpServer) -> Flow:
    return await open_flow(system, server)  # type: ignore[arg-type]


async def held(flow: Flow) -> list[str]:
    found = await suppressions.list_suppressions(flow.system, await flow.channel(), limit=500)
    return [one.address for one in found.items]


async def test_a_hard_refusal_suppresses_the_address(flow: Flow, server: SmtpServer) -> None:
    server.script["RCPT"] = lambda call: GONE
    async with running(flow.system):
        first = await flow.send("gone@x.cn")
        await flow.until_settled(first)
        (one,) = (await suppressions.list_suppressions(flow.system, await flow.channel())).items
        refused = await flow.delivery(first)
        assert (one.address, one.reason, one.expires_at) == ("gone@x.cn", "no_such_mailbox", None)
        assert "No such user here" in one.reply
        assert one.delivery_id == refused.id
        del server.script["RCPT"]
        second = await flow.send("gone@x.cn", "here@x.cn")
        await flow.until_settled(second)
    states = {row.address: (row.state, row.reason) for row in await flow.deliveries(second)}
    assert states == {"gone@x.cn": ("suppressed", "suppressed"), "here@x.cn": ("sent", "")}


ROUTING = (
    b"550 5.4.4 nothing leaves this machine\r\n",
    b"550 5.1.2 Recipient address rejected: Domain not found\r\n",
    b"550 Unrouteable address\r\n",
    b"554 5.3.5 no such user in the table\r\n",
)


async def test_a_relays_own_trouble_suppresses_nobody(flow: Flow, server: SmtpServer) -> None:
    said = iter(ROUTING)
    server.script["RCPT"] = lambda call: next(said)
    async with running(flow.system):
        for number in range(len(ROUTING)):
            await flow.until_settled(await flow.send(f"n{number}@x.cn"))
    assert await held(flow) == []


async def test_policy_and_full_mailboxes_suppress_nobody(flow: Flow, server: SmtpServer) -> None:
    server.script["RCPT"] = lambda call: b"550 5.7.1 Message rejected as spam\r\n"
    async with running(flow.system):
        msgid = await flow.send("a@x.cn")
        await flow.until_settled(msgid)
    assert (await flow.delivery(msgid)).state == "failed"
    assert await held(flow) == []


async def test_a_disabled_mailbox_is_tried_again_after_a_month(
    flow: Flow, server: SmtpServer
) -> None:
    server.script["RCPT"] = lambda call: DISABLED
    async with running(flow.system):
        await flow.until_settled(await flow.send("off@x.cn"))
        assert await held(flow) == ["off@x.cn"]
        async with flow.system.database.write() as tx:
            await tx.run(update(table).values(expires_at=clock.now() - 1))
        assert await held(flow) == []
        again = await flow.send("off@x.cn")
        await flow.until_settled(again)
        assert (await flow.delivery(again)).reason == "mailbox_disabled"
    assert await held(flow) == ["off@x.cn"]  # learnt anew
    async with flow.system.database.write() as tx:
        await tx.run(update(table).values(expires_at=clock.now() - 1))
        await suppressions.forget(tx)
        assert await tx.rows(table.select()) == []


async def test_what_is_taken_after_all_lifts_it(flow: Flow, server: SmtpServer) -> None:
    server.script["RCPT"] = lambda call: GONE
    channel = await flow.channel()
    async with running(flow.system):
        msgid = await flow.send("back@x.cn")
        await flow.until_settled(msgid)
        assert await held(flow) == ["back@x.cn"]
        del server.script["RCPT"]
        await resend(flow.system, channel.id, msgid)
        await flow.until_settled(msgid)
        assert (await flow.delivery(msgid)).state == "sent"
    assert await held(flow) == []


async def test_only_by_hand_is_lifted_only_by_hand(flow: Flow, server: SmtpServer) -> None:
    channel = await flow.channel()
    server.script["RCPT"] = lambda call: b"451 4.7.1 Later\r\n"
    async with running(flow.system):
        msgid = await flow.send("a@x.cn")
        await flow.until_state(msgid, "deferred")
        change = await suppressions.add(flow.system, channel, ["a@X.cn", "b@x.cn"])
        assert (change.changed, change.unchanged) == (2, 0)
        async with flow.system.database.write() as tx:
            await suppressions.forgive(tx, [(await flow.delivery(msgid)).id])
            await learn(tx, [Refusal((await flow.delivery(msgid)).id, "no_such_mailbox", "x")])
        found = await suppressions.list_suppressions(flow.system, channel, address="a@X.CN")
    assert sorted(await held(flow)) == ["a@x.cn", "b@x.cn"]
    assert {one.reason for one in found.items} <= {BY_HAND}
    lifted = await suppressions.lift(flow.system, channel, ["a@x.cn", "never@x.cn"])
    assert (lifted.changed, lifted.unchanged) == (1, 1)
    assert await held(flow) == ["b@x.cn"]


async def test_bad_addresses_are_named_and_change_nothing(flow: Flow) -> None:
    channel = await flow.channel()
    with pytest.raises(Invalid) as caught:
        await suppressions.add(flow.system, channel, ["a@x.cn", "none"])
    assert caught.value.values["field"] == "addresses[1]"
    with pytest.raises(Invalid):
        await suppressions.lift(flow.system, channel, [])
    assert await held(flow) == []


async def test_the_same_address_is_counted_once(flow: Flow) -> None:
    """Two users share a suppressed address: one is suppressed, the other its duplicate."""
    channel = await flow.channel()
    await flow.add_users({"u1": "a@x.cn", "u2": "a@x.cn", "u3": "b@x.cn"})
    await suppressions.add(flow.system, channel, ["a@x.cn"])
    async with running(flow.system):
        msgid = await flow.accept(broadcast=True)
        await flow.until_settled(msgid)
    states = sorted((row.state, row.reason) for row in await flow.deliveries(msgid))
    assert states == [("invalid", "duplicate"), ("sent", ""), ("suppressed", "suppressed")]


async def test_a_sudden_flood_of_one_text_is_held_back(flow: Flow, server: SmtpServer) -> None:
    server.script["RCPT"] = lambda call: GONE
    addresses = [f"u{i}@flood.cn" for i in range(STORM + 20)]
    async with running(flow.system):
        await flow.until_settled(await flow.send(*addresses))
        await flow.until_settled(await flow.send("one@calm.cn"))
    assert len(await held(flow)) == STORM + 1  # another domain is not held back
    (told,) = await suppressions.held_back(flow.system, await flow.channel())
    assert told.reply_pattern.startswith("flood.cn: ")
    # A text that has been known for a day is believed, however often it comes.
    async with flow.system.database.write() as tx:
        await tx.run(update(table).values(created_at=clock.now() - 2 * clock.DAY))
    async with running(flow.system):
        await flow.until_settled(await flow.send(*[f"v{i}@flood.cn" for i in range(STORM + 20)]))
    assert len(await held(flow)) == 2 * STORM + 21
