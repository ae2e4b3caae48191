"""Rotation of the sealing key, while UMS runs, in steps that can be repeated after a crash.

1. A new key is added behind the present one: every process can open with it.
2. The database names it as the key that seals; each process follows within a second.
3. What the old key sealed is sealed anew, a few rows in each transaction.
4. The old key is retired: it moves to a file of its own, for backups from before.

Keys stand in the order of their age, so an interrupted rotation is recognised: a key behind the
present one was added and not used yet, a key before it is not retired yet.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Table, and_, func, select, tuple_, update

from ums.core.audit import audit_log
from ums.core.common import metadata
from ums.core.common.encryption import (
    DERIVATION_ROOT,
    ROOT_CONTEXT,
    fingerprint,
    keep_retired,
    read_keys,
    sealed_with,
    write_keys,
)
from ums.core.common.idempotency import RequestKey
from ums.core.context.app_context import AppContext
from ums.core.context.directory import CHECK_EVERY, SEALING_KEY
from ums.core.identity import one_time_secrets, two_factor
from ums.core.identity.credentials import access_key_context, channel_context
from ums.core.senders import mailboxes
from ums.core.senders.sender_rows import secret_context
from ums.core.tables import (
    access_keys,
    callback_addresses,
    channels,
    idempotent_responses,
    operators,
    senders,
)
from ums.core.tables import mailboxes as mailbox_rows
from ums.core.tables import one_time_secrets as shown_rows
from ums.core.transports import accounts
from ums.core.webhooks.signatures import password_context
from ums.db import Tx
from ums.errors import Invalid
from ums.mail import imap

SLICE: Final = 200  # rows in one transaction


class SealedColumn(Struct, frozen=True):
    """A column of sealed texts. `query` gives its table's rows with all that `context` needs."""

    table: Table
    name: str
    query: Select[Any]
    context: Callable[[Any], str]

    @property
    def column(self) -> ColumnElement[Any]:
        return self.table.c[self.name]


class KeyStatus(Struct, frozen=True):
    """The keys by their fingerprints, and how many stored secrets each of them sealed."""

    sealing: str
    source: str  # file | environment
    known: list[str]  # in the order of their source, the oldest first
    sealed: dict[str, int]  # by fingerprint
    unreadable: int  # sealed with a key that is not known here
    retired: list[str] = []  # by this call


def _callback_context(row: Any) -> str:
    return f"callback:{row.channel_key}:{row.url}"


def _mailbox_context(row: Any) -> str:
    return mailboxes.secret_context(row.code, imap.read(row.settings))


_CHANNEL_ROWS = select(channels)
_CALLBACK_ROWS = select(callback_addresses, channels.c.key.label("channel_key")).join(
    channels, channels.c.id == callback_addresses.c.channel_id
)
_MAILBOX_ROWS = select(mailbox_rows, senders.c.code).join(
    senders, senders.c.id == mailbox_rows.c.sender_id
)
SEALED: Final = (
    SealedColumn(channels, "secret", _CHANNEL_ROWS, lambda row: channel_context(row.key)),
    SealedColumn(channels, "old_secret", _CHANNEL_ROWS, lambda row: channel_context(row.key)),
    SealedColumn(
        access_keys, "secret", select(access_keys), lambda row: access_key_context(row.key)
    ),
    SealedColumn(
        senders,
        "secret",
        select(senders),
        lambda row: secret_context(row.code, accounts.read(row.type, row.settings)),
    ),
    SealedColumn(mailbox_rows, "secret", _MAILBOX_ROWS, _mailbox_context),
    SealedColumn(
        shown_rows,
        "sealed",
        select(shown_rows),
        lambda row: one_time_secrets.context(row.operator_id, row.kind),
    ),
    SealedColumn(callback_addresses, "secret", _CALLBACK_ROWS, _callback_context),
    SealedColumn(callback_addresses, "old_secret", _CALLBACK_ROWS, _callback_context),
    SealedColumn(
        callback_addresses,
        "password",
        _CALLBACK_ROWS,
        lambda row: password_context(row.channel_key, row.url),
    ),
    SealedColumn(
        operators, "totp", select(operators), lambda row: two_factor.secret_context(row.id)
    ),
    SealedColumn(
        idempotent_responses,
        "response",
        select(idempotent_responses),
        lambda row: RequestKey(row.caller, row.key).context,
    ),
)
"""Every column that holds sealed texts, with what each text is bound to."""


