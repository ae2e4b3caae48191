"""SMTP behind the protocol of sender types: the commit stands before the final dot."""

import msgspec
import pytest

from support.fakes import DROP, SmtpServer
from ums.core.transports.protocol import MessageFacts, Recipient, TransportError
from ums.core.transports.smtp import SmtpMail, SmtpTransport, SmtpTransportSession
from ums.mail.email_account import EmailSettings
from ums.mail.mime.builder import MimeContent
from ums.mail.outcomes import Encryption, Scope, Stage, Timeouts, Verdict, unwatched

TIMES = Timeouts(connect=30, command=30, dot=30)


class Withdrawn(Exception):
    """The intent was not stored."""


def settings_of(server: SmtpServer) -> str:
    own = EmailSettings("127.0.0.1", server.port, Encryption.NONE, "", "a@example.com")
    return msgspec.json.encode(own).decode()


async def opened(server: SmtpServer) -> SmtpTransportSession:
    return await SmtpTransport().open(settings_of(server), "", TIMES, unwatched)


def mail_for(server: SmtpServer, address: str = "b@example.org") -> SmtpMail:
    template = SmtpTransport().build(settings_of(server), MimeContent("s", "t"), automatic=True)
    return template.render(Recipient(address, "7.mark"), MessageFacts(0))


async def test_the_message_id_names_the_delivery_at_the_account_s_domain() -> None:
    async with SmtpServer() as server:
        assert b"Message-ID: <7.mark@example.com>" in mail_for(server).body


async def test_what_commit_raises_is_raised_and_nothing_is_sent() -> None:
    async def commit() -> SmtpMail | None:
        raise Withdrawn

    async with SmtpServer() as server:
        session = await opened(server)
        with pytest.raises(Withdrawn):
            await session.send(mail_for(server), commit, unwatched)
        assert not session.usable
    assert server.mails == []


async def test_commit_is_awaited_before_the_dot_and_names_the_mail_that_follows() -> None:
    async with SmtpServer() as server:
        first, second = mail_for(server), mail_for(server, "c@example.org")

        async def commit() -> SmtpMail | None:
            assert server.mails == []
            return second

        async def last() -> SmtpMail | None:
            return None

        session = await opened(server)
        assert (await session.send(first, commit, unwatched)).verdict is Verdict.SENT
        assert (await session.send(second, last, unwatched)).verdict is Verdict.SENT
        assert session.carried == 2
        await session.close()
    assert [mail.rcpt_to for mail in server.mails] == ["b@example.org", "c@example.org"]


async def test_a_failure_to_send_is_an_outcome() -> None:
    async def commit() -> SmtpMail | None:
        return None

    async with SmtpServer(script={"RCPT": [b"550 5.1.1 no such user\r\n"]}) as server:
        session = await opened(server)
        outcome = await session.send(mail_for(server), commit, unwatched)
    assert (outcome.verdict, outcome.stage) == (Verdict.REFUSED, Stage.RCPT)


async def test_a_failure_to_open_says_what_the_sender_has_to_do() -> None:
    async with SmtpServer(script={"GREETING": lambda _call: DROP}) as server:
        with pytest.raises(TransportError) as caught:
            await opened(server)
    assert caught.value.outcome.scope is Scope.SENDER
