"""Servers and arguments that mean harm: no hang, no leak, no reply taken for another's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from support.fakes import DROP, HANG, Act, SmtpServer
from ums.mail.outcomes import Encryption, Envelope, Stage
from ums.mail.smtp import protocol
from ums.mail.smtp.session import Server, SmtpError, SmtpErrorKind, Timeouts, connect

PATIENT = Timeouts(connect=30, command=30, dot=30)
QUICK = Timeouts(connect=30, command=0.5, dot=0.5)  # where the server says nothing at all
DRIP = Act(b"250-" + b"drip " * 200 + b"\r\n", gap=0.05)  # for most of a minute
LETTER = Envelope("a@example.com", "b@example.org", 3)


def server_at(port: int, timeouts: Timeouts = PATIENT, **settings: object) -> Server:
    return Server("127.0.0.1", port, Encryption.NONE, timeouts=timeouts, **settings)


async def trouble(coroutine: Awaitable[object]) -> SmtpError:
    with pytest.raises(SmtpError) as caught:
        async with asyncio.timeout(20):  # before any patience ends, so that nothing waits for it
            await coroutine
    return caught.value


async def transaction(fake: SmtpServer, timeouts: Timeouts) -> None:
    session = await connect(server_at(fake.port, timeouts))
    await session.start(LETTER)
    await session.body(b"x\r\n")
    await session.finish()


@pytest.mark.parametrize(
    ("key", "stage"),
    [
        ("GREETING", Stage.GREETING),
        ("EHLO", Stage.EHLO),
        ("MAIL", Stage.MAIL),
        ("RCPT", Stage.RCPT),
        ("DATA", Stage.DATA),
        ("DOT", Stage.DOT),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        HANG,
        DROP,
        DRIP,
        Act(b"250 " + b"x" * 1_000_000 + b"\r\n"),
        Act(b"250-" + b"x" * 4000 + b"\r\n" + (b"250-" + b"x" * 4000 + b"\r\n") * 20),
        Act(b"x" * 5000),
        Act(b"250-one\r\n550 other\r\n"),
        Act(b"\x16\x03\x01\x00\xff" + b"\x00" * 20 + b"\r\n"),
        Act(b"-1 \r\n"),
        Act(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Act(b"100 hm\r\n"),
        Act(b"399 hm\r\n"),
    ],
    ids=lambda act: repr(act.reply[:12]) if isinstance(act, Act) else "",
)
async def test_bad_reply_ends_in_time_at_its_stage(key: str, stage: Stage, act: Act) -> None:
    async with SmtpServer() as fake:
        fake.script[key] = [act]
        error = await trouble(transaction(fake, QUICK if act in (HANG, DRIP) else PATIENT))
        # An octet soup may reach us in the same read as the replies before it; it is still told
        # at the stage that it stands for.
        assert (error.stage, error.kind in {SmtpErrorKind.LOST, SmtpErrorKind.GARBAGE}) == (
            stage,
            True,
        )


@pytest.mark.parametrize("extra", [b"250 extra\r\n", b"550 5.1.1 stray\r\n", b"junk"])
async def test_unasked_reply_is_never_taken_for_an_answer(extra: bytes) -> None:
    async with SmtpServer() as fake:
        fake.script["DOT"] = [b"250 2.0.0 taken\r\n" + extra]
        session = await connect(server_at(fake.port))
        await session.start(LETTER)
        await session.body(b"x\r\n")
        assert (await session.finish()).text == "taken"
        if extra == b"junk":  # not yet a line: it garbles the next reply instead
            error = await trouble(session.start(LETTER))
        else:
            assert not session.usable
            error = await trouble(session.start(LETTER))
        assert (error.kind, error.stage, error.reply) == (SmtpErrorKind.GARBAGE, Stage.MAIL, None)
    assert len(fake.mails) == 1


async def test_extra_greeting_is_garbage() -> None:
    async with SmtpServer() as fake:
        fake.script["GREETING"] = [b"220 a\r\n250 already\r\n"]
        assert (await trouble(connect(server_at(fake.port)))).kind is SmtpErrorKind.GARBAGE


CONTROL = [chr(n) for n in (*range(32), 127)]


@pytest.mark.parametrize("field", ["mail_from", "rcpt_to"])
async def test_no_address_smuggles_a_command(field: str) -> None:
    hostile = [f"a{c}b@example.org" for c in CONTROL]
    hostile += [f"a@example.org{c}" for c in CONTROL]
    hostile += [f'"a{c}b"@example.org' for c in "\r\n\0"]
    hostile += ["a@b> SIZE=1", "a b@example.org", "<a@b>", "a@b>\r\nRCPT TO:<c@d", "@", "a@", "a"]
    hostile += ["a@b@c d", "a@\ud800b"]
    async with SmtpServer() as fake:
        session = await connect(server_at(fake.port))
        for address in hostile:
            parts = {"mail_from": "a@example.com", "rcpt_to": "b@example.org", field: address}
            error = await trouble(session.start(Envelope(size=3, **parts)))
            assert error.kind is SmtpErrorKind.INVALID, address
        assert session.usable
        await session.quit()
    assert fake.verbs() == ["EHLO", "QUIT"]


async def test_null_sender_and_quoted_local_part_pass() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake.port))
        await session.start(Envelope("", '"a b>c"@example.org', 3))
        assert (await session.finish()).ok
        await session.quit()
    assert fake.commands[1].line.startswith("MAIL FROM:<> ")


@pytest.mark.parametrize("name", ["me\r\nMAIL FROM:<x@y>", "me\0", "me\x7f"])
async def test_local_name_smuggles_no_command(name: str) -> None:
    async with SmtpServer() as fake:
        error = await trouble(connect(server_at(fake.port, local_name=name)))
        assert error.kind is SmtpErrorKind.INVALID
    assert fake.commands == []


@pytest.mark.parametrize(
    "act", [HANG, DROP, Act(b"\0\0\0\r\n"), Act(b"junk"), Act(b"500 no\r\n"), Act(b"")]
)
async def test_quit_never_raises(act: Act) -> None:
    async with SmtpServer() as fake:
        fake.script["QUIT"] = [act]
        session = await connect(server_at(fake.port, QUICK))
        async with asyncio.timeout(20):
            await session.quit()
            await session.quit()
        assert not session.usable


async def test_noop_tells_a_dead_session() -> None:
    async with SmtpServer() as fake:
        fake.script["NOOP"] = [None, DROP]
        session = await connect(server_at(fake.port))
        await session.noop()
        assert (await trouble(session.noop())).kind is SmtpErrorKind.LOST


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_server_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_SLOWEST", 1e12)  # else 10 MB may take 20 minutes
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        await reader.readline()
        writer.write(b"250 PIPELINING\r\n")
        for _ in range(3):
            await reader.readline()
            writer.write(b"354 x\r\n" if _ == 2 else b"250 x\r\n")
        await over.wait()
        writer.close()

    async with listening(serve) as port:
        session = await connect(server_at(port, QUICK))
        await session.start(LETTER)
        error = await trouble(session.body(b"x" * 9_999_998 + b"\r\n"))
        assert (error.kind, error.stage) == (SmtpErrorKind.LOST, Stage.DATA)
        over.set()


async def test_refused_connection_and_unknown_name() -> None:
    async with SmtpServer() as fake:
        pass
    error = await trouble(connect(server_at(fake.port)))
    assert (error.kind, error.stage) == (SmtpErrorKind.LOST, Stage.CONNECT)
    for host in ("no-such-host.invalid", "a" * 80 + ".example", "bad\0name"):
        nowhere = Server(host, 25, Encryption.NONE, timeouts=QUICK)
        error = await trouble(connect(nowhere))
        assert error.stage is Stage.RESOLVE
        assert error.kind in {SmtpErrorKind.DNS_MISSING, SmtpErrorKind.DNS_FAILED}
