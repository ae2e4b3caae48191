"""What a mailbox tells of mails that were handed over, and what follows: once, whatever is read
twice, and only where the Message-ID is ours."""

from typing import Any

import pytest
from sqlalchemy import delete, select, update

from support import letters
from support.flow import Flow, open_flow
from support.imap import PASSWORD, ImapServer, mailbox_at
from support.queues import change, filled
from support.telling import told_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.deliveries import feedback, mailbox_polling, suppressions
from ums.core.deliveries.message_id import Signer, signer_of
from ums.core.senders import mailboxes, reputation
from ums.core.senders.mailboxes import MailboxInfo
from ums.core.tables import audit, callback_records, deliveries, messages, sender_outcomes
from ums.core.tables import mailboxes as table
from ums.errors import Invalid, NotFound


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def opened(flow: Flow, server: ImapServer, **changes: Any) -> MailboxInfo:
    return await mailboxes.set_mailbox(flow.system, "main", mailbox_at(server.port, **changes))


def message_id(flow: Flow, delivery: int) -> str:
    signer = signer_of(flow.system.seal)
    return f"{signer.token(delivery)}@sender.example"


async def handed_over(
    flow: Flow, count: int = 1, state: str = "unknown", reason: str = "no_answer"
) -> list[int]:
    rows = await flow.deliveries(await filled(flow, count, f"n{clock.now()}"))
    for row in rows:
        values = {"state": state, "reason": reason, "tries": 1}
        await change(flow, deliveries.c.id == row.id, **values)
    return [row.id for row in rows]


async def msgid_of(flow: Flow, delivery: int) -> str:
    query = select(messages.c.msgid).join(deliveries, deliveries.c.message_id == messages.c.id)
    async with flow.system.database.read() as tx:
        return str(await tx.value(query.where(deliveries.c.id == delivery)))


async def states(flow: Flow, ids: list[int]) -> list[tuple[str, str, int]]:
    query = select(deliveries).where(deliveries.c.id.in_(ids)).order_by(deliveries.c.id)
    async with flow.system.database.read() as tx:
        return [(row.state, row.reason, row.tries) for row in await tx.rows(query)]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("unknown", "no_answer"),
        ("unknown", "unknown_outcome"),
        ("unknown", "engine_error"),
        ("deferred", "no_answer"),
        ("paused", "unknown_outcome"),
    ],
)
async def test_a_mail_in_doubt_that_stands_in_the_sent_folder_was_taken(
    flow: Flow, state: str, reason: str
) -> None:
    one, two = await handed_over(flow, 2, state, reason)
    async with ImapServer() as server:
        server.folders["Sent"].add(letters.sent(message_id(flow, one)))
        await opened(flow, server)
        found = await mailbox_polling.look_now(flow.system, "main")
        assert (found.arrived, found.found_sent_folder, found.problem) == (1, "Sent", "")
        assert await states(flow, [one, two]) == [("sent", "", 2), (state, reason, 1)]
        assert (await mailbox_polling.look_now(flow.system, "main")).arrived == 1
    msgid = await msgid_of(flow, one)
    attempt = (await flow.attempts(msgid))[-1]
    assert (attempt.stage, attempt.verdict, attempt.reason) == ("after", "sent", feedback.SEEN)
    async with flow.system.database.read() as tx:
        noted = await tx.rows(select(audit).where(audit.c.action == "message.resolve"))
    assert [(row.subject, row.detail) for row in noted] == [
        (msgid, "1 arrived (in the Sent folder)")
    ]


async def test_a_deferred_delivery_of_another_reason_is_left_alone(flow: Flow) -> None:
    ids = await handed_over(flow, 1, "deferred", "greylist")
    async with ImapServer() as server:
        server.folders["Sent"].add(letters.sent(message_id(flow, ids[0])))
        await opened(flow, server)
        await mailbox_polling.look_now(flow.system, "main")
    assert await states(flow, ids) == [("deferred", "greylist", 1)]


@pytest.mark.parametrize(("state", "reason"), [("sent", ""), ("unknown", "no_answer")])
async def test_a_mail_that_came_back_failed(flow: Flow, state: str, reason: str) -> None:
    ids = await handed_over(flow, 3, state, reason)
    async with ImapServer() as server:
        await opened(flow, server)
        server.inbox.add(letters.report(message_id(flow, ids[0])))
        server.inbox.add(letters.report(message_id(flow, ids[1]), "554 5.7.1 spam", status="5.7.1"))
        found = await mailbox_polling.look_now(flow.system, "main")
    assert (found.bounced, found.arrived) == (2, 0)
    assert await states(flow, ids) == [
        ("failed", "no_such_mailbox", 2),
        ("failed", "policy", 2),
        (state, reason, 1),
    ]
    listed = await suppressions.list_suppressions(flow.system, await flow.channel())
    assert [(one.reason, one.delivery_id) for one in listed.items] == [("no_such_mailbox", ids[0])]
    async with flow.system.database.read() as tx:
        counted = [(row.total, row.bounced) for row in await tx.rows(select(sender_outcomes))]
    assert counted == [(0, 1)]


