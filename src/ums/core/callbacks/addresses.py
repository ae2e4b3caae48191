"""Where a channel is told (ums-spec 5.1): at most five addresses, each verified before it is kept.

The first becomes the default. The default cannot be deleted; another can be made the default, and
a channel that wants no callbacks at all switches them off in its rules.
"""

from contextlib import suppress
from typing import Any, Final

import httpx
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Select, func, insert, select, update

from ums import clock
from ums.core import audit
from ums.core.callbacks import payload, wire
from ums.core.callbacks.schedule import HOSTED, STEPS
from ums.core.callbacks.wire import Reply
from ums.core.directory import Channel, touch
from ums.core.models import callback_addresses as addresses
from ums.core.models import callback_batches as batches
from ums.core.models import callback_records as records
from ums.core.models import channels
from ums.core.outbound import parse_url
from ums.core.system import System
from ums.db import Tx
from ums.errors import Invalid, NotFound

MOST: Final = 5
OVERLAP: Final = 24 * clock.HOUR


class AddressInfo(Struct, frozen=True):
    """An address as it is shown. `secret` stands only in the answer that made it."""

    id: int
    url: str
    is_default: bool
    schedule: str  # hosted | standard
    state: str  # verified | disabled
    state_at: str
    failing_since: str | None
    rest_until: str | None
    waiting_since: str | None  # the oldest record that is in no batch yet
    dead: int  # batches
    created_at: str
    secret: str | UnsetType = UNSET


class Tested(Struct, frozen=True):
    """What came back when a sample record was sent."""

    ok: bool
    status: int  # 0: no answer
    detail: str
    duration_ms: int


def context(channel: Channel, url: str) -> str:
    """What the secret of an address is bound to."""
    return f"callback:{channel.key}:{url}"


async def add(system: System, channel: Channel, url: str, schedule: str = HOSTED) -> AddressInfo:
    """Verify an address and keep it, with a new secret that is shown this once.

    Raises Invalid: callback_url, callback_schedule, callback_taken, callback_limit, and
    callback_unverified, after which nothing is kept.
    """
    place = _parsed(url)
    if schedule not in STEPS:
        raise Invalid("callback_schedule", field="schedule")
    async with system.database.read() as tx:
        await _check_free(tx, channel, url)
    await _verify(system, channel, place)
    secret = wire.new_secret()
    async with system.database.write() as tx:
        await tx.run(_locked(channel))
        first = await _check_free(tx, channel, url)
        now = clock.now()
        row = {
            "channel_id": channel.id,
            "url": url,
            "is_default": first,
            "schedule": schedule,
            "secret": system.seal.close(secret, context(channel, url)),
            "state": "verified",
            "state_at": now,
            "created_at": now,
        }
        id = await tx.value(insert(addresses).returning(addresses.c.id), row)
        await _changed(tx, "callback.add", channel, id, f"{place.host}, {schedule}")
    return await _shown(system, channel, id, secret)


async def verify(system: System, channel: Channel, id: int) -> AddressInfo:
    """Check an address again; a disabled one is told again from now on.

    Raises Invalid("callback_unverified") when it does not answer as it must, and changes nothing.
    """
    row = await _found(system, channel, id)
    await _verify(system, channel, _parsed(row.url))
    well = {"state": "verified", "state_at": clock.now()}
    await _update(
        system,
        "callback.verify",
        channel,
        id,
        {**well, "failing_since": None, "failures": 0, "rest_until": None},
    )
    return await _shown(system, channel, id)


async def list_addresses(system: System, channel: Channel) -> list[AddressInfo]:
    """The addresses of the channel, in the order they were added."""
    async with system.database.read() as tx:
        rows = await tx.rows(_shape(channel).order_by(addresses.c.id))
    return [_info(row) for row in rows]


async def set_default(system: System, channel: Channel, id: int) -> AddressInfo:
    """Make it the address of messages that name none."""
    async with system.database.write() as tx:
        await tx.run(_locked(channel))
        await _row(tx, channel, id)
        mine = addresses.c.channel_id == channel.id
        await tx.run(update(addresses).where(mine).values(is_default=addresses.c.id == id))
        await _changed(tx, "callback.default", channel, id)
    return await _shown(system, channel, id)


async def delete(system: System, channel: Channel, id: int) -> None:
    """Forget an address, and what was still to be told there.

    Raises Invalid("callback_default") for the default one.
    """
    async with system.database.write() as tx:
        await tx.run(_locked(channel))
        if (await _row(tx, channel, id)).is_default:
            raise Invalid("callback_default")
        gone = {"state": "deleted", "state_at": clock.now()}
        await tx.run(update(addresses).where(addresses.c.id == id).values(gone))
        await _changed(tx, "callback.delete", channel, id)
    system.directory.forget()


async def rotate(system: System, channel: Channel, id: int, overlap: int = OVERLAP) -> AddressInfo:
    """Give an address a new secret; for `overlap` ms the old one signs as well."""
    row = await _found(system, channel, id)
    secret = wire.new_secret()
    values = {
        "old_secret": addresses.c.secret,
        "old_secret_until": clock.now() + overlap,
        "secret": system.seal.close(secret, context(channel, row.url)),
    }
    await _update(system, "callback.rotate", channel, id, values)
    return await _shown(system, channel, id, secret)


