"""From a server's name to a session that may send: resolve, connect, TLS, EHLO, log in."""

import asyncio
import base64
import contextlib
import ipaddress
import re
import socket
import ssl
from functools import cache
from typing import Final

from msgspec import Struct

from ums import trust
from ums.mail.outcomes import Encryption, Reply, Stage, Timeouts, Watch, unwatched
from ums.mail.smtp.certificates import facts_of
from ums.mail.smtp.commands import encode
from ums.mail.smtp.errors import SmtpError, SmtpErrorKind
from ums.mail.smtp.protocol import SmtpProtocol

_NO_SUCH_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_HOST_NAME: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9-]+")
_UNKNOWN_VERB: Final = {500, 501, 502, 504}


class Server(Struct, frozen=True):
    """Where and how to log in. The password never shows in `repr`."""

    host: str
    port: int
    encryption: Encryption
    account: str = ""  # empty: no log-in
    password: str = ""
    local_name: str = ""  # EHLO name; empty: this host's full name, else an address literal
    tls: ssl.SSLContext | None = None  # must verify; None: the system's trust store
    timeouts: Timeouts = Timeouts()
    pipelining: bool = True  # False for a server that offers it and breaks under it
    allow_plain_auth: bool = False  # log in without encryption, elsewhere than on this machine

    def __repr__(self) -> str:
        return f"Server({self.host!r}, {self.port}, {self.encryption}, account={self.account!r})"


Features = dict[str, str]  # EHLO keyword -> its parameters


async def open_wire(server: Server, watch: Watch = unwatched) -> tuple[SmtpProtocol, Features]:
    """A wire that is greeted, protected and logged in, with the EHLO keywords of its server.

    Raises `SmtpError` with the stage that failed.
    """
    wire = await _reach(server, watch)
    try:
        return wire, await _prepare(server, wire, watch)
    except BaseException:
        wire.drop(SmtpErrorKind.LOST, "abandoned")
        raise


async def _prepare(server: Server, wire: SmtpProtocol, watch: Watch) -> Features:
    if server.encryption is Encryption.SSL:
        await _secure(server, wire, watch)
        wire.expect(1)
    greeting = await wire.reply(Stage.GREETING, server.timeouts.command)
    _accept(Stage.GREETING, greeting)
    watch(Stage.GREETING, {"reply": greeting.text})
    features = await _hello(server, wire, watch)
    if server.encryption is Encryption.STARTTLS:
        features = await _upgrade(server, wire, features, watch)
    if server.account:
        watch(Stage.AUTH, await _log_in(server, wire, features))
    return features


# -- name and TCP -----------------------------------------------------------------------------


async def _reach(server: Server, watch: Watch) -> SmtpProtocol:
    loop = asyncio.get_running_loop()
    end = loop.time() + server.timeouts.connect
    addresses = await _resolve(server)
    watch(Stage.RESOLVE, {"addresses": ", ".join(addresses)})
    problem = "no address"
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        # Every address gets a fair share of the time that is left: one black hole is not the end.
        try:
            async with asyncio.timeout((end - loop.time()) / left):
                wire = await _dial(server, address)
        except TimeoutError:
            problem = "no answer in time"
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            watch(Stage.CONNECT, {"address": f"{address} : {server.port}"})
            return wire
    raise SmtpError(SmtpErrorKind.LOST, Stage.CONNECT, f"cannot connect: {problem}")


async def _dial(server: Server, address: str) -> SmtpProtocol:
    loop = asyncio.get_running_loop()
    greeted = server.encryption is not Encryption.SSL
    _, wire = await loop.create_connection(
        lambda: SmtpProtocol(greeted=greeted), address, server.port
    )
    return wire


