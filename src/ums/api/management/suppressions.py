"""Addresses that a channel does not write to, as their servers said that nobody is there."""

from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, Paging, System, listed
from ums.bounds import Address as Recipient
from ums.core.channels.access_lists import MAX_ENTRIES, Change
from ums.core.common.pagination import Page
from ums.core.deliveries import suppressions
from ums.core.deliveries.suppressions import Suppression, SuppressionOrder

Address = Annotated[str | None, QueryParameter(description="Only this address.")]


class Suppressed(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses."""

    addresses: Annotated[list[Recipient], Meta(min_length=1, max_length=MAX_ENTRIES)]


@get("/api/channels/{key:str}/suppressions", scope="lists:read", channels="own")
async def list_suppressions(
    system: System,
    caller: Caller,
    paging: Paging,
    key: FromPath[str],
    address: Address = None,
    sort: FromQuery[SuppressionOrder] = "-created_at",
) -> Page[Suppression]:
    """The addresses that the channel does not write to, the newest first."""
    return listed(
        await suppressions.list_suppressions(
            system,
            caller.channel(key),
            address=address,
            sort=sort,
            after=paging.after,
            limit=paging.limit,
        )
    )


@post("/api/channels/{key:str}/suppressions", scope="lists:write", channels="own", status_code=200)
async def add_suppressions(
    system: System, caller: Caller, key: FromPath[str], data: JSONBody[Suppressed]
) -> Change:
    """Suppress addresses until somebody lifts them, all or none."""
    channel = caller.channel(key)
    return await suppressions.add(system, channel, data.addresses, actor=caller.name)


@post(
    "/api/channels/{key:str}/suppressions/lift",
    scope="lists:write",
    channels="own",
    status_code=200,
)
async def lift_suppressions(
    system: System, caller: Caller, key: FromPath[str], data: JSONBody[Suppressed]
) -> Change:
    """Let the channel write to addresses again, all or none."""
    channel = caller.channel(key)
    return await suppressions.lift(system, channel, data.addresses, actor=caller.name)


handlers = [list_suppressions, add_suppressions, lift_suppressions]
