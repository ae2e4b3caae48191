"""Encryption and log-in: no credential in clear, no unverified server, no injected reply."""

import asyncio
import base64
import ssl
import traceback

import pytest

from support.fakes import Act, Certificates, SmtpServer
from ums.mail.outcomes import Encryption, Envelope, Stage
from ums.mail.smtp.session import Server, SmtpError, SmtpErrorKind, Timeouts, connect

PATIENT = Timeouts(connect=30, command=30, dot=30)
QUICK = Timeouts(connect=1, command=1, dot=1)  # where the server says nothing at all
ACCOUNT, PASSWORD = "sender@example.com", "correct horse 电池"
LETTER = Envelope("a@example.com", "b@example.org", 3)
MODES = pytest.mark.parametrize("tls", ["ssl", "starttls"])


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


def server_at(fake: SmtpServer, certificates: Certificates | None, **settings: object) -> Server:
    base = {
        "encryption": Encryption(fake.tls),
        "account": ACCOUNT,
        "password": PASSWORD,
        "tls": certificates.client() if certificates else None,
        "timeouts": PATIENT,
    }
    return Server("localhost", fake.port, **(base | settings))


def secrets() -> list[bytes]:
    token = f"\0{ACCOUNT}\0{PASSWORD}".encode()
    plain = [PASSWORD.encode(), b"AUTH"]
    return [*plain, base64.b64encode(token), base64.b64encode(PASSWORD.encode())]


def assert_nothing_in_clear(fake: SmtpServer) -> None:
    for secret in secrets():
        assert secret not in bytes(fake.clear)
    assert "AUTH" not in fake.verbs()


async def failure(server: Server) -> SmtpError:
    with pytest.raises(SmtpError) as caught:
        await connect(server)
    shown = "".join(traceback.format_exception(caught.value)) + repr(server) + repr(caught.value)
    for secret in secrets():
        assert secret == b"AUTH" or secret.decode() not in shown
    return caught.value


@MODES
@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "XOAUTH2 PLAIN"])
async def test_logs_in_under_tls(certificates: Certificates, tls: str, mechanisms: str) -> None:
    context, users = certificates.server(), {ACCOUNT: PASSWORD}
    async with SmtpServer(tls=tls, context=context, users=users, mechanisms=mechanisms) as fake:
        session = await connect(server_at(fake, certificates))
        for _ in range(3):
            await session.start(LETTER)
            await session.body(b"x\r\n")
            assert (await session.finish()).ok
        assert session.features["AUTH"] == mechanisms
        await session.quit()
    assert fake.logins == [ACCOUNT]
    assert len(fake.mails) == 3
    assert all(c.secure for c in fake.commands if c.line.startswith(("AUTH", "MAIL")))
    assert fake.verbs().count("EHLO") == (2 if tls == "starttls" else 1)


@MODES
@pytest.mark.parametrize("flaw", ["expired", "wrong name", "unknown authority"])
async def test_bad_certificate_is_refused(certificates: Certificates, tls: str, flaw: str) -> None:
    name = "other.example" if flaw == "wrong name" else "localhost"
    authority = Certificates() if flaw == "unknown authority" else certificates
    context = authority.server(name, expired=flaw == "expired")
    async with SmtpServer(tls=tls, context=context, users={}) as fake:
        error = await failure(server_at(fake, certificates))
        assert (error.kind, error.stage) == (SmtpErrorKind.TLS, Stage.TLS)
        assert "certificate" in error.detail
    assert_nothing_in_clear(fake)


async def test_system_trust_is_the_default(certificates: Certificates) -> None:
    async with SmtpServer(tls="ssl", context=certificates.server()) as fake:
        assert "certificate" in (await failure(server_at(fake, None))).detail


async def test_a_context_that_does_not_verify_is_refused(certificates: Certificates) -> None:
    lax = ssl.create_default_context()
    lax.check_hostname = False
    lax.verify_mode = ssl.CERT_NONE
    async with SmtpServer(tls="ssl", context=certificates.server()) as fake:
        error = await failure(server_at(fake, None, tls=lax))
        assert error.kind is SmtpErrorKind.TLS


async def test_stripped_starttls_means_no_log_in(certificates: Certificates) -> None:
    async with SmtpServer(users={ACCOUNT: PASSWORD}) as fake:
        server = server_at(fake, certificates, encryption=Encryption.STARTTLS)
        error = await failure(server)
        assert (error.kind, error.stage) == (SmtpErrorKind.TLS, Stage.TLS)
    assert_nothing_in_clear(fake)


@pytest.mark.parametrize(
    "reply",
    [
        b"454 4.7.0 not available\r\n",
        b"220 go\r\n250-fake\r\n250 AUTH PLAIN\r\n",
        b"220 go\r\n235 2.7.0 you are in\r\n",
        b"220 go\r\n250",
        b"250 go\r\n",
    ],
)
async def test_refused_or_injected_starttls(certificates: Certificates, reply: bytes) -> None:
    async with SmtpServer(tls="starttls", context=certificates.server(), users={}) as fake:
        fake.script["STARTTLS"] = [Act(reply)]
        error = await failure(server_at(fake, certificates))
        assert (error.kind, error.stage) == (SmtpErrorKind.TLS, Stage.TLS)
    assert_nothing_in_clear(fake)


