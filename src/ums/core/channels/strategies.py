"""Strategies: by which sender types a message goes out, one after the other (ums-spec 2.4, 8.14).

A strategy is a channel's own; `rule_id` names it. Its steps are stored with all they will need
once there are more sender types; with email alone there is one step, and it has no effect.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import ColumnElement, delete, insert, select, update

from ums import clock
from ums.bounds import said
from ums.core.audit import audit_log
from ums.core.channels.access_lists import check_title
from ums.core.common.pagination import Page, cut, page_size
from ums.core.common.preconditions import Expect, anything
from ums.core.common.sorting import ByName, Order
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import strategies
from ums.db import Tx, to_json
from ums.errors import Conflict, Detail, Invalid, NotFound, Refused

Unless = Literal["not_submitted", "not_delivered", "not_clicked"]
_ORDER = Order(strategies.c.id, (strategies.c.name,))
SENDER_TYPES = ("email",)
MAX_WAIT = 7 * 24 * 3600  # seconds


class Step(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Send by one sender type: the first step at once, a later one after `wait` seconds and to
    those for whom `condition` still holds of the step before."""

    type: str
    wait: Annotated[int, Meta(ge=0, le=MAX_WAIT, description="Seconds.")] = 0
    condition: Unless | None = None


_FIRST = {"wait": {"const": 0}, "condition": {"type": "null"}}
Steps = Annotated[
    list[Annotated[Step, said(properties={"type": {"enum": list(SENDER_TYPES)}, **_FIRST})]],
    said(minItems=1, maxItems=len(SENDER_TYPES)),
]
"""Steps as they can be while there is one sender type."""


class Strategy(Struct, frozen=True):
    """A strategy; its `id` is what `rule_id` takes, while it is `valid`."""

    id: int
    name: str
    steps: list[Step]
    valid: bool
    created_at: str


async def create(
    system: AppContext,
    channel: Channel,
    name: str,
    steps: Sequence[Step] = (Step("email"),),
    *,
    actor: str | None = None,
) -> Strategy:
    """Make a strategy. Raises Invalid for a name that is taken and for steps that make no sense."""
    check_title(name)
    check_steps(steps)
    now = clock.now()
    text = to_json(list(steps))
    row = {"channel_id": channel.id, "name": name, "steps": text, "created_at": now}
    async with system.database.write() as tx:
        same = (strategies.c.channel_id == channel.id) & (strategies.c.name == name)
        if await tx.first(select(strategies.c.id).where(same)):
            raise Conflict("name_taken", name=name)
        id = int(await tx.value(insert(strategies).returning(strategies.c.id), row))
        after = {"steps": steps, "valid": True}
        subject = f"{channel.key} {id}"
        await audit_log.note(tx, "strategy.create", subject, name, after=after, actor=actor)
    return Strategy(id, name, list(steps), valid=True, created_at=clock.iso(now))


async def list_strategies(
    system: AppContext,
    channel: Channel,
    *,
    sort: ByName = "created_at",
    after: str | None = None,
    limit: int = 50,
) -> Page[Strategy]:
    """The channel's strategies, the oldest first unless `sort` says another."""
    mine = strategies.c.channel_id == channel.id
    query = _ORDER.sort(select(strategies).where(mine), sort, after)
    async with system.database.read() as tx:
        rows = await tx.rows(query.limit(page_size(limit) + 1))
    return cut(rows, limit, _shown, _ORDER.place(sort))


async def show(system: AppContext, channel: Channel, id: int) -> Strategy:
    """Raises NotFound for a strategy that is not the channel's."""
    async with system.database.read() as tx:
        return _shown(await _found(tx, channel, id))


async def set_valid(
    system: AppContext,
    channel: Channel,
    id: int,
    *,
    valid: bool,
    expect: Expect = anything,
    actor: str | None = None,
) -> Strategy:
    """Let requests use the strategy, or refuse them with 1015026."""
    async with system.database.write() as tx:
        await tx.run(select(strategies.c.id).where(_is(channel, id)).with_for_update())
        old = _shown(await _found(tx, channel, id))
        expect(old)
        await tx.run(update(strategies).where(_is(channel, id)).values(valid=valid))
        action = "strategy.valid" if valid else "strategy.invalid"
        before, after = {"valid": old.valid}, {"valid": valid}
        await audit_log.note(
            tx, action, f"{channel.key} {id}", actor=actor, before=before, after=after
        )
        return _shown(await _found(tx, channel, id))


async def remove(
    system: AppContext, channel: Channel, id: int, *, actor: str | None = None
) -> None:
    """Delete the strategy. What was accepted with it is not touched."""
    async with system.database.write() as tx:
        row = await _found(tx, channel, id)
        await tx.run(delete(strategies).where(_is(channel, id)))
        before = {"steps": _shown(row).steps, "valid": bool(row.valid)}
        subject = f"{channel.key} {id}"
        await audit_log.note(tx, "strategy.delete", subject, row.name, before=before, actor=actor)


async def admit(tx: Tx, channel: Channel, rule_id: int) -> None:
    """Raises Refused (1015026) for an id that is no valid strategy of the channel's."""
    row = None
    if 0 < rule_id < 2**63:
        valid = select(strategies.c.id).where(_is(channel, rule_id), strategies.c.valid)
        row = await tx.first(valid)
    if row is None:
        raise Refused("strategy_unknown", id=rule_id)


def check_steps(steps: Sequence[Step]) -> None:
    """Raises Invalid("bad_steps") that names the step."""
    if not 1 <= len(steps) <= len(SENDER_TYPES):
        raise Invalid(
            "bad_steps", field="steps", detail=Detail("between", least=1, most=len(SENDER_TYPES))
        )
    for number, step in enumerate(steps):
        detail = _problem(step, [earlier.type for earlier in steps[:number]])
        if detail:
            raise Invalid("bad_steps", field=f"steps[{number}]", detail=detail)


def _problem(step: Step, earlier: list[str]) -> Detail | None:
    if step.type not in SENDER_TYPES:
        return Detail("steps_type", names=", ".join(SENDER_TYPES))
    if step.type in earlier:
        return Detail("steps_twice", type=step.type)
    if not earlier and (step.wait or step.condition):
        return Detail("steps_first")
    if earlier and not (1 <= step.wait <= MAX_WAIT and step.condition):
        return Detail("steps_later", most=MAX_WAIT)
    return None


def _is(channel: Channel, id: int) -> ColumnElement[bool]:
    return (strategies.c.id == id) & (strategies.c.channel_id == channel.id)


async def _found(tx: Tx, channel: Channel, id: int) -> Any:
    row = await tx.first(select(strategies).where(_is(channel, id))) if 0 < id < 2**63 else None
    if row is None:
        raise NotFound("rule_unknown", id=id)
    return row


def _shown(row: Any) -> Strategy:
    steps = msgspec.json.decode(row.steps, type=list[Step])
    return Strategy(row.id, row.name, steps, bool(row.valid), clock.iso(row.created_at))
