"""The SMTP client against a scripted server: what goes over the wire, and what comes of it."""

import asyncio

import pytest

from support.fakes import DROP, DROP_TAKEN, Act, SmtpServer
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

PATIENT = Timeouts(connect=30, command=30, dot=30)  # nothing here takes that long
QUICK = Timeouts(connect=30, command=30, dot=0.4)


def server_at(fake: SmtpServer, **settings: object) -> Server:
    base = {"encryption": Encryption.NONE, "local_name": "client.example", "timeouts": PATIENT}
    return Server("127.0.0.1", fake.port, **(base | settings))


def letter(rcpt_to: str = "b@example.org", size: int = 10, **more: object) -> Envelope:
    return Envelope("a@example.com", rcpt_to, size, **more)


async def send(session: SmtpSession, envelope: Envelope, data: bytes = b"Hello\r\n"):
    await session.start(envelope)
    await session.body(data)
    return await session.finish()


async def until_unusable(session: SmtpSession) -> None:
    """Wait until what the server did has been noticed."""
    async with asyncio.timeout(30):
        while session._wire.open:
            await asyncio.sleep(0.01)


async def refused(session: SmtpSession, envelope: Envelope) -> SmtpError:
    with pytest.raises(SmtpError) as caught:
        await session.start(envelope)
    return caught.value


@pytest.mark.parametrize("pipelining", [True, False])
async def test_carries_messages_over_one_session(pipelining: bool) -> None:
    async with SmtpServer(pipelining=pipelining) as fake:
        session = await connect(server_at(fake))
        for number in range(3):
            reply = await send(session, letter(f"u{number}@example.org"), b"One\r\n..two\r\n")
            assert (reply.code, reply.enhanced, reply.ok) == (250, "2.0.0", True)
        assert session.carried == 3
        assert session.usable
        await session.quit()
        assert not session.usable
    assert [mail.rcpt_to for mail in fake.mails] == [f"u{n}@example.org" for n in range(3)]
    assert {mail.data for mail in fake.mails} == {b"One\r\n.two\r\n"}
    assert fake.verbs() == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]
    assert (fake.violations, fake.connections) == ([], 1)


async def test_speaks_plainly_to_a_server_that_breaks_under_pipelining() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake, pipelining=False))
        assert "PIPELINING" in session.features
        fake.pipelining = False  # from here on a pipelined command is a violation
        await session.start(letter())
        assert (await session.finish(letter())).ok
        await session.start(letter())
        assert (await session.finish()).ok
        await session.quit()
    assert (fake.violations, len(fake.mails)) == ([], 2)
    assert fake.commands[1].line == "MAIL FROM:<a@example.com> SIZE=10 BODY=8BITMIME"


async def test_the_fake_server_notices_pipelining() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        fake.pipelining = False
        await send(session, letter())
        await session.quit()
    assert len(fake.violations) == 2


async def test_dot_and_next_message_share_one_round_trip() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        letters = [letter(f"u{n}@example.org") for n in range(5)]
        await session.start(letters[0])
        before = fake.writes
        for one, following in zip(letters, [*letters[1:], None], strict=True):
            await session.body(b"x\r\n")
            assert (await session.finish(following)).ok
            if following is not None:
                await session.start(following)
            assert session.carried == letters.index(one) + 1
        trips = fake.writes - before
        await session.quit()
    assert len(fake.mails) == 5
    assert trips == 5  # one per message, not two or four


async def test_next_with_another_envelope_is_a_mistake() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        await session.start(letter())
        await session.finish(letter("c@example.org"))
        with pytest.raises(RuntimeError):
            await session.start(letter("d@example.org"))
        assert not session.usable


async def test_an_unsendable_next_does_not_harm_this_message() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        await session.start(letter())
        bad = letter("c@example.org>\r\nRSET")
        assert (await session.finish(bad)).ok
        assert (await refused(session, bad)).kind is SmtpErrorKind.INVALID
        assert (await send(session, letter())).ok
        await session.quit()


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("verb", "stage"), [("MAIL", Stage.MAIL), ("RCPT", Stage.RCPT), ("DATA", Stage.DATA)]
)
async def test_session_survives_a_refusal(pipelining: bool, verb: str, stage: Stage) -> None:
    async with SmtpServer(pipelining=pipelining) as fake:
        session = await connect(server_at(fake))
        fake.script[verb] = [b"450 4.2.0 not now\r\n"]
        error = await refused(session, letter())
        assert (error.kind, error.stage) == (SmtpErrorKind.REFUSED, stage)
        assert error.reply is not None
        assert (error.reply.code, error.reply.enhanced) == (450, "4.2.0")
        assert error.reply.text == "not now"
        assert session.usable
        assert (await send(session, letter("c@example.org"))).ok
        await session.quit()
    assert [mail.rcpt_to for mail in fake.mails] == ["c@example.org"]
    assert ("RSET" in fake.verbs()) == (stage is not Stage.MAIL)