async def _resolve(server: Server) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(server.timeouts.connect):
            found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise SmtpError(SmtpErrorKind.DNS_FAILED, Stage.RESOLVE, "name look-up timed out") from None
    except socket.gaierror as error:
        kind = (
            SmtpErrorKind.DNS_MISSING if error.errno in _NO_SUCH_NAME else SmtpErrorKind.DNS_FAILED
        )
        raise SmtpError(kind, Stage.RESOLVE, str(error.strerror)) from None
    except (UnicodeError, ValueError):
        raise SmtpError(SmtpErrorKind.DNS_MISSING, Stage.RESOLVE, "not a host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# -- TLS --------------------------------------------------------------------------------------


async def _upgrade(
    server: Server, wire: SmtpProtocol, features: Features, watch: Watch
) -> Features:
    """STARTTLS and a second EHLO (RFC 3207). What was heard in clear is forgotten."""
    if "STARTTLS" not in features:
        raise SmtpError(SmtpErrorKind.TLS, Stage.TLS, "the server does not offer STARTTLS")
    reply = await _ask(wire, Stage.TLS, "STARTTLS", server.timeouts.command)
    if reply.code != 220:
        raise SmtpError(SmtpErrorKind.TLS, Stage.TLS, "the server refused STARTTLS", reply)
    await _secure(server, wire, watch)
    return await _hello(server, wire, watch)


async def _secure(server: Server, wire: SmtpProtocol, watch: Watch) -> None:
    """TLS from the next byte on.

    Whatever came in clear after the 220 was put there by somebody else: it must never be read as
    a reply to what we say under TLS (CVE-2011-0411 and its kin).
    """
    if not wire.quiet:
        raise SmtpError(SmtpErrorKind.TLS, Stage.TLS, "the server spoke before TLS began")
    try:
        async with asyncio.timeout(server.timeouts.connect):
            transport = await wire.loop.start_tls(
                wire.transport,
                wire,
                _context(server),
                server_hostname=server.host.rstrip("."),
            )
    except ssl.SSLError as error:
        raise SmtpError(SmtpErrorKind.TLS, Stage.TLS, _explain(error)) from None
    except TimeoutError:
        detail = "TLS handshake timed out; does this port expect STARTTLS?"
        raise SmtpError(SmtpErrorKind.LOST, Stage.TLS, detail) from None
    except OSError as error:
        detail = f"connection lost during the TLS handshake: {error}"
        raise SmtpError(SmtpErrorKind.LOST, Stage.TLS, detail) from None
    if transport is None:
        raise SmtpError(SmtpErrorKind.LOST, Stage.TLS, "connection lost during the TLS handshake")
    wire.adopt(transport)
    if watch is not unwatched:  # reading a certificate costs more than the hot path should pay
        watch(Stage.TLS, facts_of(transport.get_extra_info("ssl_object")))


def _context(server: Server) -> ssl.SSLContext:
    context = server.tls or trust.context()
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise SmtpError(SmtpErrorKind.TLS, Stage.TLS, "this TLS context does not verify the server")
    return context


def _explain(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return "the server does not speak TLS here; does this port expect STARTTLS?"
    return f"TLS handshake failed: {error.reason}"


# -- EHLO and AUTH ----------------------------------------------------------------------------


async def _hello(server: Server, wire: SmtpProtocol, watch: Watch) -> Features:
    name = server.local_name or _own_name()
    wire.write(encode(f"EHLO {name}", stage=Stage.EHLO), 1, Stage.EHLO)
    reply, lines = await wire.lines(Stage.EHLO, server.timeouts.command)
    if reply.code in _UNKNOWN_VERB and server.encryption is not Encryption.STARTTLS:
        # A server older than RFC 1869: no features, and so no log-in and no pipelining.
        reply, lines = await _ask(wire, Stage.EHLO, f"HELO {name}", server.timeouts.command), []
    _accept(Stage.EHLO, reply)
    features = _features(lines[1:])
    watch(Stage.EHLO, {"features": ", ".join(features)})
    return features


def _features(lines: list[str]) -> Features:
    found: Features = {}
    for line in lines:
        # "AUTH=LOGIN" is how servers spoke before RFC 2554; QQ and NetEase still say both.
        word, _, rest = line.strip().replace("AUTH=", "AUTH ", 1).partition(" ")
        keyword = word.upper()
        found[keyword] = f"{found[keyword]} {rest}" if keyword in found else rest.strip()
    return found


@cache
def _own_name() -> str:
    name = socket.gethostname()
    return name if _HOST_NAME.fullmatch(name) else "[127.0.0.1]"


async def _log_in(server: Server, wire: SmtpProtocol, features: Features) -> dict[str, str]:
    if not (_protected(wire) or server.allow_plain_auth or _local(wire)):
        raise SmtpError(SmtpErrorKind.TLS, Stage.AUTH, "no log-in without encryption")
    if "\0" in server.account + server.password:  # the separator of RFC 4616
        raise SmtpError(SmtpErrorKind.INVALID, Stage.AUTH, "NUL in the account or its password")
    offered = features.get("AUTH", "").upper().split()
    if "PLAIN" in offered:
        method, reply = "PLAIN", await _plain(server, wire)
    elif "LOGIN" in offered:
        method, reply = "LOGIN", await _login(server, wire)
    else:
        detail = f"the server offers neither PLAIN nor LOGIN (it offers: {' '.join(offered)})"
        raise SmtpError(SmtpErrorKind.CAPABILITY, Stage.AUTH, detail[:300])
    reply = _scrubbed(reply, server)
    _accept(Stage.AUTH, reply)
    return {"method": method, "reply": reply.text}


# Tokens are written where they are made and kept in no variable: tracebacks may print those.


async def _plain(server: Server, wire: SmtpProtocol) -> Reply:
    """RFC 4616, with the initial response of RFC 4954."""
    wire.write(encode(f"AUTH PLAIN {_plain_token(server)}", stage=Stage.AUTH), 1, Stage.AUTH)
    reply = await wire.reply(Stage.AUTH, server.timeouts.command)
    if reply.code != 334:
        return reply
    wire.write(encode(_plain_token(server), stage=Stage.AUTH), 1, Stage.AUTH)
    return await wire.reply(Stage.AUTH, server.timeouts.command)


async def _login(server: Server, wire: SmtpProtocol) -> Reply:
    reply = await _ask(wire, Stage.AUTH, "AUTH LOGIN", server.timeouts.command)
    if reply.code != 334:
        return reply
    wire.write(encode(_base64(server.account), stage=Stage.AUTH), 1, Stage.AUTH)
    reply = await wire.reply(Stage.AUTH, server.timeouts.command)
    if reply.code != 334:
        return reply
    wire.write(encode(_base64(server.password), stage=Stage.AUTH), 1, Stage.AUTH)
    return await wire.reply(Stage.AUTH, server.timeouts.command)


def _plain_token(server: Server) -> str:
    return _base64(f"\0{server.account}\0{server.password}")


def _base64(text: str) -> str:
    # A lone surrogate must not raise here: the exception would hold the credential.
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _scrubbed(reply: Reply, server: Server) -> Reply:
    """`reply` without the credentials that a server may echo."""
    text = reply.text
    for secret in (_plain_token(server), _base64(server.password), server.password):
        text = text.replace(secret, "***") if secret else text
    return Reply(reply.code, reply.enhanced, text)


def _protected(wire: SmtpProtocol) -> bool:
    return wire.transport.get_extra_info("sslcontext") is not None


def _local(wire: SmtpProtocol) -> bool:
    peer = wire.transport.get_extra_info("peername")
    with contextlib.suppress(TypeError, ValueError, IndexError):
        return ipaddress.ip_address(peer[0]).is_loopback
    return False


# -- shared -----------------------------------------------------------------------------------


async def _ask(wire: SmtpProtocol, stage: Stage, line: str, seconds: float) -> Reply:
    wire.write(encode(line, stage=stage), 1, stage)
    return await wire.reply(stage, seconds)


def _accept(stage: Stage, reply: Reply) -> None:
    if reply.ok:
        return
    if reply.code >= 400:
        raise SmtpError.refused(stage, reply)
    raise SmtpError(SmtpErrorKind.GARBAGE, stage, f"unexpected reply {reply.code}", reply)
