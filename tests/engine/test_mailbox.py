"""Mails in doubt that the account's own mailbox knows of, with engine, mail server and mailbox."""

import pytest

from support import letters
from support.fakes import DROP_TAKEN, SmtpServer
from support.flow import Flow, open_flow, until, with_settings
from support.imap import ImapServer, mailbox_at
from ums.core.context.app_context import AppContext
from ums.core.deliveries import mailbox_polling
from ums.core.senders import mailboxes
from ums.engine import worker
from ums.engine.worker import running


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOK_POLL", 0.05)
    monkeypatch.setattr(mailbox_polling, "SOON", 50)


async def opened(flow: Flow, server: ImapServer) -> None:
    await mailboxes.set_mailbox(flow.system, "main", mailbox_at(server.port))


async def test_what_stands_in_the_sent_folder_is_sent(system: AppContext) -> None:
    async with SmtpServer() as server, ImapServer() as box:
        server.script["DOT"] = lambda call: DROP_TAKEN
        flow = await open_flow(system, server)
        await opened(flow, box)
        async with running(system):
            msgid = await flow.broadcast(1)
            assert await flow.until_settled(msgid) == {"unknown": 1}
            box.folders["Sent"].add(server.mails[0].data)  # as providers keep what they took
            await flow.until_state(msgid, "sent")
    assert [(a.stage, a.reason) for a in await flow.attempts(msgid)] == [
        ("dot", "no_answer"),
        ("after", "in_sent_folder"),
    ]


async def test_a_single_mail_is_found_before_it_would_be_sent_again(system: AppContext) -> None:
    with_settings(system, unknown_retry_seconds=60.0)
    async with SmtpServer() as server, ImapServer() as box:
        server.script["DOT"] = lambda call: DROP_TAKEN
        flow = await open_flow(system, server)
        await opened(flow, box)
        async with running(system):
            msgid = await flow.send("a@example.cn")
            await flow.until_state(msgid, "deferred")
            box.folders["Sent"].add(server.mails[0].data)
            await flow.until_state(msgid, "sent")
    assert len(server.mails) == 1


async def test_a_bounce_of_a_mail_that_went_out(system: AppContext) -> None:
    async with SmtpServer() as server, ImapServer() as box:
        flow = await open_flow(system, server)
        await opened(flow, box)
        async with running(system):
            await until(lambda: _looked(system))
            msgid = await flow.send("gone@example.org")
            assert await flow.until_settled(msgid) == {"sent": 1}
            head = server.mails[0].data.decode()
            id = head.partition("Message-ID: <")[2].partition(">")[0]
            box.inbox.add(letters.report(id))
            await mailbox_polling.look_now(system, "main")
            await flow.until_state(msgid, "failed")
            again = await flow.send("gone@example.org")
            assert await flow.until_settled(again) == {"suppressed": 1}


async def _looked(system: AppContext) -> bool:
    found = await mailboxes.show(system, "main")
    return found is not None and found.polled_at is not None
