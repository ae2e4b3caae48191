"""The mailbox of the sandbox sender: mail that was sent in earnest, but only to ourselves."""

from email import policy
from email.parser import BytesHeaderParser
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, true

from ums import clock
from ums.core.tables import deliveries, messages
from ums.core.tables import sandbox_mails as mails
from ums.db import Tx

_ROUTE = (mails.c.received_at, mails.c.mail_from, mails.c.rcpt_to)
_HEAD = (mails.c.id, *_ROUTE, mails.c.subject, mails.c.size)


class Caught(Struct, frozen=True):
    """A mail that the sandbox received."""

    id: int
    received_at: int
    mail_from: str
    rcpt_to: str
    subject: str
    size: int


async def keep(
    tx: Tx,
    mail_from: str,
    rcpt_to: str,
    source: bytes,
    *,
    limit: int,
    delivery_id: int | None = None,
) -> None:
    """Store a mail, visible to operators of its delivery's channel.

    Only the newest `limit` mails are kept.
    """
    row = {
        "received_at": clock.now(),
        "mail_from": mail_from,
        "rcpt_to": rcpt_to,
        "subject": _subject(source),
        "size": len(source),
        "source": source,
        "channel_id": await _channel(tx, delivery_id),
    }
    await tx.run(insert(mails), row)
    newest = await tx.value(select(func.max(mails.c.id)))
    await tx.run(delete(mails).where(mails.c.id <= newest - limit))


async def _channel(tx: Tx, delivery_id: int | None) -> int | None:
    if delivery_id is None:
        return None
    query = select(messages.c.channel_id).join(deliveries, deliveries.c.message_id == messages.c.id)
    return await tx.value(query.where(deliveries.c.id == delivery_id))


async def recent(
    tx: Tx, channels: frozenset[int] | None, *, before: int | None = None, limit: int = 50
) -> list[Caught]:
    """Return mails of these channels (ids; None: all mails, also without a channel), newest first.

    `before` is the last id of the previous page.
    """
    query = select(*_HEAD).where(_of(channels)).order_by(mails.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(mails.c.id < before)
    return [Caught(*row) for row in await tx.rows(query)]


async def source(tx: Tx, channels: frozenset[int] | None, id: int) -> tuple[Caught, bytes] | None:
    """Return a mail of these channels and its source as received, or None if there is none."""
    mine = (mails.c.id == id) & _of(channels)
    row = await tx.first(select(*_HEAD, mails.c.source).where(mine))
    return None if row is None else (Caught(*row[:-1]), bytes(row[-1]))


def message_id(source: bytes) -> str:
    """Return the Message-ID of a mail, or "" if it has none that can be read."""
    return _header(source, "Message-ID")


def _of(channels: frozenset[int] | None) -> Any:
    return true() if channels is None else mails.c.channel_id.in_(sorted(channels))


def _subject(source: bytes) -> str:
    return _header(source, "Subject")[:1000]


def _header(source: bytes, name: str) -> str:
    try:
        found = BytesHeaderParser(policy=policy.default).parsebytes(source)[name]
    except Exception:  # the parser fails on some hostile headers; the mail is stored anyway
        return ""
    # PostgreSQL does not accept NUL in text.
    return "" if found is None else str(found).replace("\x00", "")
