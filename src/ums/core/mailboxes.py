"""The mailboxes of senders' accounts: which mails in doubt stand in the Sent folder, and which
mails came back (reliability.md 3.1 and 4.5)."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import structlog
from msgspec import Meta, Struct
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.core import audit, evidence, standing
from ums.core.message_ids import signer_of
from ums.core.models import deliveries, mailboxes, senders
from ums.core.models.messages import IN_DOUBT
from ums.core.senders import refuse_controls
from ums.core.system import System
from ums.db import Hot, Tx
from ums.errors import Invalid, NotFound
from ums.senders import email, mailbox
from ums.senders.base import Encryption
from ums.senders.mailbox import MailboxError, MailboxSettings, Place, Seen, Sought

log = structlog.get_logger()
USUAL: Final = 5 * clock.MINUTE  # from one look to the next
SOON: Final = 30 * clock.SECOND  # the same while a mail is newly in doubt ...
NEWLY: Final = 10 * clock.MINUTE  # ... which is for so long
SOUGHT: Final = 7 * clock.DAY  # mails in doubt that are looked for
LETTERS_BACK: Final = 2 * clock.DAY  # letters that the first look reads
MOST_SOUGHT: Final = 5_000
SENT_MAILS: Final = 20_000  # the newest of the Sent folder, among which they may be ...
LATEST: Final = 2_000  # ... and where all of them are new, as such a look comes often
AT_ONCE: Final = 4  # mailboxes
HELD: Final = 15 * clock.MINUTE  # for a look, which another process keeps away from
LONGEST: Final = clock.HOUR  # between two looks at a mailbox that cannot be opened
_T = TypeVar("_T")

_DUE = Hot(
    "UPDATE mailboxes SET next_at = :held WHERE sender_id IN (SELECT b.sender_id FROM mailboxes b"
    " WHERE b.next_at <= :at OR (b.failures = 0 AND b.next_at <= :usual AND b.looked_at <= :soon"
    " AND EXISTS (SELECT 1 FROM deliveries WHERE deliveries.sender_id = b.sender_id"
    f" AND {IN_DOUBT} AND deliveries.updated_at > :newly)) ORDER BY b.next_at LIMIT :limit)"
    " RETURNING sender_id"
)


class NewMailbox(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the mailbox of a sender's account is opened over IMAP."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 993
    encryption: Literal["none", "ssl", "starttls"] = "ssl"
    account: Annotated[str, Meta(description="Empty: the sender's own.")] = ""
    password: Annotated[
        str | None, Meta(description="Never shown again; null keeps the one that is stored.")
    ] = None
    sent_folder: Annotated[str, Meta(description="Empty: the one the server names so.")] = ""
    inbox: Annotated[str, Meta(description="The folder that reports come to.")] = "INBOX"
    allow_port: Annotated[
        bool, Meta(description="Approve a port other than 143 and 993; needs `senders:approve`.")
    ] = False


class MailboxInfo(Struct, frozen=True):
    """A sender's mailbox, and what was found in it."""

    host: str
    port: int
    encryption: Encryption
    account: str
    sent_folder: str
    inbox: str
    found_sent_folder: Annotated[str, Meta(description="Empty: none was found yet.")]
    looked_at: str | None
    next_at: Annotated[str | None, Meta(description="The next look; null: at once.")]
    problem: Annotated[str, Meta(description="Why the last look failed; empty: it did not.")]
    problem_detail: Annotated[str, Meta(description="The server's words.")]
    arrived: Annotated[int, Meta(description="Deliveries in doubt that had arrived.")]
    returned: Annotated[int, Meta(description="Deliveries that came back.")]
    complained: Annotated[int, Meta(description="Complaints of recipients.")]


async def show(system: System, code: str) -> MailboxInfo | None:
    """None where the sender has no mailbox. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        row = await _row(tx, sender.id)
    return None if row is None else _shown(row)


async def in_trouble(system: System) -> list[str]:
    """The codes of the senders whose mailboxes cannot be looked into."""
    query = select(senders.c.code).join(mailboxes, mailboxes.c.sender_id == senders.c.id)
    async with system.database.read() as tx:
        found = await tx.rows(query.where(mailboxes.c.problem != "").order_by(senders.c.code))
    return [row.code for row in found]


async def set_mailbox(system: System, code: str, given: NewMailbox) -> MailboxInfo:
    """Open the account's mailbox from now on so. Raises Invalid, NotFound."""
    sender = await system.directory.sender(code)
    own = email.read(sender.settings)
    settings = _settings(given, own.account or own.from_address)
    async with system.database.write() as tx:
        before = await _row(tx, sender.id)
        _check_port(given, before)
        values: dict[str, Any] = {
            "sender_id": sender.id,
            "settings": msgspec.json.encode(settings).decode(),
            "next_at": 0,
            "failures": 0,
            "problem": "",
            "problem_detail": "",
        }
        if given.password is not None:
            values["secret"] = system.seal.close(given.password, _context(code, settings))
        elif before is None:
            raise Invalid("missing", field="password")
        elif _moved(before, settings):
            raise Invalid("password_again", field="password")
        if before is None or _moved(before, settings):
            values |= {"uidvalidity": 0, "uid": 0, "found_sent_folder": "", "looked_at": None}
        if before is None:
            await tx.run(insert(mailboxes), values)
        else:
            await tx.run(update(mailboxes).where(mailboxes.c.sender_id == sender.id).values(values))
        place = f"{settings.host}:{settings.port} {settings.encryption}"
        await audit.note(tx, "sender.mailbox", code, place)
        row = await _row(tx, sender.id)
    return _shown(row)