async def test(system: System, channel: Channel, id: int) -> Tested:
    """Send the address one sample record, as a batch is sent; nothing is kept of it."""
    row = await _found(system, channel, id)
    now = clock.now()
    body = payload.encode([payload.sample(channel.key, now)])
    signing = secrets_of(system, channel, row)
    headers = wire.signed(f"ums_test_{now}", signing, body)
    reply = await wire.post(system, channel, row.url, row.schedule, headers, body)
    return Tested(reply.ok, reply.status, reply.detail, clock.now() - now)


async def find(system: System, channel: Channel, given: str) -> int:
    """The id of the channel's address that `given`, an id or a URL, names. Raises NotFound."""
    async with system.database.read() as tx:
        for row in await tx.rows(_mine(channel)):
            if given in (str(row.id), row.url):
                return int(row.id)
    raise NotFound("callback_address_unknown")


def secrets_of(system: System, channel: Channel, row: Any) -> list[str]:
    """What signs for an address now: its secret, and the one before while that is good.

    `row` has its `url` and secrets, an address's or a batch's. Raises Invalid with a wrong key.
    """
    opened = [system.seal.open(row.secret, context(channel, row.url))]
    if row.old_secret is not None and (row.old_secret_until or 0) > clock.now():
        with suppress(Invalid):  # it was rotated because its key is lost
            opened.append(system.seal.open(row.old_secret, context(channel, row.url)))
    return opened


async def callback_secrets(system: System) -> list[tuple[str, str, str]]:
    """(a name to tell, the sealed secret, its context) of every channel's addresses."""
    query = select(addresses, channels.c.key).join(
        channels, channels.c.id == addresses.c.channel_id
    )
    async with system.database.read() as tx:
        rows = await tx.rows(query.where(addresses.c.state != "deleted"))
    return [
        (f"{row.key} callback {row.id}", row.secret, f"callback:{row.key}:{row.url}")
        for row in rows
    ]


def _parsed(url: str) -> httpx.URL:
    try:
        place = parse_url(url)
    except ValueError:
        raise Invalid("callback_url", field="url") from None
    if "#" in url:
        raise Invalid("callback_url", field="url")
    return place


async def _verify(system: System, channel: Channel, place: httpx.URL) -> None:
    reply: Reply = await wire.check(system, channel, place)
    if not reply.ok:
        raise Invalid("callback_unverified", field="url", detail=reply.detail)


async def _check_free(tx: Tx, channel: Channel, url: str) -> bool:
    """Whether the channel has none yet. Raises Invalid when it has this one, or five."""
    held = [row.url for row in await tx.rows(_mine(channel))]
    if url in held:
        raise Invalid("callback_taken")
    if len(held) >= MOST:
        raise Invalid("callback_limit", limit=MOST)
    return not held


def _locked(channel: Channel) -> Select[Any]:
    """Changes of one channel's addresses take turns (PostgreSQL)."""
    return select(channels.c.id).where(channels.c.id == channel.id).with_for_update()


def _mine(channel: Channel) -> Select[Any]:
    own = (addresses.c.channel_id == channel.id) & (addresses.c.state != "deleted")
    return select(addresses).where(own)


def _shape(channel: Channel) -> Select[Any]:
    waiting = (
        select(records.c.at)
        .where(records.c.address_id == addresses.c.id, records.c.batch_id.is_(None))
        .order_by(records.c.id)
        .limit(1)
        .scalar_subquery()
    )
    dead = (
        select(func.count())
        .where(batches.c.address_id == addresses.c.id, batches.c.state == "dead")
        .scalar_subquery()
    )
    return _mine(channel).add_columns(waiting.label("waiting_since"), dead.label("dead"))


async def _row(tx: Tx, channel: Channel, id: int) -> Any:
    row = await tx.first(_mine(channel).where(addresses.c.id == id))
    if row is None:
        raise NotFound("callback_address_unknown")
    return row


async def _found(system: System, channel: Channel, id: int) -> Any:
    async with system.database.read() as tx:
        return await _row(tx, channel, id)


async def _update(
    system: System, action: str, channel: Channel, id: int, values: dict[str, Any]
) -> None:
    async with system.database.write() as tx:
        await _row(tx, channel, id)
        await tx.run(update(addresses).where(addresses.c.id == id).values(values))
        await _changed(tx, action, channel, id)


async def _changed(tx: Tx, action: str, channel: Channel, id: int, detail: str = "") -> None:
    # Not the whole URL: its path and query may be a secret.
    await audit.note(tx, action, channel.key, f"address {id} {detail}".strip())
    await touch(tx)


async def _shown(
    system: System, channel: Channel, id: int, secret: str | UnsetType = UNSET
) -> AddressInfo:
    system.directory.forget()
    async with system.database.read() as tx:
        row = await tx.first(_shape(channel).where(addresses.c.id == id))
    if row is None:
        raise NotFound("callback_address_unknown")
    return _info(row, secret)


def _info(row: Any, secret: str | UnsetType = UNSET) -> AddressInfo:
    def moment(at: int | None) -> str | None:
        return None if at is None else clock.iso(at)

    return AddressInfo(
        id=row.id,
        url=row.url,
        is_default=bool(row.is_default),
        schedule=row.schedule,
        state=row.state,
        state_at=clock.iso(row.state_at),
        failing_since=moment(row.failing_since),
        rest_until=moment(row.rest_until),
        waiting_since=moment(row.waiting_since),
        dead=row.dead,
        created_at=clock.iso(row.created_at),
        secret=secret,
    )