async def show(system: AppContext) -> KeyStatus:
    """Which keys there are, and what each still opens."""
    await _follow(system)
    return await _status(system, [])


async def add(system: AppContext) -> KeyStatus:
    """Add a new key to the key file without using it yet.

    Raises Invalid: key_from_environment, key_not_retired.
    """
    await _follow(system)
    _require_file(system)
    if _behind(system) or _before(system):
        raise Invalid("key_not_retired")
    await _add(system)
    return await _status(system, [])


async def rotate(system: AppContext) -> KeyStatus:
    """Seal everything with the next key, or finish a rotation that was interrupted.

    On SQLite this adds the new key and retires the old one as well. On PostgreSQL, and with keys
    from the environment, other machines have to know the new key before (`key_missing`) and are
    told to retire the old one afterwards.

    Raises Invalid: key_missing.
    """
    await _follow(system)
    alone = system.settings.is_sqlite and not system.settings.secret_key
    if not _before(system):
        if not _behind(system):
            if not alone:
                raise Invalid("key_missing")
            await _add(system)
        await _switch(system, _behind(system)[0])
    else:
        await _note_rotation(system, _before(system)[-1], system.seal.fingerprint, "continued")
    await _seal_all(system)
    return await _status(system, await _retire(system) if alone else [])


async def retire(system: AppContext) -> KeyStatus:
    """Move the keys that open nothing any more from the key file to the file of retired ones.

    Raises Invalid: key_from_environment, key_in_use.
    """
    await _follow(system)
    _require_file(system)
    return await _status(system, await _retire(system))


async def _follow(system: AppContext) -> None:
    system.seal.reload()
    await system.directory.fresh()


def _require_file(system: AppContext) -> None:
    if system.settings.secret_key:
        raise Invalid("key_from_environment")


def _before(system: AppContext) -> list[str]:
    """The keys that are older than the sealing one: not retired yet."""
    known = system.seal.fingerprints
    return known[: known.index(system.seal.fingerprint)]


def _behind(system: AppContext) -> list[str]:
    """The keys that were added and seal nothing yet."""
    known = system.seal.fingerprints
    return known[known.index(system.seal.fingerprint) + 1 :]


async def _add(system: AppContext) -> None:
    new = os.urandom(32)
    keys = await asyncio.to_thread(read_keys, system.settings)
    await asyncio.to_thread(write_keys, system.settings, [*keys, new])
    system.seal.reload()
    async with system.database.write() as tx:
        await audit_log.note(tx, "key.add", fingerprint(new), after={"key": fingerprint(new)})


async def _switch(system: AppContext, name: str) -> None:
    """Let every process seal with the key `name` from now on."""
    root, old = system.seal.root.hex(), system.seal.fingerprint
    async with system.directory.change() as tx:
        # Sealed with the old key like everything else; the next step seals it anew.
        await metadata.put_first(tx, DERIVATION_ROOT, system.seal.close(root, ROOT_CONTEXT))
        await metadata.put(tx, SEALING_KEY, name)
        await audit_log.note(tx, "key.rotate", name, before={"key": old}, after={"key": name})
    await _follow(system)
    if not system.settings.is_sqlite:
        # Other processes go on sealing with the old key until they look again.
        await asyncio.sleep(2 * CHECK_EVERY)


async def _note_rotation(system: AppContext, old: str, new: str, how: str) -> None:
    async with system.database.write() as tx:
        await audit_log.note(tx, "key.rotate", new, how, before={"key": old}, after={"key": new})


