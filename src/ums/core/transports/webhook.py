"""The webhook sender type: posts each delivery to an HTTP service of the operator's own.

The point of no return is the body: its length is announced before, and a receiver that gets none
has nothing to act on. The URL is a stranger's (`ums.core.net`): it is looked up once and judged,
redirects are not followed, answers are read up to a limit.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import ClassVar, Final

import httpcore

from ums.core.net import http_client
from ums.core.net.http_client import Connection, header_fields, request_to
from ums.core.net.ssrf_guard import Denied, Guard, GuardedNetwork
from ums.core.net.standard_webhooks import signed
from ums.core.transports import webhook_outcomes, webhook_settings
from ums.core.transports.protocol import Commit, TransportError
from ums.core.transports.webhook_body import JsonText, WebhookDelivery, WebhookTemplate, sample
from ums.core.transports.webhook_settings import WebhookSecrets, WebhookSettings
from ums.mail.mime.builder import MimeContent, check_subject
from ums.mail.mime.transfer_encoding import Encoder
from ums.mail.outcomes import Outcome, Reply, Stage, Timeouts, Verdict, Watch, one_line, unwatched
from ums.mail.smtp.certificates import facts_of

REPLY_SECONDS: Final = 60.0  # for the answer, counted from the body's end
READ_SECONDS: Final = 5.0  # for the rest of an answer whose status is known
FAREWELL_SECONDS: Final = 2.0
MAX_ANSWER: Final = 64 * 1024
_KEPT: Final = 1_000  # characters of an answer that are shown
_SLOWEST: Final = 8_192  # octets per second below which a receiver is given up
_BROKEN: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)


class WebhookSession:
    """A connection to the receiver, kept open between deliveries that follow soon. One that the
    receiver may have closed meanwhile is opened anew before anything is sent."""

    def __init__(
        self,
        network: GuardedNetwork,
        connection: Connection,
        settings: WebhookSettings,
        opened: WebhookSecrets,
        timeouts: Timeouts,
    ) -> None:
        self.carried = 0
        self._network = network
        self._connection = connection
        self._settings = settings
        self._secrets = opened
        self._seconds = timeouts
        self._aborted = False

    @property
    def usable(self) -> bool:
        return not self._aborted

    async def send(
        self, mail: WebhookDelivery, commit: Commit[WebhookDelivery], watch: Watch
    ) -> Outcome:
        """One POST. Its head goes before `commit`, its body after it."""
        problem = await self._reconnected()
        if problem is not None:
            return problem
        committed = False
        try:
            async with asyncio.timeout(self._seconds.command) as deadline:

                async def content() -> AsyncGenerator[bytes]:
                    nonlocal committed
                    deadline.reschedule(None)  # storing the intent takes as long as it takes
                    watch(Stage.DATA, {})
                    await commit()
                    committed = True
                    allowed = min(self._seconds.dot, REPLY_SECONDS) + len(mail.body) / _SLOWEST
                    deadline.reschedule(asyncio.get_running_loop().time() + allowed)
                    yield mail.body

                response = await self._connection.http.handle_async_request(
                    self._request(mail, content())
                )
        except _BROKEN as error:
            self.abort()
            detail = one_line(str(error)) or type(error).__name__
            if committed:
                return webhook_outcomes.silence(detail, deduplicates=self._settings.deduplicates)
            return webhook_outcomes.hold(Stage.DATA, "connection_lost", detail)
        except BaseException:
            self.abort()
            raise
        self.carried += 1
        return await self._judged(response)

    async def _reconnected(self) -> Outcome | None:
        """Open the connection again where it is needed; what keeps it from that."""
        http = self._connection.http
        if not (http.is_closed() or http.has_expired()):
            return None
        await self._network.aclose()
        try:
            async with asyncio.timeout(self._seconds.connect):
                self._connection = await http_client.connect(
                    self._network, http_client.parse_url(self._settings.url)
                )
        except (Denied, *_BROKEN) as error:
            return webhook_outcomes.unreached(error)
        return None

    def _request(self, mail: WebhookDelivery, content: AsyncGenerator[bytes]) -> httpcore.Request:
        headers = {
            b"Content-Type": b"application/json",
            b"Content-Length": str(len(mail.body)).encode(),
            **signed(mail.id, self._secrets.good, mail.body),
            **self._authorization(),
        }
        url = http_client.parse_url(self._settings.url)
        return request_to("POST", url, headers=headers, body=content)

    async def _judged(self, response: httpcore.Response) -> Outcome:
        """The outcome by the status alone; of the rest of the answer as much as comes soon."""
        answer = b""
        with suppress(*_BROKEN):
            async with asyncio.timeout(READ_SECONDS):
                answer = await http_client.read_start(response, MAX_ANSWER)
        with suppress(*_BROKEN):
            await response.aclose()
        reply = Reply(response.status, "", self._scrubbed(answer))
        wait = http_client.retry_after(header_fields(response.headers))
        return webhook_outcomes.judge(reply, wait, deduplicates=self._settings.deduplicates)

    def _authorization(self) -> dict[bytes, bytes]:
        own = self._settings
        if own.authentication == "basic":
            return http_client.basic(own.account, self._secrets.password)
        if own.authentication == "bearer":
            return {b"Authorization": f"Bearer {self._secrets.password}".encode()}
        return {}

    def _scrubbed(self, answer: bytes) -> str:
        """The answer for people, without the password that a receiver may echo."""
        text = answer.decode("utf-8", "replace")
        password = self._secrets.password
        return one_line(text.replace(password, "***") if password else text)[:_KEPT]

    async def rehearse(self, address: str, watch: Watch) -> None:  # noqa: ARG002
        """Post a body of type `test`, which the receiver has to take and deliver to nobody."""

        async def nothing_follows() -> None:
            return None

        trial = sample(f"test_{secrets.token_hex(8)}")
        outcome = await self.send(trial, nothing_follows, unwatched)
        if outcome.verdict is not Verdict.SENT:
            raise TransportError(outcome)
        reply = outcome.reply
        watch(Stage.DATA, {"reply": f"{reply.code} {reply.text}".strip() if reply else ""})

    async def close(self) -> None:
        with suppress(*_BROKEN, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._connection.http.aclose()
                await self._network.aclose()

    def abort(self) -> None:
        self._aborted = True
        with suppress(OSError, AttributeError):  # of a socket that is closed already
            self._connection.stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class WebhookTransport:
    """Posts to the operator's URL."""

    name: ClassVar[str] = "webhook"

    def __init__(self, guard: Callable[[], Guard]) -> None:
        self._guard = guard

    async def open(
        self, settings: str, secret: str, timeouts: Timeouts, watch: Watch
    ) -> WebhookSession:
        own = webhook_settings.read(settings)
        url = http_client.parse_url(own.url)
        network = GuardedNetwork(self._guard())
        try:
            async with asyncio.timeout(timeouts.connect):
                connection = await http_client.connect(network, url)
        except (Denied, *_BROKEN) as error:
            await network.aclose()
            raise TransportError(webhook_outcomes.unreached(error)) from error
        except BaseException:
            await network.aclose()
            raise
        host, port = connection.stream.get_extra_info("server_addr")[:2]
        watch(Stage.CONNECT, {"address": f"{host} : {port}"})
        tls = connection.stream.get_extra_info("ssl_object")
        if tls is not None and watch is not unwatched:
            watch(Stage.TLS, facts_of(tls))
        opened = webhook_settings.read_secrets(secret)
        return WebhookSession(network, connection, own, opened, timeouts)

    def build(
        self,
        settings: str,  # noqa: ARG002  (the same body goes to any URL)
        content: MimeContent,
        *,
        automatic: bool,
    ) -> WebhookTemplate:
        return WebhookTemplate(content, broadcast=not automatic)

    def text_encoder(self, texts: Sequence[str]) -> Encoder:
        return JsonText(texts)

    def encode_subject(self, text: str) -> bytes:
        check_subject(text)
        return JsonText([]).encode([text])
