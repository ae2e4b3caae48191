"""Strategies of a channel: by which sender types a message goes out."""

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from ums.api.management.dependencies import Caller, Paging, System, expected, shown
from ums.bounds import Name60
from ums.core.channels import strategies
from ums.core.channels.strategies import Step, Steps, Strategy
from ums.core.common.pagination import Page
from ums.core.common.sorting import ByName
from ums.web.bodies import BoundedRequest as Call


class NewStrategy(Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy to be made."""

    name: Name60
    steps: Annotated[Steps | None, Meta(description="Null: by email.")] = None


class StrategyChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different."""

    valid: Annotated[bool, Meta(description="Requests for one that is not fail with 1015026.")]


@get("/api/channels/{key:str}/strategies", scope="strategies:read", channels="own")
async def list_strategies(
    system: System,
    caller: Caller,
    paging: Paging,
    key: FromPath[str],
    sort: FromQuery[ByName] = "created_at",
) -> Page[Strategy]:
    """The channel's strategies."""
    return await strategies.list_strategies(
        system, caller.channel(key), sort=sort, after=paging.after, limit=paging.limit
    )


@post("/api/channels/{key:str}/strategies", scope="strategies:write", channels="own")
async def create_strategy(
    system: System, caller: Caller, request: Call, key: FromPath[str], data: JSONBody[NewStrategy]
) -> Response[Strategy]:
    """Make a strategy; its `id` is what `rule_id` takes."""
    steps = [Step("email")] if data.steps is None else data.steps
    made = await strategies.create(system, caller.channel(key), data.name, steps, actor=caller.name)
    return shown(request, made, 201)


@get(
    "/api/channels/{key:str}/strategies/{strategy_id:int}", scope="strategies:read", channels="own"
)
async def show_strategy(
    system: System, caller: Caller, request: Call, key: FromPath[str], strategy_id: FromPath[int]
) -> Response[Strategy]:
    """A strategy."""
    return shown(request, await strategies.show(system, caller.channel(key), strategy_id))


@patch(
    "/api/channels/{key:str}/strategies/{strategy_id:int}", scope="strategies:write", channels="own"
)
async def change_strategy(
    system: System,
    caller: Caller,
    request: Call,
    key: FromPath[str],
    strategy_id: FromPath[int],
    data: JSONBody[StrategyChange],
) -> Response[Strategy]:
    """Let requests use it, or refuse them."""
    changed = await strategies.set_valid(
        system,
        caller.channel(key),
        strategy_id,
        valid=data.valid,
        expect=expected(request),
        actor=caller.name,
    )
    return shown(request, changed)


@delete(
    "/api/channels/{key:str}/strategies/{strategy_id:int}", scope="strategies:write", channels="own"
)
async def delete_strategy(
    system: System, caller: Caller, key: FromPath[str], strategy_id: FromPath[int]
) -> None:
    """Delete it. What was accepted with it goes on."""
    await strategies.remove(system, caller.channel(key), strategy_id, actor=caller.name)


handlers = [
    list_strategies,
    create_strategy,
    show_strategy,
    change_strategy,
    delete_strategy,
]
