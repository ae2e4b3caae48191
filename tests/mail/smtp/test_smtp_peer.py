"""The SMTP client against servers that others wrote: aiosmtpd, and postfix's smtp-sink."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from aiosmtpd.smtp import Envelope as PeerEnvelope

from support.fakes import Certificates
from support.postgres import reserved_port
from ums.mail.outcomes import Encryption, Envelope, Stage
from ums.mail.smtp.session import (
    Server,
    SmtpError,
    SmtpErrorKind,
    SmtpSession,
    Timeouts,
    connect,
    stuffed,
)

PATIENT = Timeouts(connect=30, command=30, dot=30)
SINK = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin:/usr/lib/postfix")


class Ledger:
    def __init__(self) -> None:
        self.mails: list[PeerEnvelope] = []

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, server: Any, session: Any, envelope: PeerEnvelope, address: str, options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: PeerEnvelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 2.0.0 taken"


def judge(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"me", b"secret")
    return AuthResult(success=good, handled=False)


@asynccontextmanager
async def aiosmtpd(ledger: Ledger, **settings: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    wrap = settings.pop("ssl", None)
    server = await loop.create_server(
        lambda: SMTP(ledger, enable_SMTPUTF8=True, loop=loop, **settings), "127.0.0.1", 0, ssl=wrap
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def deliver(server: Server, *letters: Envelope, data: bytes) -> None:
    session = await connect(server)
    for letter in letters:
        await session.start(letter)
        await session.body(data)
        assert (await session.finish()).ok
    await session.quit()


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("mode", list(Encryption))
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_aiosmtpd_with_log_in(mode: Encryption, mechanism: str) -> None:
    certificates, ledger = Certificates(), Ledger()
    settings: dict[str, Any] = {
        "authenticator": judge,
        "auth_required": True,
        "auth_require_tls": mode is Encryption.STARTTLS,
        "auth_exclude_mechanism": [{"PLAIN": "LOGIN", "LOGIN": "PLAIN"}[mechanism]],
    }
    if mode is Encryption.STARTTLS:
        settings |= {"tls_context": certificates.server(), "require_starttls": True}
    elif mode is Encryption.SSL:
        settings |= {"ssl": certificates.server()}
    letters = [Envelope("a@example.com", f"u{n}@example.org", 20) for n in range(3)]
    text = b"Subject: x\r\n\r\n.dots\r\n..\r\n.\r\nend\r\n"
    async with aiosmtpd(ledger, **settings) as port:
        server = Server(
            "localhost", port, mode, "me", "secret", tls=certificates.client(), timeouts=PATIENT
        )
        await deliver(server, *letters, data=stuffed(text))
        wrong = Server(
            "localhost", port, mode, "me", "wrong", tls=certificates.client(), timeouts=PATIENT
        )
        with pytest.raises(SmtpError) as caught:
            await connect(wrong)
    assert (caught.value.kind, caught.value.stage) == (SmtpErrorKind.REFUSED, Stage.AUTH)
    assert [mail.rcpt_tos for mail in ledger.mails] == [[f"u{n}@example.org"] for n in range(3)]
    assert {mail.content for mail in ledger.mails} == {text}


async def test_aiosmtpd_refusals_and_sizes() -> None:
    ledger = Ledger()
    async with aiosmtpd(ledger, data_size_limit=1000) as port:
        session = await connect(Server("127.0.0.1", port, Encryption.NONE, timeouts=PATIENT))
        with pytest.raises(SmtpError) as caught:
            await session.start(Envelope("a@example.com", "nobody@example.org", 9))
        assert caught.value.stage is Stage.RCPT
        with pytest.raises(SmtpError) as caught:
            await session.start(Envelope("a@example.com", "b@example.org", 1001))
        assert caught.value.kind is SmtpErrorKind.TOO_BIG
        await session.start(Envelope("a@example.com", "用户@example.org", 9))
        await session.body(b"x\r\n")
        assert (await session.finish()).text == "taken"
        await session.quit()
    assert ledger.mails[0].rcpt_tos == ["用户@example.org"]
    assert ledger.mails[0].smtp_utf8


async def connected(port: int) -> SmtpSession:
    """A session with a server that is just starting."""
    while True:
        try:
            return await connect(Server("127.0.0.1", port, Encryption.NONE, timeouts=PATIENT))
        except SmtpError:
            await asyncio.sleep(0.05)


@pytest.mark.skipif(SINK is None, reason="postfix's smtp-sink is not installed")
async def test_smtp_sink_takes_a_pipelined_stream() -> None:
    assert SINK is not None
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        sink = await asyncio.create_subprocess_exec(SINK, "-u", "nobody", address, "100")
        try:
            await _stream(port)
        finally:
            sink.terminate()
            await sink.wait()


async def _stream(port: int) -> None:
    async with asyncio.timeout(60):
        session = await connected(port)
    letters = [Envelope("a@example.com", f"u{n}@example.org", 3) for n in range(200)]
    await session.start(letters[0])
    for following in [*letters[1:], None]:
        await session.body(b"x\r\n")
        assert (await session.finish(following)).ok
        if following is not None:
            await session.start(following)
    assert session.carried == 200
    await session.quit()