async def remove(system: System, code: str) -> None:
    """Look into it no more. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.write() as tx:
        mine = mailboxes.c.sender_id == sender.id
        if (await tx.run(delete(mailboxes).where(mine))).count == 0:
            raise NotFound("no_mailbox", code=code)
        await audit.note(tx, "sender.mailbox_remove", code)


async def look_now(system: System, code: str) -> MailboxInfo:
    """Look at once, and say what is known then. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.write() as tx:
        mine = update(mailboxes).where(mailboxes.c.sender_id == sender.id)
        if (await tx.run(mine.values(next_at=clock.now() + HELD))).count == 0:
            raise NotFound("no_mailbox", code=code)
    await look(system, sender.id)
    found = await show(system, code)
    if found is None:
        raise NotFound("no_mailbox", code=code)
    return found


async def look_due(system: System) -> bool:
    """Look into the mailboxes whose time has come; whether there were any."""
    now = clock.now()
    params = {
        "at": now,
        "held": now + HELD,
        "usual": now + USUAL,
        "soon": now - SOON,
        "newly": now - NEWLY,
        "limit": AT_ONCE,
    }
    async with system.database.read() as tx:
        if await tx.first(select(mailboxes.c.sender_id).limit(1)) is None:
            return False
    async with system.database.write() as tx:
        due = [row[0] for row in await tx.rows(_DUE, params)]
    await asyncio.gather(*(look(system, sender) for sender in due))
    return bool(due)


async def look(system: System, sender_id: int) -> None:
    """One visit of the sender's mailbox, and what follows from what is there."""
    async with system.database.read() as tx:
        row = await _row(tx, sender_id)
        doubts = await _doubts(tx, sender_id)
    if row is None:
        return
    signer = signer_of(system.seal)
    domain = email.read(row.sender_settings).from_address.rpartition("@")[2]
    sought = {f"{signer.token(id)}@{domain}": id for id in doubts}
    try:
        seen = await _visit(system, row, frozenset(sought), list(doubts.values()))
    except (MailboxError, Invalid) as error:
        await _failed(system, row, error)
        return
    letters = [(signer.first(one.message_ids), one) for one in seen.letters]
    known = [(id, letter) for id, letter in letters if id is not None]
    async with system.database.write() as tx:
        arrived = await evidence.in_sent_folder(tx, {sought[one] for one in seen.sent})
        changes = await evidence.take(tx, known)
        changes.arrived += arrived
        await _succeeded(tx, row, seen, changes)
    if changes.counts:
        await standing.note(system, changes.counts)
    log.info("looked into a mailbox", sender=row.code, letters=seen.looked_at, ours=len(known))


async def _visit(system: System, row: Any, sought: frozenset[str], since: list[int]) -> Seen:
    settings = mailbox.read(row.settings)
    password = system.seal.open(row.secret, _context(row.code, settings))
    now, oldest = clock.now(), min(since, default=0)
    what = Sought(
        message_ids=sought,
        sent_since=_day(oldest - clock.DAY),
        sent_mails=LATEST if oldest > now - NEWLY else SENT_MAILS,
        place=Place(row.uidvalidity, row.uid),
        letters_since=_day(now - LETTERS_BACK),
    )
    return await _in_thread(partial(mailbox.visit, settings, password, what))


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Run `work` in a thread of its own, which the end of the process does not wait for: a server
    that says nothing must not keep UMS from stopping."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(call: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            call(value)

    def run() -> None:
        try:
            outcome, value = done.set_result, work()
        except BaseException as error:
            outcome, value = done.set_exception, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, outcome, value)

    threading.Thread(target=run, daemon=True, name="mailbox").start()
    return await done