async def adopt(system: AppContext) -> KeyStatus:
    """Seal with the first key known here, as the one that the database names is lost. What that
    one sealed stays unreadable. Raises Invalid("key_not_lost") where the key is known."""
    old = system.seal.fingerprint
    if system.seal.knows(old):
        raise Invalid("key_not_lost", name=old)
    new = system.seal.fingerprints[0]
    async with system.directory.change() as tx:
        await metadata.put(tx, SEALING_KEY, new)
        await audit_log.note(tx, "key.adopt", new, before={"key": old}, after={"key": new})
    await system.directory.fresh()
    return await show(system)


async def _seal_all(system: AppContext) -> None:
    await _seal_root(system)
    for place in SEALED:
        await _seal_column(system, place)
    async with system.directory.change():
        pass  # every process reads again what is sealed


async def _seal_root(system: AppContext) -> None:
    async with system.database.write() as tx:
        stored = await metadata.value(tx, DERIVATION_ROOT)
        if stored is not None:
            root = system.seal.open(stored, ROOT_CONTEXT)
            await metadata.put(tx, DERIVATION_ROOT, system.seal.close(root, ROOT_CONTEXT))


async def _seal_column(system: AppContext, place: SealedColumn) -> None:
    """Seal a column anew, by slices in the order of the primary key."""
    after: tuple[Any, ...] | None = None
    while True:
        async with system.database.write() as tx:
            rows = await tx.rows(_slice(system, place, after))
            for row in rows:
                await _seal_row(system, tx, place, row)
        if len(rows) < SLICE:
            return
        after = tuple(getattr(rows[-1], column.name) for column in place.table.primary_key)


def _slice(system: AppContext, place: SealedColumn, after: tuple[Any, ...] | None) -> Select[Any]:
    done = place.column.like(sealed_with(system.seal.fingerprint) + "%")
    order = list(place.table.primary_key)
    query = place.query.where(place.column.is_not(None), ~done).order_by(*order).limit(SLICE)
    if after is None:
        return query
    return query.where(tuple_(*order) > tuple_(*after))


async def _seal_row(system: AppContext, tx: Tx, place: SealedColumn, row: Any) -> None:
    """Where the row is unchanged since it was read; one that no key opens stays as it is."""
    old = getattr(row, place.name)
    try:
        text = system.seal.open(old, place.context(row))
    except Invalid:
        return
    mine = and_(*(column == getattr(row, column.name) for column in place.table.primary_key))
    new = {place.name: system.seal.close(text, place.context(row))}
    await tx.run(update(place.table).where(mine, place.column == old).values(new))


async def _retire(system: AppContext) -> list[str]:
    old = _before(system)
    status = await _status(system, [])
    if any(status.sealed.get(name) for name in old):
        raise Invalid("key_in_use")
    if old:
        keys = await asyncio.to_thread(read_keys, system.settings)
        gone = [key for key in keys if fingerprint(key) in old]
        await asyncio.to_thread(keep_retired, system.settings, gone)
        kept = [key for key in keys if key not in gone]
        await asyncio.to_thread(write_keys, system.settings, kept)
        system.seal.reload()
        async with system.database.write() as tx:
            await audit_log.note(tx, "key.retire", " ".join(old), before={"keys": old})
    else:
        async with system.database.write() as tx:
            await audit_log.note(tx, "key.retire", "", before={}, after={})
    return old


async def _status(system: AppContext, retired: list[str]) -> KeyStatus:
    known = system.seal.fingerprints
    sealed, total = dict.fromkeys(known, 0), 0
    async with system.database.read() as tx:
        for place in SEALED:
            column = place.column
            query = select(func.count()).select_from(place.table).where(column.is_not(None))
            total += await tx.value(query)
            for name in known:
                sealed[name] += await tx.value(query.where(column.like(sealed_with(name) + "%")))
    return KeyStatus(
        sealing=system.seal.fingerprint,
        source="environment" if system.settings.secret_key else "file",
        known=known,
        sealed=sealed,
        unreadable=total - sum(sealed.values()),
        retired=retired,
    )