@pytest.mark.parametrize("kind", ["delayed", "delivered", "answered"])
async def test_any_letter_proves_that_it_was_taken(flow: Flow, kind: str) -> None:
    one, two = await handed_over(flow, 2)
    await change(flow, deliveries.c.id == two, state="sent", reason="")
    async with ImapServer() as server:
        await opened(flow, server)
        for id in (one, two):
            mine = message_id(flow, id)
            answer = letters.answer(mine)
            letter = letters.report(mine, "450 4.4.1 later", status="4.4.1", action=kind)
            server.inbox.add(answer if kind == "answered" else letter)
        assert (await mailbox_polling.look_now(flow.system, "main")).arrived == 1
    assert await states(flow, [one, two]) == [("sent", "", 2), ("sent", "", 1)]


async def test_a_complaint_suppresses_and_counts(flow: Flow) -> None:
    ids = await handed_over(flow, 1, "sent", "")
    async with ImapServer() as server:
        await opened(flow, server)
        server.inbox.add(letters.complaint(message_id(flow, ids[0])))
        assert (await mailbox_polling.look_now(flow.system, "main")).complained == 1
    assert await states(flow, ids) == [("sent", "", 1)]
    listed = (await suppressions.list_suppressions(flow.system, await flow.channel())).items
    assert [(one.reason, one.expires_at) for one in listed] == [("complaint", None)]
    assert (await reputation.standing_of(flow.system, "main")).complained == 1
    async with flow.system.database.write() as tx:
        await suppressions.forgive(tx, ids)  # a later mail that is taken is no answer to it
    assert len((await suppressions.list_suppressions(flow.system, await flow.channel())).items) == 1


async def test_forged_letters_change_nothing(flow: Flow) -> None:
    ids = await handed_over(flow, 2, "sent", "")
    mine = message_id(flow, ids[0])
    other = Signer(b"x" * 32).token(ids[0])
    forged = (f"{mine[:-20]}0@sender.example", f"{other}@sender.example", "1@x", f"x{mine}")
    async with ImapServer() as server:
        await opened(flow, server)
        for id in forged:
            server.inbox.add(letters.report(id))
            server.inbox.add(letters.complaint(id))
        found = await mailbox_polling.look_now(flow.system, "main")
    assert (found.bounced, found.complained, found.problem) == (0, 0, "")
    assert await states(flow, ids) == [("sent", "", 1)] * 2
    assert (await suppressions.list_suppressions(flow.system, await flow.channel())).items == []


async def test_reports_of_old_deliveries_are_not_believed(flow: Flow) -> None:
    ids = await handed_over(flow, 1, "sent", "")
    long_ago = clock.now() - feedback.OLDEST - clock.MINUTE
    await change(flow, deliveries.c.id == ids[0], created_at=long_ago)
    async with ImapServer() as server:
        await opened(flow, server)
        server.inbox.add(letters.report(message_id(flow, ids[0])))
        assert (await mailbox_polling.look_now(flow.system, "main")).bounced == 0


async def test_the_same_letter_read_twice_counts_once(flow: Flow) -> None:
    """F16, F48: numbers that begin anew, or a death between reading and storing."""
    ids = await handed_over(flow, 1, "sent", "")
    async with ImapServer() as server:
        await opened(flow, server)
        server.inbox.add(letters.report(message_id(flow, ids[0])))
        await mailbox_polling.look_now(flow.system, "main")
        # Somebody sends it again, and this time it arrives.
        await change(flow, deliveries.c.id == ids[0], state="sent", reason="")
        server.inbox.uidvalidity += 1
        found = await mailbox_polling.look_now(flow.system, "main")
    assert (found.bounced, await states(flow, ids)) == (1, [("sent", "", 2)])


async def test_a_server_that_hangs_up_is_called_again_and_nothing_doubles(flow: Flow) -> None:
    """F48."""
    ids = await handed_over(flow, 30, "sent", "")
    async with ImapServer() as server:
        await opened(flow, server)
        for id in ids:
            server.inbox.add(letters.report(message_id(flow, id)))
        fetches = 0

        async def hold(verb: str) -> None:
            nonlocal fetches
            fetches += verb == "UID FETCH"
            server.hang_up_at = "UID FETCH" if fetches == 15 else ""

        server.hold = hold
        broken = await mailbox_polling.look_now(flow.system, "main")
        assert (broken.problem, broken.bounced) == ("mailbox_away", 0)
        assert broken.next_poll_at is not None
        found = await mailbox_polling.look_now(flow.system, "main")
        assert (found.problem, found.bounced) == ("", 30)
    assert {state for state, *_ in await states(flow, ids)} == {"failed"}


