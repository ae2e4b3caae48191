"""Where a channel is told (ums-spec 5.1): at most five addresses, each verified before it is kept.

The first becomes the default. The default cannot be deleted; another can be made the default, and
a channel that wants no callbacks at all switches them off in its rules.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import insert, select, update

from ums import clock
from ums.core.audit import audit_log
from ums.core.common.field_errors import all_awaited
from ums.core.common.preconditions import Expect, anything
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.net import standard_webhooks
from ums.core.net.http_client import parse_url
from ums.core.tables import callback_addresses as addresses
from ums.core.tables import channels
from ums.core.webhooks import client, payload
from ums.core.webhooks.backoff import HOSTED
from ums.core.webhooks.client import Reply
from ums.core.webhooks.endpoint_checks import (
    check_free,
    check_other,
    check_schedule,
    errors_of,
    parsed,
)
from ums.core.webhooks.endpoint_rows import AddressInfo, found, info, locked, row_of, shape
from ums.core.webhooks.signatures import HOSTED as FORM_HOSTED
from ums.core.webhooks.signatures import Proof, authorization, password_context
from ums.db import Tx
from ums.errors import Conflict, Detail, Invalid, NotFound, UmsError

OVERLAP: Final = 24 * clock.HOUR
_SIGNED: Final = Proof()


class Tested(Struct, frozen=True):
    """What came back when a sample record was sent."""

    ok: bool
    status: int  # 0: no answer
    detail: str
    duration_ms: int


def context(channel: Channel, url: str) -> str:
    """What the secret of an address is bound to."""
    return f"callback:{channel.key}:{url}"


class Changes(Struct, frozen=True):
    """What is to be different about an address; what is left out stays."""

    url: str | UnsetType = UNSET
    form: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    password: str | UnsetType = UNSET


async def add(
    system: AppContext,
    channel: Channel,
    url: str,
    schedule: str = HOSTED,
    proof: Proof = _SIGNED,
    *,
    may_see_secret: bool = False,
) -> AddressInfo:
    """Verify an address and keep it, with a new secret that is shown this once.

    `may_see_secret`: whether who asks may choose the form that sends the MasterSecret. Raises
    Forbidden without it, and Invalid: callback_url, callback_schedule, callback_taken,
    callback_limit, those of `Proof.check`, and callback_unverified, after which nothing is kept.
    """
    place = parsed(url)
    proof.check(place, may_see_secret=may_see_secret)
    check_schedule(schedule)
    async with system.database.read() as tx:
        await check_free(tx, channel, url)
    await _verify(system, channel, place, proof)
    secret = standard_webhooks.new_secret()
    async with system.directory.change() as tx:
        await tx.run(locked(channel))
        first = await check_free(tx, channel, url)
        now = clock.now()
        row = {
            "channel_id": channel.id,
            "url": url,
            "is_default": first,
            "schedule": schedule,
            **proof.sealed(system, channel, url),
            "secret": system.seal.close(secret, context(channel, url)),
            "state": "verified",
            "state_changed_at": now,
            "created_at": now,
        }
        id = await tx.value(insert(addresses).returning(addresses.c.id), row)
        told = f"{place.host}, {schedule}, {proof.form}"
        after = {**_noted(place, proof), "schedule": schedule, "default": first}
        await _changed(tx, "callback.add", channel, id, told, after=after)
    return await _shown(system, channel, id, secret)


async def change(
    system: AppContext,
    channel: Channel,
    id: int,
    changes: Changes,
    *,
    may_see_secret: bool = False,
    expect: Expect = anything,
) -> AddressInfo:
    """Give an address another URL, form or credentials, once it passes the check with them.

    Raises as `add` does, Invalid("callback_password") where its own password would go to another
    URL without being given again, and what `expect` raises.
    """
    before = await found(system, channel, id)
    url, proof = _after(system, channel, before, changes)
    _check_kept(before, url, proof, changes)
    place = parsed(url)
    proof.check(place, may_see_secret=may_see_secret)
    await _verify(system, channel, place, proof)
    values = {"url": url, **proof.sealed(system, channel, url)}
    values |= _resealed(system, channel, before, url)
    async with system.directory.change() as tx:
        await tx.run(locked(channel))
        await _check_same(tx, channel, before, url, expect)
        await tx.run(update(addresses).where(addresses.c.id == id).values(values))
        was = _noted(parsed(before.url), Proof.of(system, channel, before))
        now = _noted(place, proof)
        told = f"{place.host}, {proof.form}"
        await _changed(tx, "callback.change", channel, id, told, before=was, after=now)
    return await _shown(system, channel, id)


async def errors_of_change(
    system: AppContext, channel: Channel, id: int, changes: Changes, *, may_see_secret: bool = False
) -> list[UmsError]:
    """All that is wrong with what an address is to be. Raises NotFound."""
    before = await found(system, channel, id)
    try:
        url, proof = _after(system, channel, before, changes)
    except Invalid as error:
        return [error]
    kept = [lambda: _check_kept(before, url, proof, changes)]
    wrong = errors_of(url, proof, kept, may_see_secret=may_see_secret)
    async with system.database.read() as tx:
        return [*wrong, *await all_awaited([check_other(tx, channel, url, id)])]


async def verify(system: AppContext, channel: Channel, id: int) -> AddressInfo:
    """Check an address again; a disabled one is told again from now on.

    Raises Invalid("callback_unverified") when it does not answer as it must, and changes nothing.
    """
    row = await found(system, channel, id)
    await _verify(system, channel, parsed(row.url), Proof.of(system, channel, row))
    well = {"state": "verified", "state_changed_at": clock.now()}
    await _update(
        system,
        "callback.verify",
        channel,
        id,
        {**well, "failing_since": None, "failures": 0, "cooldown_until": None},
        _health,
    )
    return await _shown(system, channel, id)


async def set_default(system: AppContext, channel: Channel, id: int) -> AddressInfo:
    """Make it the address of messages that name none."""
    async with system.directory.change() as tx:
        await tx.run(locked(channel))
        row = await row_of(tx, channel, id)
        mine = addresses.c.channel_id == channel.id
        await tx.run(update(addresses).where(mine).values(is_default=addresses.c.id == id))
        before, after = {"default": bool(row.is_default)}, {"default": True}
        await _changed(tx, "callback.default", channel, id, before=before, after=after)
    return await _shown(system, channel, id)


async def delete(system: AppContext, channel: Channel, id: int) -> None:
    """Forget an address, and what was still to be told there.

    Raises Invalid("callback_default") for the default one.
    """
    async with system.directory.change() as tx:
        await tx.run(locked(channel))
        row = await row_of(tx, channel, id)
        if row.is_default:
            raise Invalid("callback_default")
        gone = {"state": "deleted", "state_changed_at": clock.now()}
        await tx.run(update(addresses).where(addresses.c.id == id).values(gone))
        host = parsed(row.url).host
        before = {"host": host, "form": row.form, "username": row.username, "state": row.state}
        await _changed(tx, "callback.delete", channel, id, host, before=before)


async def rotate(
    system: AppContext, channel: Channel, id: int, overlap: int = OVERLAP
) -> AddressInfo:
    """Give an address a new secret; for `overlap` ms the old one signs as well."""
    row = await found(system, channel, id)
    secret = standard_webhooks.new_secret()
    values = {
        "old_secret": addresses.c.secret,
        "old_secret_until": clock.now() + overlap,
        "secret": system.seal.close(secret, context(channel, row.url)),
    }
    await _update(system, "callback.rotate", channel, id, values, _secrets)
    return await _shown(system, channel, id, secret)


async def test(
    system: AppContext,
    channel: Channel,
    id: int,
    language: str = "en",  # noqa: PT028  (no test of pytest's)
) -> Tested:
    """Send the address one sample record, as a batch is sent; nothing is kept of it. What came of
    it is told in `language`."""
    row = await found(system, channel, id)
    now = clock.now()
    body = payload.encode([payload.sample(channel.key, now)])
    sent = headers(system, channel, row, f"ums_test_{now}", body)
    reply = await client.post(system, row.url, row.schedule, sent, body)
    async with system.database.write() as tx:
        outcome = f"address {id}: {'taken' if reply.ok else 'not taken'}"
        await audit_log.note(tx, "callback.test", channel.key, outcome)
    told = reply.detail.words(language) if isinstance(reply.detail, Detail) else reply.detail
    return Tested(reply.ok, reply.status, told, clock.now() - now)


def headers(
    system: AppContext, channel: Channel, row: Any, webhook_id: str, body: bytes
) -> dict[bytes, bytes]:
    """What proves that a batch comes from here: its signature, and what the form adds.

    `row` is an address or a batch. Raises Invalid.
    """
    signed = standard_webhooks.signed(webhook_id, secrets_of(system, channel, row), body)
    proof = Proof.of(system, channel, row)
    return signed | authorization(system, channel, parse_url(row.url), proof)


def secrets_of(system: AppContext, channel: Channel, row: Any) -> list[str]:
    """What signs for an address now: its secret, and the one before while that is good.

    `row` has its `url` and secrets, an address's or a batch's. Raises Invalid with a wrong key.
    """
    opened = [system.seal.open(row.secret, context(channel, row.url))]
    if row.old_secret is not None and (row.old_secret_until or 0) > clock.now():
        with suppress(Invalid):  # it was rotated because its key is lost
            opened.append(system.seal.open(row.old_secret, context(channel, row.url)))
    return opened


async def callback_secrets(system: AppContext) -> list[tuple[str, str, str]]:
    """(a name to tell, the sealed secret, its context) of every channel's addresses."""
    query = select(addresses, channels.c.key).join(
        channels, channels.c.id == addresses.c.channel_id
    )
    async with system.database.read() as tx:
        rows = await tx.rows(query.where(addresses.c.state != "deleted"))
    signing = [
        (f"{row.key} callback {row.id}", row.secret, f"callback:{row.key}:{row.url}")
        for row in rows
    ]
    own = [
        (f"{row.key} callback {row.id}", row.password, password_context(row.key, row.url))
        for row in rows
        if row.password is not None
    ]
    return signing + own


