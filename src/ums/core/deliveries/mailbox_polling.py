"""Polling of senders' mailboxes (reliability.md 3.1 and 4.5).

Finds mails with an unknown outcome in the Sent folder, and collects bounces and complaints.
"""

import asyncio
import signal
import ssl
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import select, update

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries import feedback, mailbox_worker
from ums.core.deliveries.mailbox_worker import Answer, Failure, Task
from ums.core.deliveries.message_id import signer_of
from ums.core.isolation import child_process
from ums.core.senders import mailboxes, reputation
from ums.core.senders.mailboxes import MailboxInfo
from ums.core.tables import deliveries
from ums.core.tables import mailboxes as table
from ums.core.tables.messages import IN_DOUBT
from ums.db import Statement, Tx
from ums.errors import Invalid, NotFound, Unavailable
from ums.mail import email_account, imap
from ums.mail.imap import MailboxError, Place, Seen, Sought

log = structlog.get_logger()
USUAL: Final = 5 * clock.MINUTE  # between two polls of a mailbox
SOON: Final = 30 * clock.SECOND  # the same while an outcome has recently become unknown ...
NEWLY: Final = 10 * clock.MINUTE  # ... which is within this time
SOUGHT: Final = 7 * clock.DAY  # maximum age of an unknown outcome whose mail is searched for
LETTERS_BACK: Final = 2 * clock.DAY  # age of the received mails that the first poll reads
MOST_SOUGHT: Final = 5_000
SENT_MAILS: Final = 20_000  # the newest mails of the Sent folder that are searched ...
LATEST: Final = 2_000  # ... or these if all are recent, as such polls are frequent
AT_ONCE: Final = 4  # mailboxes polled concurrently by a worker
HELD: Final = 15 * clock.MINUTE  # reservation of a mailbox, during which no other process polls it
AGAIN: Final = 1.0  # seconds between attempts while the database is unavailable
LONGEST: Final = clock.HOUR  # maximum time between two polls of a mailbox that cannot be opened
_CHILD: Final = "ums.core.deliveries.mailbox_worker"
_answers = msgspec.json.Decoder(Answer)

_DUE = Statement(
    "WITH due AS MATERIALIZED (SELECT sender_id FROM mailboxes b"
    " WHERE b.next_poll_at <= :at"
    " OR (b.failures = 0 AND b.next_poll_at <= :usual AND b.polled_at <= :soon"
    " AND EXISTS (SELECT 1 FROM deliveries WHERE deliveries.sender_id = b.sender_id"
    f" AND {IN_DOUBT} AND deliveries.updated_at > :newly))"
    " ORDER BY b.next_poll_at LIMIT 1 $skip_locked)"
    " UPDATE mailboxes SET next_poll_at = :held FROM due WHERE mailboxes.sender_id = due.sender_id"
    " RETURNING mailboxes.sender_id"
)


async def look_now(system: AppContext, code: str) -> MailboxInfo:
    """Poll a sender's mailbox now and return its state. Raises NotFound if it has no mailbox."""
    sender = await system.directory.sender(code)
    async with system.database.write() as tx:
        mine = update(table).where(table.c.sender_id == sender.id)
        if (await tx.run(mine.values(next_poll_at=clock.now() + HELD))).count == 0:
            raise NotFound("no_mailbox", code=code)
    await look(system, sender.id)
    found = await mailboxes.show(system, code)
    if found is None:
        raise NotFound("no_mailbox", code=code)
    return found


async def look_due(system: AppContext) -> bool:
    """Poll one mailbox that is due. Return False if none is due."""
    async with system.database.read() as tx:
        if await tx.first(select(table.c.sender_id).limit(1)) is None:
            return False
    now = clock.now()
    params = {"at": now, "usual": now + USUAL, "soon": now - SOON, "newly": now - NEWLY}
    async with system.database.write() as tx:
        due = await tx.first(_DUE, {**params, "held": now + HELD})
    if due is None:
        return False
    await _look_at_last(system, due.sender_id, now + HELD)
    return True


async def _look_at_last(system: AppContext, sender_id: int, until: int) -> None:
    """Poll a mailbox, retrying while the database is unavailable.

    Raises Unavailable at `until`, when the reservation ends and another process may poll it.
    """
    while True:
        try:
            return await look(system, sender_id)
        except Unavailable:
            if clock.now() >= until:
                raise
        await asyncio.sleep(AGAIN)