async def _doubts(tx: Tx, sender_id: int) -> dict[int, int]:
    """The deliveries whose mails are worth looking for, with the time of their last change."""
    young = deliveries.c.updated_at > clock.now() - SOUGHT
    query = select(deliveries.c.id, deliveries.c.updated_at).where(
        deliveries.c.sender_id == sender_id, deliveries.c.owner.is_(None), young, IN_DOUBT
    )
    rows = await tx.rows(query.order_by(deliveries.c.updated_at.desc()).limit(MOST_SOUGHT))
    return {row.id: row.updated_at for row in rows}


async def _succeeded(tx: Tx, row: Any, seen: Seen, changes: evidence.Changes) -> None:
    now = clock.now()
    values = {
        "uidvalidity": seen.place.uidvalidity,
        "uid": seen.place.uid,
        "found_sent_folder": seen.sent_folder[:255],
        "looked_at": now,
        "next_at": now if seen.more else now + USUAL,
        "failures": 0,
        "problem": "",
        "problem_detail": "",
        "arrived": mailboxes.c.arrived + changes.arrived,
        "returned": mailboxes.c.returned + changes.returned,
        "complained": mailboxes.c.complained + changes.complained,
    }
    await tx.run(update(mailboxes).where(_same(row)).values(values))


async def _failed(system: System, row: Any, error: MailboxError | Invalid) -> None:
    """Try again later, and later still; a password that is not taken, seldom."""
    reason, detail = error.reason, error.detail if isinstance(error, MailboxError) else ""
    now, failures = clock.now(), row.failures + 1
    wait = LONGEST if reason == "mailbox_login" else min(LONGEST, clock.MINUTE << min(failures, 6))
    values = {"looked_at": now, "next_at": now + wait, "failures": failures, "problem": reason}
    async with system.database.write() as tx:
        mine = update(mailboxes).where(_same(row))
        await tx.run(mine.values(**values, problem_detail=detail.replace("\x00", "")))
    log.info("a mailbox cannot be looked at", sender=row.code, reason=reason)


def _same(row: Any) -> Any:
    """The mailbox, unless it was set anew meanwhile."""
    return (mailboxes.c.sender_id == row.sender_id) & (mailboxes.c.settings == row.settings)


async def _row(tx: Tx, sender_id: int) -> Any:
    query = select(mailboxes, senders.c.code, senders.c.settings.label("sender_settings"))
    mine = mailboxes.c.sender_id == sender_id
    return await tx.first(query.join(senders, senders.c.id == mailboxes.c.sender_id).where(mine))


def _settings(given: NewMailbox, account: str) -> MailboxSettings:
    host, account = given.host.strip(), given.account.strip() or account
    if given.encryption not in set(Encryption):
        raise Invalid("encryption", field="encryption")
    if not 1 <= given.port <= 65535:
        raise Invalid("port_range", field="port")
    if not email.is_host(host):
        raise Invalid("host_shape", field="host", host=host)
    texts = {"account": account, "sent_folder": given.sent_folder, "inbox": given.inbox}
    for name, text in {**texts, "password": given.password or ""}.items():
        refuse_controls(text, name)
        if len(text) > 255:
            raise Invalid("misfit", field=name, detail="at most 255 characters")
    if not given.inbox.strip():
        raise Invalid("missing", field="inbox")
    return MailboxSettings(
        host=host,
        port=given.port,
        encryption=Encryption(given.encryption),
        account=account,
        sent_folder=given.sent_folder.strip(),
        inbox=given.inbox.strip(),
    )


def _check_port(given: NewMailbox, before: Any) -> None:
    """Another port than those of IMAP needs an approval, unless it is the one already: else the
    mailbox would be a way to try the ports of others."""
    own = None if before is None else mailbox.read(before.settings)
    known = own is not None and (own.host, own.port) == (given.host.strip(), given.port)
    if given.port not in mailbox.FREE_PORTS and not given.allow_port and not known:
        raise Invalid("mailbox_port", field="port", port=given.port)


def _moved(before: Any, settings: MailboxSettings) -> bool:
    return mailbox.binding(mailbox.read(before.settings)) != mailbox.binding(settings)


def _context(code: str, settings: MailboxSettings) -> str:
    return f"mailbox:{code}:{mailbox.binding(settings)}"


def _day(moment: int) -> datetime:
    return datetime.fromtimestamp(max(moment, 0) / 1000, UTC)


def _shown(row: Any) -> MailboxInfo:
    return MailboxInfo(
        **msgspec.structs.asdict(mailbox.read(row.settings)),
        found_sent_folder=row.found_sent_folder,
        looked_at=clock.iso_or_none(row.looked_at),
        next_at=clock.iso(row.next_at) if row.next_at > clock.now() else None,
        problem=row.problem,
        problem_detail=row.problem_detail,
        arrived=row.arrived,
        returned=row.returned,
        complained=row.complained,
    )
