"""The mailboxes of senders' accounts: how they are opened. `mailbox_polling` looks into them."""

from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import delete, insert, select, update

from ums import clock
from ums.bounds import SAYS, UNBROKEN, said
from ums.core.audit import audit_log
from ums.core.common.field_errors import Check, all_of
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.senders.validation import refuse_controls
from ums.core.tables import mailboxes, senders
from ums.core.transports.accounts import WEBHOOK
from ums.db import Tx, to_json
from ums.errors import Detail, Invalid, NotFound, UmsError
from ums.mail import email_account, imap
from ums.mail.imap import MailboxSettings
from ums.mail.outcomes import Encryption

_Text = Annotated[str, said(pattern=UNBROKEN, maxLength=255)]


class NewMailbox(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the mailbox of a sender's account is opened over IMAP."""

    host: Annotated[str, said("A host name or an IP address.", minLength=1, maxLength=253)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 993
    encryption: Literal["none", "ssl", "starttls"] = "ssl"
    account: Annotated[_Text, Meta(description="Empty: the sender's own.")] = ""
    password: Annotated[
        _Text | None, Meta(description="Never shown again; null keeps the one that is stored.")
    ] = None
    sent_folder: Annotated[_Text, Meta(description="Empty: the one the server names so.")] = ""
    inbox: Annotated[
        _Text, Meta(description="The folder that reports come to."), said(allOf=[{"pattern": SAYS}])
    ] = "INBOX"
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
    polled_at: str | None
    next_poll_at: Annotated[str | None, Meta(description="The next look; null: at once.")]
    problem: Annotated[str, Meta(description="Why the last look failed; empty: it did not.")]
    problem_detail: Annotated[str, Meta(description="The server's words.")]
    arrived: Annotated[int, Meta(description="Deliveries in doubt that had arrived.")]
    bounced: Annotated[int, Meta(description="Deliveries that came back.")]
    complained: Annotated[int, Meta(description="Complaints of recipients.")]


async def show(system: AppContext, code: str) -> MailboxInfo | None:
    """None where the sender has no mailbox. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        row = await stored(tx, sender.id)
    return None if row is None else _shown(row)


async def in_trouble(system: AppContext) -> list[str]:
    """The codes of the senders whose mailboxes cannot be looked into."""
    query = select(senders.c.code).join(mailboxes, mailboxes.c.sender_id == senders.c.id)
    async with system.database.read() as tx:
        found = await tx.rows(query.where(mailboxes.c.problem != "").order_by(senders.c.code))
    return [row.code for row in found]


async def set_mailbox(system: AppContext, code: str, given: NewMailbox) -> MailboxInfo:
    """Open the account's mailbox from now on so. Raises Invalid, NotFound."""
    sender = await system.directory.sender(code)
    own = _account_of(sender)
    settings = _settings(given, own)
    async with system.database.write() as tx:
        # Whoever else sets it waits, and then sees what was set.
        mine = select(senders.c.id).where(senders.c.id == sender.id)
        await tx.first(mine.with_for_update())
        before = await stored(tx, sender.id)
        _check_port(given, before)
        values: dict[str, Any] = {
            "sender_id": sender.id,
            "settings": to_json(settings),
            "next_poll_at": 0,
            "failures": 0,
            "problem": "",
            "problem_detail": "",
        }
        _check_password(given, before, own)
        if given.password is not None:
            values["secret"] = system.seal.close(given.password, secret_context(code, settings))
        if before is None or _moved(before, settings):
            values |= {"uidvalidity": 0, "uid": 0, "found_sent_folder": "", "polled_at": None}
        if before is None:
            await tx.run(insert(mailboxes), values)
        else:
            await tx.run(update(mailboxes).where(mailboxes.c.sender_id == sender.id).values(values))
        place = f"{settings.host}:{settings.port} {settings.encryption}"
        was = {} if before is None else _noted(before)
        now = {**msgspec.structs.asdict(settings), **({} if given.password is None else _RENEWED)}
        await audit_log.note(tx, "sender.mailbox", code, place, before=was, after=now)
        row = await stored(tx, sender.id)
    return _shown(row)


async def errors_of(system: AppContext, code: str, given: NewMailbox) -> list[UmsError]:
    """All that is wrong with a mailbox that is to be set. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.read() as tx:
        before = await stored(tx, sender.id)
    found = all_of([*_checks(given), lambda: _check_port(given, before)])
    if found and before is not None:
        return found  # whether the password would go elsewhere cannot be said yet
    return [*found, *all_of([lambda: _check_password(given, before, _account_of(sender))])]


def _account_of(sender: Sender) -> str:
    """The account of a mailbox that names none."""
    if sender.type == WEBHOOK:
        raise Invalid("sender_type_other", code=sender.code, type=sender.type)
    own = email_account.read(sender.settings)
    return own.account or own.from_address


async def remove(system: AppContext, code: str) -> None:
    """Look into it no more. Raises NotFound."""
    sender = await system.directory.sender(code)
    async with system.database.write() as tx:
        mine = mailboxes.c.sender_id == sender.id
        row = await stored(tx, sender.id)
        if row is None:
            raise NotFound("no_mailbox", code=code)
        await tx.run(delete(mailboxes).where(mine))
        await audit_log.note(tx, "sender.mailbox_remove", code, before=_noted(row))


async def stored(tx: Tx, sender_id: int) -> Any:
    """All that is stored of the sender's mailbox; None where it has none."""
    query = select(mailboxes, senders.c.code, senders.c.settings.label("sender_settings"))
    mine = mailboxes.c.sender_id == sender_id
    return await tx.first(query.join(senders, senders.c.id == mailboxes.c.sender_id).where(mine))


_RENEWED: Final = {"password": "new"}
"""Stands in the audit log for a password that was given: masked, but there."""


def _noted(row: Any) -> dict[str, Any]:
    """What the audit log says of a stored mailbox."""
    return msgspec.structs.asdict(imap.read(row.settings))


def password_of(system: AppContext, row: Any) -> str:
    """Of a stored mailbox. Raises Invalid where it cannot be opened."""
    return system.seal.open(row.secret, secret_context(row.code, imap.read(row.settings)))


def _settings(given: NewMailbox, account: str) -> MailboxSettings:
    """Raises Invalid for the first field that is wrong."""
    for check in _checks(given):
        check()
    return MailboxSettings(
        host=given.host.strip(),
        port=given.port,
        encryption=Encryption(given.encryption),
        account=given.account.strip() or account,
        sent_folder=given.sent_folder.strip(),
        inbox=given.inbox.strip(),
    )


def _checks(given: NewMailbox) -> list[Check]:
    """A check for each field."""
    names = ("account", "password", "sent_folder", "inbox")
    return [
        lambda: _check_encryption(given.encryption),
        lambda: _check_range(given.port),
        lambda: _check_host(given.host.strip()),
        *(partial(_check_text, name, getattr(given, name) or "") for name in names),
        lambda: _check_inbox(given.inbox),
    ]


def _check_encryption(encryption: str) -> None:
    if encryption not in set(Encryption):
        raise Invalid("encryption", field="encryption")


def _check_range(port: int) -> None:
    if not 1 <= port <= 65535:
        raise Invalid("port_range", field="port")


def _check_host(host: str) -> None:
    if not email_account.is_host(host):
        raise Invalid("host_shape", field="host", host=host)


def _check_text(name: str, text: str) -> None:
    refuse_controls(text, name)
    if len(text) > 255:
        raise Invalid("misfit", field=name, detail=Detail("at_most_characters", most=255))


def _check_inbox(inbox: str) -> None:
    if not inbox.strip():
        raise Invalid("missing", field="inbox")


def _check_password(given: NewMailbox, before: Any, own_account: str) -> None:
    """Where the password is kept, nothing else may be that it goes to."""
    if given.password is not None:
        return
    if before is None:
        raise Invalid("missing", field="password")
    if _moved(before, _settings(given, own_account)):
        raise Invalid("password_again", field="password")


def _check_port(given: NewMailbox, before: Any) -> None:
    """Another port than those of IMAP needs an approval, unless it is the one already: else the
    mailbox would be a way to try the ports of others."""
    own = None if before is None else imap.read(before.settings)
    known = own is not None and (own.host, own.port) == (given.host.strip(), given.port)
    if not 1 <= given.port <= 65535:
        return  # which is told already
    if given.port not in imap.FREE_PORTS and not given.allow_port and not known:
        raise Invalid("mailbox_port", field="port", port=given.port)


def _moved(before: Any, settings: MailboxSettings) -> bool:
    return imap.binding(imap.read(before.settings)) != imap.binding(settings)


def secret_context(code: str, settings: MailboxSettings) -> str:
    return f"mailbox:{code}:{imap.binding(settings)}"


def _shown(row: Any) -> MailboxInfo:
    return MailboxInfo(
        **msgspec.structs.asdict(imap.read(row.settings)),
        found_sent_folder=row.found_sent_folder,
        polled_at=clock.iso_or_none(row.polled_at),
        next_poll_at=clock.iso(row.next_poll_at) if row.next_poll_at > clock.now() else None,
        problem=row.problem,
        problem_detail=row.problem_detail,
        arrived=row.arrived,
        bounced=row.bounced,
        complained=row.complained,
    )