async def look(system: AppContext, sender_id: int) -> None:
    """Poll the mailbox of a sender once, and apply the reports and Sent mails found there."""
    async with system.database.read() as tx:
        row = await mailboxes.stored(tx, sender_id)
        unknown = await _unknown(tx, sender_id)
    if row is None:
        return
    signer = signer_of(system.seal)
    domain = email_account.read(row.sender_settings).from_address.rpartition("@")[2]
    sought = {f"{signer.token(id)}@{domain}": id for id in unknown}
    try:
        seen = await _visit(system, row, frozenset(sought), list(unknown.values()))
    except (MailboxError, Invalid) as error:
        await _failed(system, row, error)
        return
    letters = [(signer.first(one.message_ids), one) for one in seen.letters]
    known = [(id, letter) for id, letter in letters if id is not None]
    async with system.database.write() as tx:
        arrived = await feedback.in_sent_folder(tx, {sought[one] for one in seen.sent})
        changes = await feedback.take(tx, known)
        changes.arrived += arrived
        await _succeeded(tx, row, seen, changes)
    if changes.counts:
        await reputation.note(system, changes.counts)
    log.info("looked into a mailbox", sender=row.code, letters=seen.letters_read, ours=len(known))


async def _visit(system: AppContext, row: Any, sought: frozenset[str], since: list[int]) -> Seen:
    password = mailboxes.password_of(system, row)
    now, oldest = clock.now(), min(since, default=0)
    what = Sought(
        message_ids=sought,
        sent_since=_day(oldest - clock.DAY),
        sent_mails=LATEST if oldest > now - NEWLY else SENT_MAILS,
        place=Place(row.uidvalidity, row.uid),
        letters_since=_day(now - LETTERS_BACK),
    )
    return await _seen(Task(imap.read(row.settings), password, what, system.settings.ca_file))


async def _seen(task: Task) -> Seen:
    """Read the mailbox in a child process (`core.deliveries.mailbox_worker`).

    Raises MailboxError if the mailbox cannot be read, or takes too much time or memory.
    """
    words, longest = msgspec.json.encode(task), mailbox_worker.LONGEST
    output, code = await child_process.answer(_CHILD, words, longest, _trusted())
    try:
        answer = _answers.decode(output)
    except msgspec.DecodeError:
        if code in (-signal.SIGKILL, -signal.SIGALRM):
            problem = MailboxError("mailbox_away", f"it took longer than {longest} seconds")
        else:  # the limit of processor time or memory was exceeded
            problem = MailboxError("mailbox_nonsense", "to read it takes too much")
        raise problem from None
    if isinstance(answer, Failure):
        raise MailboxError(answer.reason, answer.detail, answer.cause)
    return answer.seen


def _trusted() -> dict[str, str]:
    """Return the environment that tells OpenSSL in the child where its trusted certificates are.

    The child does not inherit the environment of this process.
    """
    paths = ssl.get_default_verify_paths()
    found = {"SSL_CERT_FILE": paths.cafile, "SSL_CERT_DIR": paths.capath}
    return {name: path for name, path in found.items() if path}


async def _unknown(tx: Tx, sender_id: int) -> dict[int, int]:
    """Return the deliveries to search for in the Sent folder: {id: time of last change in ms}."""
    young = deliveries.c.updated_at > clock.now() - SOUGHT
    query = select(deliveries.c.id, deliveries.c.updated_at).where(
        deliveries.c.sender_id == sender_id, deliveries.c.owner.is_(None), young, IN_DOUBT
    )
    rows = await tx.rows(query.order_by(deliveries.c.updated_at.desc()).limit(MOST_SOUGHT))
    return {row.id: row.updated_at for row in rows}


async def _succeeded(tx: Tx, row: Any, seen: Seen, changes: feedback.Changes) -> None:
    now = clock.now()
    values = {
        "uidvalidity": seen.place.uidvalidity,
        "uid": seen.place.uid,
        "found_sent_folder": seen.sent_folder[:255],
        "polled_at": now,
        "next_poll_at": now if seen.more else now + USUAL,
        "failures": 0,
        "problem": "",
        "problem_detail": "",
        "arrived": table.c.arrived + changes.arrived,
        "bounced": table.c.bounced + changes.bounced,
        "complained": table.c.complained + changes.complained,
    }
    await tx.run(update(table).where(_same(row)).values(values))


async def _failed(system: AppContext, row: Any, error: MailboxError | Invalid) -> None:
    """Record a failed poll and schedule the retry, with exponential backoff.

    A rejected login is retried only once in LONGEST.
    """
    reason, detail = error.reason, error.detail if isinstance(error, MailboxError) else ""
    now, failures = clock.now(), row.failures + 1
    wait = LONGEST if reason == "mailbox_login" else min(LONGEST, clock.MINUTE << min(failures, 6))
    values = {"polled_at": now, "next_poll_at": now + wait, "failures": failures, "problem": reason}
    async with system.database.write() as tx:
        mine = update(table).where(_same(row))
        await tx.run(mine.values(**values, problem_detail=detail.replace("\x00", "")))
    cause = error.cause if isinstance(error, MailboxError) else ""
    log.info("a mailbox cannot be looked at", sender=row.code, reason=reason, cause=cause)


def _same(row: Any) -> Any:
    """Return the condition that selects the mailbox if its settings have not changed meanwhile."""
    return (table.c.sender_id == row.sender_id) & (table.c.settings == row.settings)


def _day(moment: int) -> datetime:
    return datetime.fromtimestamp(max(moment, 0) / 1000, UTC)