async def _verify(system: AppContext, channel: Channel, place: httpx.URL, proof: Proof) -> None:
    sent = authorization(system, channel, place, proof)
    reply: Reply = await client.check(system, place, sent)
    if not reply.ok:
        raise Invalid("callback_unverified", field="url", detail=reply.detail)


async def _check_same(tx: Tx, channel: Channel, before: Any, url: str, expect: Expect) -> None:
    """The address is what it was before its check, and `url` is no other one's."""
    row = await tx.first(shape(channel).where(addresses.c.id == before.id))
    if row is None:
        raise NotFound("callback_address_unknown")
    expect(info(row))
    if _identity(row) != _identity(before):
        raise Conflict("callback_changed")
    await check_other(tx, channel, url, before.id)


def _after(system: AppContext, channel: Channel, row: Any, changes: Changes) -> tuple[str, Proof]:
    """The URL and the proof of an address once it is changed. Raises Invalid with a wrong key."""
    old, url = Proof.of(system, channel, row), _given(changes.url, row.url)
    form = _given(changes.form, old.form)
    if form == FORM_HOSTED and changes.username is UNSET:
        return url, Proof(form)
    username = _given(changes.username, old.username)
    password = _given(changes.password, old.password if username == old.username else "")
    return url, Proof(form, username, password)


