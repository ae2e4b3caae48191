"""What may be wrong with a callback address before it is asked whether it is one."""

from collections.abc import Awaitable, Sequence
from typing import Final

import httpx

from ums.core.common.field_errors import Check, all_awaited, all_of
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.net.http_client import parse_url
from ums.core.tables import callback_addresses as addresses
from ums.core.webhooks.backoff import STEPS
from ums.core.webhooks.endpoint_rows import mine
from ums.core.webhooks.signatures import Proof
from ums.db import Tx
from ums.errors import Conflict, Invalid, UmsError

MOST: Final = 5


def parsed(url: str) -> httpx.URL:
    """Raises Invalid."""
    try:
        place = parse_url(url)
    except ValueError:
        raise Invalid("callback_url", field="url") from None
    if "#" in url:
        raise Invalid("callback_url", field="url")
    return place


def check_schedule(schedule: str) -> None:
    """Raises Invalid."""
    if schedule not in STEPS:
        raise Invalid("callback_schedule", field="schedule")


async def check_free(tx: Tx, channel: Channel, url: str) -> bool:
    """Whether the channel has none yet. Raises Invalid when it has this one, or five."""
    held = [row.url for row in await tx.rows(mine(channel))]
    if url in held:
        raise Conflict("callback_taken")
    if len(held) >= MOST:
        raise Invalid("callback_limit", limit=MOST)
    return not held


async def check_other(tx: Tx, channel: Channel, url: str, id: int) -> None:
    """Raises Conflict when another address than `id` has this URL."""
    others = (addresses.c.url == url) & (addresses.c.id != id)
    if await tx.first(mine(channel).where(others)) is not None:
        raise Conflict("callback_taken")


async def errors_of_new(
    system: AppContext,
    channel: Channel,
    url: str,
    schedule: str,
    proof: Proof,
    *,
    may_see_secret: bool,
) -> list[UmsError]:
    """All that is wrong with an address that is to be added."""
    found = errors_of(url, proof, [lambda: check_schedule(schedule)], may_see_secret=may_see_secret)
    async with system.database.read() as tx:
        free: list[Awaitable[object]] = [check_free(tx, channel, url)]
        return [*found, *await all_awaited(free)]


def errors_of(
    url: str, proof: Proof, more: Sequence[Check], *, may_see_secret: bool
) -> list[UmsError]:
    """All that is wrong with an address, its proof, and what `more` checks."""
    wrong = all_of([lambda: parsed(url)])
    place = None if wrong else parsed(url)
    return [*wrong, *all_of([*proof.checks(place, may_see_secret=may_see_secret), *more])]