async def test_refused_next_is_told_at_its_own_start() -> None:
    async with SmtpServer() as fake:
        fake.script["RCPT"] = [None, b"550 5.1.1 unknown\r\n"]
        session = await connect(server_at(fake))
        await session.start(letter())
        assert (await session.finish(letter("x@example.org"))).ok
        error = await refused(session, letter("x@example.org"))
        assert error.stage is Stage.RCPT
        assert (await send(session, letter())).ok
        await session.quit()


async def test_never_sends_a_body_without_a_recipient() -> None:
    async with SmtpServer() as fake:
        fake.script |= {"RCPT": [b"550 no\r\n"], "DATA": [b"354 well, go on\r\n"]}
        session = await connect(server_at(fake))
        error = await refused(session, letter())
        assert error.stage is Stage.RCPT
        assert not session.usable
    assert fake.mails == []
    assert fake.counts["DOT"] == 0


@pytest.mark.parametrize("code", [451, 554])
async def test_no_after_the_dot_is_a_reply_not_an_error(code: int) -> None:
    async with SmtpServer() as fake:
        fake.script["DOT"] = [f"{code} 5.7.1 spam\r\n".encode()]
        session = await connect(server_at(fake))
        reply = await send(session, letter())
        assert (reply.code, reply.text) == (code, "spam")
        assert (await send(session, letter())).ok
        await session.quit()


@pytest.mark.parametrize(
    "act", [DROP, DROP_TAKEN, Act(after=3600), Act(b"wat\r\n"), Act(b"354 hm\r\n")]
)
async def test_no_reply_to_the_dot_is_unknown(act: Act) -> None:
    async with SmtpServer() as fake:
        fake.script["DOT"] = [act]
        session = await connect(server_at(fake, timeouts=QUICK))
        with pytest.raises(SmtpError) as caught:
            await send(session, letter())
        assert caught.value.stage is Stage.DOT
        assert caught.value.kind in {SmtpErrorKind.LOST, SmtpErrorKind.GARBAGE}
        assert not session.usable


async def test_connection_lost_before_the_dot_is_known() -> None:
    async with SmtpServer() as fake:
        fake.script["BODY"] = [DROP]
        session = await connect(server_at(fake))
        await session.start(letter())
        await session.body(b"x\r\n")
        await until_unusable(session)
        with pytest.raises(SmtpError) as caught:
            await session.finish()
        assert (caught.value.kind, caught.value.stage) == (SmtpErrorKind.LOST, Stage.DATA)
    assert fake.counts["DOT"] == 0


async def test_server_gives_up_during_the_body() -> None:
    async with SmtpServer() as fake:
        fake.script["BODY"] = [Act(b"552 5.3.4 too big\r\n", drop=True)]
        session = await connect(server_at(fake))
        await session.start(letter())
        await session.body(b"x\r\n")
        await until_unusable(session)
        with pytest.raises(SmtpError) as caught:
            await session.finish()
        assert (caught.value.kind, caught.value.stage) == (SmtpErrorKind.REFUSED, Stage.DATA)


async def test_abort_leaves_no_mail() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        await session.start(letter())
        await session.body(b"x\r\n" * 1000)
        session.abort()
        assert not session.usable
        async with asyncio.timeout(30):
            while fake.open:  # it reads what came until the connection ends
                await asyncio.sleep(0.01)
    assert fake.mails == []


