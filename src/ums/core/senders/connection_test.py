"""The connection doctor: can we reach a sender's server, log in, and does it take a mail?

Told step by step, as it happens; nothing is sent unless an address for a test mail is given.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from ums import clock
from ums.core.audit import audit_log
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.senders import cooldown
from ums.core.senders.connection_probe import Way, ways_of
from ums.core.senders.senders import secret_of
from ums.core.transports import accounts
from ums.core.transports.protocol import MessageFacts, Recipient, Session, TransportError
from ums.errors import Invalid, NotFound
from ums.mail.addresses import BadAddress, clean
from ums.mail.email_account import EmailSettings
from ums.mail.mime.builder import MimeContent
from ums.mail.outcomes import Outcome, Scope, Stage, Timeouts, Verdict, Watch, unwatched
from ums.mail.smtp import certificates

# Whoever waits at a screen waits shorter than the engine does.
CONNECT: Final = 15.0  # seconds
COMMAND: Final = 30.0
WAYS: Final = "ways"  # the last step where port or mode may be at fault
_BEFORE_LOGIN: Final = (Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO)
_TEXT = (
    "This is a test mail of UMS. The account works.\n"
    "这是 UMS 的测试邮件，该邮箱账号可以正常发信。\n"
)


class StepReport(Struct, frozen=True):
    """One step, as it went. A step that is `ok` may still have a reason, which is a warning."""

    stage: str  # a stage of the hand-over, or "ways"
    ok: bool
    ms: int
    facts: dict[str, str] = {}  # what was found: addresses, protocol, issuer, features, reply ...
    reason: str = ""
    detail: str = ""  # the server's own words, decoded
    ways: list[Way] = []  # other ports and modes that answer, the best first


class TestReport(Struct, frozen=True):
    """How a test went. `stage` is how far it came."""

    code: str
    ok: bool
    stage: str
    reason: str
    detail: str
    duration_ms: int
    features: list[str]
    steps: list[StepReport]


async def run(system: AppContext, code: str, to: str | None = None) -> TestReport:
    """Log in to the sender's server and, with `to`, send a test mail; success ends a cooldown."""
    started = time.monotonic()
    steps = [step async for step in await begin(system, code, to)]
    tried = [step for step in steps if step.stage != WAYS]
    last = tried[-1]
    offered = [step.facts["features"] for step in tried if "features" in step.facts]
    return TestReport(
        code=code,
        ok=last.ok,
        stage=last.stage,
        reason="ok" if last.ok else last.reason,
        detail=last.detail,
        duration_ms=round((time.monotonic() - started) * 1000),
        features=sorted(offered[-1].split(", ")) if offered and offered[-1] else [],
        steps=steps,
    )


async def begin(system: AppContext, code: str, to: str | None = None) -> AsyncGenerator[StepReport]:
    """The steps of a test, to be iterated. Raises NotFound, Invalid before the first."""
    sender = (await system.directory.fresh()).sender_codes.get(code)
    if sender is None:
        raise NotFound("sender_unknown", code=code[:60])
    if sender.type not in system.types:
        raise Invalid("sender_elsewhere", code=code)
    recipient = None if to is None else _recipient(to)
    audit_log.add_detail(f"to {recipient}" if recipient else "")
    return _steps(system, sender, recipient)


