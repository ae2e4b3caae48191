"""The mailbox of the sandbox sender: mail that was sent in earnest, but only to ourselves."""

from email import policy
from email.parser import BytesHeaderParser

from msgspec import Struct
from sqlalchemy import delete, func, insert, select

from ums import clock
from ums.core.models import sandbox_mails as mails
from ums.db import Tx

_ROUTE = (mails.c.received_at, mails.c.mail_from, mails.c.rcpt_to)
_HEAD = (mails.c.id, *_ROUTE, mails.c.subject, mails.c.size)


class Caught(Struct, frozen=True):
    """One mail the sandbox received."""

    id: int
    received_at: int
    mail_from: str
    rcpt_to: str
    subject: str
    size: int


async def keep(tx: Tx, mail_from: str, rcpt_to: str, source: bytes, *, limit: int) -> None:
    """Store a mail; of more than `limit` the oldest go."""
    row = {
        "received_at": clock.now(),
        "mail_from": mail_from,
        "rcpt_to": rcpt_to,
        "subject": _subject(source),
        "size": len(source),
        "source": source,
    }
    await tx.run(insert(mails), row)
    newest = await tx.value(select(func.max(mails.c.id)))
    await tx.run(delete(mails).where(mails.c.id <= newest - limit))


async def recent(tx: Tx, *, before: int | None = None, limit: int = 50) -> list[Caught]:
    """The newest mails first; `before` an id for the next page."""
    query = select(*_HEAD).order_by(mails.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(mails.c.id < before)
    return [Caught(*row) for row in await tx.rows(query)]


async def source(tx: Tx, id: int) -> tuple[Caught, bytes] | None:
    """A mail with its source as it came over the wire."""
    row = await tx.first(select(*_HEAD, mails.c.source).where(mails.c.id == id))
    return None if row is None else (Caught(*row[:-1]), bytes(row[-1]))


def _subject(source: bytes) -> str:
    try:
        subject = BytesHeaderParser(policy=policy.default).parsebytes(source)["subject"]
    except Exception:  # the parser gives up on some hostile headers; the mail is kept all the same
        return ""
    # PostgreSQL takes no NUL in a text.
    return "" if subject is None else str(subject).replace("\x00", "")[:1000]