@pytest.mark.parametrize("key", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("pipelining", [True, False])
async def test_421_ends_the_session_at_any_stage(key: str, pipelining: bool) -> None:
    async with SmtpServer(pipelining=pipelining) as fake:
        fake.script[key] = [Act(b"421 4.3.2 closing\r\n", drop=True)]
        session: SmtpSession | None = None
        try:
            session = await connect(server_at(fake))
            reply = await send(session, letter())
            told = ("reply", Stage.DOT, reply.code)
        except SmtpError as error:
            told = (error.kind, error.stage, error.reply.code if error.reply else None)
        kind = "reply" if key == "DOT" else SmtpErrorKind.REFUSED
        assert told == (kind, Stage[key], 421)
        assert session is None or not session.usable


async def test_421_while_idle_is_told_at_the_next_start() -> None:
    async with SmtpServer() as fake:
        fake.script["NOOP"] = [b"250 Ok\r\n421 4.4.2 idle too long\r\n"]
        session = await connect(server_at(fake))
        await session.noop()
        await until_unusable(session)
        assert not session.usable
        error = await refused(session, letter())
        assert error.reply is not None
        assert (error.stage, error.reply.code) == (Stage.MAIL, 421)


async def test_big_body_waits_for_the_server_to_read() -> None:
    data = (b"y" * 70 + b"\r\n") * 150_000
    async with SmtpServer(features=("8BITMIME",)) as fake:
        session = await connect(server_at(fake, timeouts=PATIENT))
        await send(session, letter(size=len(data)), data)
        await session.quit()
    assert fake.mails[0].data == data


async def test_a_body_must_end_its_last_line() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        await session.start(letter())
        with pytest.raises(ValueError, match="CRLF"):
            await session.body(b"no end")
        session.abort()


async def test_calls_out_of_order_are_mistakes() -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        with pytest.raises(RuntimeError):
            await session.body(b"x\r\n")
        with pytest.raises(RuntimeError):
            await session.finish()
        await session.start(letter())
        for mistake in (session.start(letter()), session.noop()):
            with pytest.raises(RuntimeError):
                await mistake
        await session.quit()  # inside a message: drops it
    assert fake.mails == []


@pytest.mark.parametrize(
    "data", [b".a\n..b\r.\r\n.", b"x", b"", b".", b"a\r\n.\r\nMAIL FROM:<>\r\n"]
)
async def test_stuffed_bodies_arrive_as_they_were(data: bytes) -> None:
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        await send(session, letter(), stuffed(data))
        await session.quit()
    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert fake.mails[0].data.removesuffix(b"\r\n") == expected.removesuffix(b"\r\n")
    assert len(fake.mails) == 1


async def test_size_is_checked_before_sending() -> None:
    async with SmtpServer(features=("SIZE 1000",)) as fake:
        session = await connect(server_at(fake))
        assert (await refused(session, letter(size=1001))).kind is SmtpErrorKind.TOO_BIG
        assert (await send(session, letter(size=1000))).ok
        await session.quit()
    assert fake.verbs().count("MAIL") == 1
    assert fake.mails[0].options == "SIZE=1000"


@pytest.mark.parametrize("envelope", [letter("用户@example.org"), letter(utf8=True)])
async def test_smtputf8_only_where_offered(envelope: Envelope) -> None:
    async with SmtpServer(features=()) as fake:
        session = await connect(server_at(fake))
        assert (await refused(session, envelope)).kind is SmtpErrorKind.CAPABILITY
        await session.quit()
    async with SmtpServer() as fake:
        session = await connect(server_at(fake))
        assert (await send(session, envelope)).ok
        await session.quit()
    assert fake.mails[0].rcpt_to == envelope.rcpt_to
    assert "SMTPUTF8" in fake.mails[0].options


async def test_server_without_ehlo() -> None:
    async with SmtpServer() as fake:
        fake.script["EHLO"] = [b"502 5.5.1 what?\r\n"]
        session = await connect(server_at(fake))
        assert (await send(session, letter())).ok
        await session.quit()
    assert fake.mails[0].options == ""
    assert fake.verbs()[:2] == ["EHLO", "HELO"]


async def test_features_are_read_from_every_line() -> None:
    async with SmtpServer(features=("size 99", "AUTH=LOGIN X", "auth PLAIN", "8bitmime")) as fake:
        session = await connect(server_at(fake))
        await session.quit()
    features = {"SIZE": "99", "AUTH": "LOGIN X PLAIN", "8BITMIME": "", "PIPELINING": ""}
    assert session.features == features


async def test_a_cancelled_call_drops_the_connection() -> None:
    async with SmtpServer() as fake:
        fake.script["RCPT"] = [Act(b"250 Ok\r\n", after=3600)]
        session = await connect(server_at(fake, timeouts=Timeouts()))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.start(letter())
        assert not session.usable