async def _steps(
    system: AppContext, sender: Sender, recipient: str | None
) -> AsyncGenerator[StepReport]:
    told: asyncio.Queue[StepReport | None] = asyncio.Queue()
    task = asyncio.create_task(_Test(system, sender, recipient, told).run())
    try:
        while (step := await told.get()) is not None:
            yield step
        await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Test:
    """One test on its way; puts its steps into a queue, None at the end."""

    def __init__(
        self,
        system: AppContext,
        sender: Sender,
        recipient: str | None,
        told: asyncio.Queue[StepReport | None],
    ) -> None:
        self._system = system
        self._sender = sender
        self._recipient = recipient
        self._told = told
        self._since = time.monotonic()

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            self._told.put_nowait(None)

    async def _run(self) -> None:
        try:
            await try_sender(self._system, self._sender, self._recipient, self._passed)
        except TransportError as error:
            outcome = error.outcome
            if self._harmless(outcome):
                self._tell(outcome.stage, ok=True, outcome=outcome)
            else:
                await self._failed(outcome)
                return
        async with self._system.database.write() as tx:
            await cooldown.wake(tx, self._sender.id)

    def _harmless(self, outcome: Outcome) -> bool:
        """A server that sends for us need not have a mailbox for our own sender address."""
        own = self._recipient is None and outcome.stage is Stage.RCPT
        return own and outcome.scope is Scope.DELIVERY and outcome.reply is not None

    def _passed(self, stage: Stage, facts: dict[str, str]) -> None:
        self._tell(stage, ok=True, facts=facts)

    async def _failed(self, outcome: Outcome) -> None:
        own = accounts.read(self._sender.type, self._sender.settings)
        if not isinstance(own, EmailSettings):
            self._tell(outcome.stage, ok=False, outcome=outcome)
            return
        facts: dict[str, str] = {}
        if outcome.stage is Stage.TLS:
            facts = await certificates.presented(own.host, own.port, own.encryption, CONNECT)
        self._tell(outcome.stage, ok=False, facts=facts, outcome=outcome)
        if outcome.stage in _BEFORE_LOGIN or outcome.reason in ("no_login_method", "tls"):
            found = await ways_of(own)
            self._put(StepReport(WAYS, bool(found), self._lap(), ways=found))

    def _tell(
        self,
        stage: Stage,
        *,
        ok: bool,
        facts: dict[str, str] | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        reason = "" if outcome is None else outcome.reason
        detail = "" if outcome is None else _words(outcome)
        self._put(StepReport(stage, ok, self._lap(), facts or {}, reason, detail))

    def _put(self, step: StepReport) -> None:
        self._told.put_nowait(step)

    def _lap(self) -> int:
        now, before = time.monotonic(), self._since
        self._since = now
        return round((now - before) * 1000)


async def try_sender(
    system: AppContext, sender: Sender, recipient: str | None, watch: Watch
) -> None:
    """Log in, rehearse a mail, and send one to `recipient`. Raises TransportError where it ends."""
    own = system.settings
    timeouts = Timeouts(
        min(own.smtp_connect_seconds, CONNECT),
        min(own.smtp_command_seconds, COMMAND),
        own.smtp_data_seconds,
    )
    secret = secret_of(system, sender)
    session = await system.types[sender.type].open(sender.settings, secret, timeouts, watch)
    try:
        await session.rehearse(recipient or "", watch)
        if recipient is not None:
            outcome = await _send(system, session, sender, recipient)
            if outcome.verdict is not Verdict.SENT:
                raise TransportError(outcome)
            watch(Stage.DOT, {"reply": outcome.reply.text if outcome.reply else ""})
    finally:
        await session.close()


async def _send(
    system: AppContext, session: Session[Any], sender: Sender, recipient: str
) -> Outcome:
    content = MimeContent("UMS test 测试邮件", _TEXT)
    template = system.types[sender.type].build(sender.settings, content, automatic=True)
    now = clock.now()
    mail = template.render(Recipient(recipient, f"test.{now}"), MessageFacts(now))
    return await session.send(mail, _nothing_follows, unwatched)


async def _nothing_follows() -> None:
    """A test keeps no record, so nothing is committed."""


def _recipient(to: str) -> str:
    try:
        return clean(to)
    except BadAddress as error:
        raise Invalid("bad_address", field="to", detail=error.detail) from None


def _words(outcome: Outcome) -> str:
    reply = outcome.reply
    if reply is None:
        return outcome.detail
    return " ".join(word for word in (str(reply.code), reply.enhanced, reply.text) if word)