async def test_what_came_back_is_told(system: AppContext) -> None:
    flow = await told_flow(system, ChannelPolicy(callbacks=True))
    ids = await handed_over(flow, 2, "sent", "")
    await change(flow, deliveries.c.id == ids[1], state="unknown", reason="no_answer")
    async with system.database.write() as tx:
        await tx.run(delete(callback_records))
    async with ImapServer() as server:
        await opened(flow, server)
        server.inbox.add(letters.report(message_id(flow, ids[0])))
        server.folders["Sent"].add(letters.sent(message_id(flow, ids[1])))
        await mailbox_polling.look_now(flow.system, "main")
    async with flow.system.database.read() as tx:
        rows = await tx.rows(select(callback_records).order_by(callback_records.c.delivery_id))
    assert [(row.delivery_id, row.type, row.code) for row in rows] == [
        (ids[0], 5, 550),
        (ids[1], 2, 0),
    ]


async def test_when_it_is_looked_into(flow: Flow) -> None:
    async def due() -> bool:
        return await mailbox_polling.look_due(flow.system)

    async with ImapServer() as server:
        assert not await due()
        await opened(flow, server)
        assert await due()
        assert not await due()
        ids = await handed_over(flow, 1)
        assert not await due()  # looked at a moment ago
        await moved(flow, polled_at=clock.now() - mailbox_polling.SOON)
        assert await due()
        await change(flow, deliveries.c.id == ids[0], state="sent", reason="")
        await moved(flow, polled_at=clock.now() - mailbox_polling.SOON)
        assert not await due()  # nothing is in doubt any more
        await moved(flow, next_poll_at=clock.now())
        assert await due()


async def moved(flow: Flow, **values: Any) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(update(table).values(**values))


async def test_a_wrong_password_is_told_and_seldom_tried(flow: Flow) -> None:
    async with ImapServer() as server:
        await opened(flow, server, password="wrong")
        await mailbox_polling.look_due(flow.system)
        found = await mailboxes.show(flow.system, "main")
        assert found is not None
        assert (found.problem, server.logins) == ("mailbox_login", 1)
        assert "password" in found.problem_detail
        assert not await mailbox_polling.look_due(flow.system)
        await opened(flow, server)
        assert await mailbox_polling.look_due(flow.system)
        found = await mailboxes.show(flow.system, "main")
        assert found is not None
        assert found.problem == ""


async def test_its_password_goes_nowhere_else(flow: Flow) -> None:
    async with ImapServer() as server:
        with pytest.raises(Invalid, match="password"):
            await opened(flow, server, password=None)
        await opened(flow, server)
        await opened(flow, server, password=None, inbox="Bounces")
        for elsewhere in ({"port": server.port + 1}, {"account": "x"}, {"host": "localhost"}):
            with pytest.raises(Invalid) as caught:
                await opened(flow, server, password=None, **elsewhere)
            assert caught.value.reason == "password_again"
    found = await mailboxes.show(flow.system, "main")
    assert found is not None
    assert found.inbox == "Bounces"
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "a b"}, "host_shape"),
        ({"host": ""}, "host_shape"),
        ({"port": 0}, "port_range"),
        ({"encryption": "tls"}, "encryption"),
        ({"account": "a\r\nA1 DELETE x"}, "control_characters"),
        ({"sent_folder": "x\n"}, "control_characters"),
        ({"inbox": "x\x00"}, "control_characters"),
        ({"password": "a\r\n"}, "control_characters"),
        ({"inbox": "x" * 256}, "misfit"),
        ({"inbox": " "}, "missing"),
        ({"allow_port": False}, "mailbox_port"),
    ],
)
async def test_bad_settings_are_refused(flow: Flow, changes: dict[str, Any], reason: str) -> None:
    async with ImapServer() as server:
        with pytest.raises(Invalid) as caught:
            await opened(flow, server, **changes)
    assert caught.value.reason == reason
    assert await mailboxes.show(flow.system, "main") is None


async def test_where_there_is_none(flow: Flow) -> None:
    assert await mailboxes.show(flow.system, "main") is None
    for work in (mailboxes.remove, mailbox_polling.look_now):
        with pytest.raises(NotFound, match="no mailbox"):
            await work(flow.system, "main")
        with pytest.raises(NotFound):
            await work(flow.system, "nobody")
    async with ImapServer() as server:
        await opened(flow, server)
    await mailboxes.remove(flow.system, "main")
    assert await mailboxes.show(flow.system, "main") is None


def test_message_ids_are_signed() -> None:
    signer = Signer(b"k" * 32)
    for id in (0, 1, 255, 2**40):
        token = signer.token(id)
        assert signer.read(f"<{token}@x.example>") == signer.read(f"{token}@y") == id
        assert signer.read(token.upper()) is None
        assert Signer(b"l" * 32).read(token) is None
    for text in ("", "<>", "x", ".", "1.", f"1.{'0' * 20}", "g.0123", "1" * 400):
        assert signer.read(text) is None
