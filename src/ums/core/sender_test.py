"""Trying a sender: can we reach its server, log in, and does it take a mail?"""

import time

from msgspec import Struct

from ums import clock
from ums.core import resting
from ums.core.directory import Sender
from ums.core.senders import password_of
from ums.core.system import System
from ums.errors import Invalid, NotFound
from ums.senders import email
from ums.senders.address import BadAddress, clean, needs_utf8
from ums.senders.base import Envelope, Outcome, Reply, Stage
from ums.senders.mime import Content
from ums.senders.replies import interpret, interpret_error
from ums.senders.smtp import Session
from ums.senders.smtp_connect import Timeouts
from ums.senders.smtp_error import SmtpError

_TEXT = (
    "This is a test mail of UMS. The account works.\n"
    "这是 UMS 的测试邮件，该邮箱账号可以正常发信。\n"
)


class TestReport(Struct, frozen=True):
    """How a test went. `stage` is how far it came."""

    code: str
    ok: bool
    stage: str
    reason: str
    detail: str
    duration_ms: int
    features: list[str]


async def run(system: System, code: str, to: str | None = None) -> TestReport:
    """Log in to the sender's server and, with `to`, send a test mail. A good test ends a rest."""
    system.directory.forget()
    sender = (await system.directory.now()).sender_codes.get(code)
    if sender is None:
        raise NotFound("sender_unknown", code=code)
    if sender.type not in system.types:
        raise Invalid("sender_elsewhere", code=code)
    recipient = None if to is None else _recipient(to)
    started = time.monotonic()
    features: list[str] = []
    try:
        outcome = await _try(system, sender, recipient, features)
    except SmtpError as error:
        outcome = interpret_error(error)
        return _report(code, False, outcome, started, features)
    if outcome.reply is None or outcome.reply.ok:
        async with system.database.write() as tx:
            await resting.wake(tx, sender.id)
    return _report(code, outcome.reply is None or outcome.reply.ok, outcome, started, features)


async def _try(
    system: System, sender: Sender, recipient: str | None, features: list[str]
) -> Outcome:
    own = system.settings
    timeouts = Timeouts(own.connect_seconds, own.command_seconds, own.dot_seconds)
    type = system.types[sender.type]
    session = await type.open(sender.settings, password_of(system, sender), timeouts)
    try:
        features += sorted(session.features)
        if recipient is None:
            await session.noop()
            return interpret(Stage.AUTH, Reply(250, "", "logged in"))
        return interpret(Stage.DOT, await _send(system, session, sender, recipient))
    finally:
        await session.quit()


async def _send(system: System, session: Session, sender: Sender, recipient: str) -> Reply:
    content = Content("UMS test 测试邮件", _TEXT)
    skeleton = system.types[sender.type].build(sender.settings, content, automatic=True)
    own = email.read(sender.settings).from_address
    now = clock.now()
    body = skeleton.render(
        to=recipient, message_id=f"test.{now}@{own.rpartition('@')[2]}", date=now
    )
    utf8 = skeleton.utf8 or needs_utf8(recipient)
    await session.start(Envelope(own, recipient, len(body), utf8))
    await session.body(body)
    return await session.finish()


def _recipient(to: str) -> str:
    try:
        return clean(to)
    except BadAddress as error:
        raise Invalid("bad_address", field="to", detail=str(error)) from None


def _report(
    code: str, ok: bool, outcome: Outcome, started: float, features: list[str]
) -> TestReport:
    text = f"{outcome.reply.code} {outcome.reply.text}" if outcome.reply else outcome.detail
    return TestReport(
        code=code,
        ok=ok,
        stage=outcome.stage,
        reason="ok" if ok else outcome.reason,
        detail=text,
        duration_ms=round((time.monotonic() - started) * 1000),
        features=features,
    )