async def test_features_told_in_clear_are_forgotten(certificates: Certificates) -> None:
    async with SmtpServer(tls="starttls", context=certificates.server()) as fake:
        fake.script["EHLO"] = [b"250-x\r\n250-STARTTLS\r\n250-EVIL\r\n250 AUTH PLAIN\r\n", None]
        session = await connect(server_at(fake, certificates, account=""))
        assert not {"EVIL", "AUTH", "STARTTLS"} & set(session.features)
        await session.quit()


async def test_tls_spoken_to_a_plain_port(certificates: Certificates) -> None:
    async with SmtpServer(users={}) as fake:
        error = await failure(server_at(fake, certificates, encryption=Encryption.SSL))
        assert (error.kind, error.stage) == (SmtpErrorKind.TLS, Stage.TLS)
    assert_nothing_in_clear(fake)


async def test_plain_spoken_to_a_tls_port(certificates: Certificates) -> None:
    async with SmtpServer(tls="ssl", context=certificates.server()) as fake:
        server = server_at(fake, certificates, encryption=Encryption.STARTTLS, timeouts=QUICK)
        error = await failure(server)
        assert (error.kind, error.stage) == (SmtpErrorKind.LOST, Stage.GREETING)


async def test_no_log_in_in_clear_except_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SmtpServer(users={ACCOUNT: PASSWORD}) as fake:
        here = server_at(fake, None)
        await (await connect(here)).quit()
        assert fake.logins == [ACCOUNT]
        fake.clear.clear()
        fake.commands.clear()
        monkeypatch.setattr("ums.mail.smtp.connect._local", lambda wire: False)
        error = await failure(here)
        assert (error.kind, error.stage) == (SmtpErrorKind.TLS, Stage.AUTH)
        assert_nothing_in_clear(fake)
        allowed = server_at(fake, None, allow_plain_auth=True)
        await (await connect(allowed)).quit()


async def test_wrong_password_is_a_reply() -> None:
    async with SmtpServer(users={ACCOUNT: "other"}) as fake:
        error = await failure(server_at(fake, None))
        assert error.reply is not None
        assert (error.kind, error.stage, error.reply.code) == (
            SmtpErrorKind.REFUSED,
            Stage.AUTH,
            535,
        )


@pytest.mark.parametrize("reply", ["535 {p}", "535 {t}", "535 {b} and {p}", "421 {t}", "334 {p}"])
async def test_echoed_credentials_are_struck_out(reply: str) -> None:
    token = base64.b64encode(f"\0{ACCOUNT}\0{PASSWORD}".encode()).decode()
    word = base64.b64encode(PASSWORD.encode()).decode()
    line = reply.format(p=PASSWORD, t=token, b=word).encode() + b"\r\n"
    async with SmtpServer(users={}) as fake:
        fake.script["AUTH"] = [Act(line)]
        fake.script[token.upper()] = [Act(b"535 " + line)]
        error = await failure(server_at(fake, None))
        assert error.stage is Stage.AUTH
        for shown in (error.detail, error.reply.text if error.reply else ""):
            assert PASSWORD not in shown
            assert token not in shown
            assert word not in shown


async def test_no_method_we_know() -> None:
    async with SmtpServer(users={}, mechanisms="XOAUTH2 CRAM-MD5") as fake:
        error = await failure(server_at(fake, None))
        assert (error.kind, error.stage) == (SmtpErrorKind.CAPABILITY, Stage.AUTH)
        assert "XOAUTH2" in error.detail


async def test_server_that_asks_for_the_plain_token() -> None:
    token = base64.b64encode(f"\0{ACCOUNT}\0{PASSWORD}".encode()).decode()
    async with SmtpServer(users={}) as fake:
        fake.script["AUTH"] = [b"334 \r\n"]
        fake.script[token.upper()] = [b"235 ok\r\n"]
        await (await connect(server_at(fake, None))).quit()
    assert fake.commands[2].line == token


@MODES
async def test_silence_in_the_handshake_ends(certificates: Certificates, tls: str) -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if tls == "starttls":
            writer.write(b"220 x\r\n")
            await reader.readline()
            writer.write(b"250-x\r\n250 STARTTLS\r\n")
            await reader.readline()
            writer.write(b"220 go\r\n")
        await over.wait()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    context = certificates.client()
    error = await failure(Server("localhost", port, Encryption(tls), tls=context, timeouts=QUICK))
    assert (error.kind, error.stage) == (SmtpErrorKind.LOST, Stage.TLS)
    over.set()
    listener.close()


@MODES
async def test_server_that_ends_tls_without_notice_at_quit(
    certificates: Certificates, tls: str
) -> None:
    async with SmtpServer(tls=tls, context=certificates.server()) as fake:
        fake.script["QUIT"] = [Act(drop=True)]
        session = await connect(server_at(fake, certificates, account=""))
        await session.quit()
        assert not session.usable


@pytest.mark.parametrize("password", ["nul\0" + PASSWORD, PASSWORD + "\ud800"])
@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN"])
async def test_odd_passwords_do_not_leak(password: str, mechanisms: str) -> None:
    async with SmtpServer(users={}, mechanisms=mechanisms) as fake:
        fake.script["AUTH"] = [b"535 no\r\n"]
        error = await failure(server_at(fake, None, password=password))
        kind = SmtpErrorKind.INVALID if "\0" in password else SmtpErrorKind.REFUSED
        assert (error.kind, error.stage) == (kind, Stage.AUTH)


def test_repr_holds_no_password() -> None:
    server = Server("h", 25, Encryption.SSL, account=ACCOUNT, password=PASSWORD)
    assert PASSWORD not in f"{server!r} {server} {[server]}"