def _check_kept(row: Any, url: str, proof: Proof, changes: Changes) -> None:
    """Raises Invalid where a password that is kept would go to another URL."""
    hosted = proof.form == FORM_HOSTED and changes.username is UNSET
    held = row.password is not None and changes.password is UNSET and changes.username != ""
    if url != row.url and held and not hosted:
        raise Invalid("callback_password", field="password")


def _given(value: str | UnsetType, old: str) -> str:
    return old if isinstance(value, UnsetType) else value


def _resealed(system: AppContext, channel: Channel, row: Any, url: str) -> dict[str, Any]:
    """The signing secrets, bound to another URL."""
    if url == row.url:
        return {}
    secret, *old = secrets_of(system, channel, row)
    sealed = [system.seal.close(one, context(channel, url)) for one in (secret, *old)]
    return {"secret": sealed[0], "old_secret": sealed[1] if old else None}


def _identity(row: Any) -> tuple[Any, ...]:
    """What an address must still be when the outcome of its check is stored."""
    return row.url, row.secret, row.old_secret, row.form, row.username, row.password


async def _update(
    system: AppContext,
    action: str,
    channel: Channel,
    id: int,
    values: dict[str, Any],
    noted: Callable[[Any], dict[str, object]],
) -> None:
    async with system.directory.change() as tx:
        before = noted(await row_of(tx, channel, id))
        await tx.run(update(addresses).where(addresses.c.id == id).values(values))
        after = noted(await row_of(tx, channel, id))
        await _changed(tx, action, channel, id, before=before, after=after)


def _health(row: Any) -> dict[str, object]:
    return {"state": row.state, "failures": row.failures}


def _secrets(row: Any) -> dict[str, object]:
    until = row.old_secret_until
    return {"secret": row.secret, "old_good_until": None if until is None else clock.iso(until)}


def _noted(place: httpx.URL, proof: Proof) -> dict[str, object]:
    """What the log compares. Of a URL the path may be a secret: that it changed is told alone."""
    told = {"host": place.host, "form": proof.form, "username": proof.username}
    return {**told, "url_secret": str(place), "password": proof.password}


async def _changed(
    tx: Tx,
    action: str,
    channel: Channel,
    id: int,
    detail: str = "",
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    told = f"address {id} {detail}".strip()
    await audit_log.note(tx, action, channel.key, told, before=before, after=after)


async def _shown(
    system: AppContext, channel: Channel, id: int, secret: str | UnsetType = UNSET
) -> AddressInfo:
    async with system.database.read() as tx:
        row = await tx.first(shape(channel).where(addresses.c.id == id))
    if row is None:
        raise NotFound("callback_address_unknown")
    return info(row, secret)
