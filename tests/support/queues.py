"""What the tests of the queue and of halted messages do to it without an engine."""

import json
from typing import Any

import msgspec

from support.flow import Flow
from support.transition_guard import any_transition
from ums import clock
from ums.core.deliveries import expansion, holds, queue
from ums.core.deliveries.queue import Attempt, Claimed, Result
from ums.core.messages.requests import parse
from ums.core.tables import deliveries, pending_halts


async def expanded(flow: Flow) -> None:
    while await expansion.expand(flow.system.database):
        pass


async def filled(flow: Flow, count: int, name: str = "n") -> str:
    """A message with `count` deliveries in the queue."""
    msgid = await flow.send(*(f"{name}{i}@example.cn" for i in range(count)))
    await expanded(flow)
    return msgid


async def take(flow: Flow, *, broadcast: bool = False, **changes: Any) -> str:
    """Accept a request that says more than /v1 has words for."""
    body: dict[str, Any] = {"msg_email": [{"subject": "s", "text": "t"}]}
    if not broadcast:
        body["aud_email"] = [{"data": ["a@x.cn"]}]
    raw = json.dumps(body).encode()
    request = msgspec.structs.replace(parse(raw, broadcast=broadcast), **changes)
    return (await flow.intake.accept(await flow.channel(), request, raw, origin="api")).msgid


async def claim(flow: Flow, limit: int = 100, owner: str = "me") -> list[Claimed]:
    sender = await flow.sender()
    async with flow.system.database.write() as tx:
        return await queue.claim(tx, owner, sender.id, 2, limit)


async def intend(flow: Flow, claimed: list[Claimed], owner: str = "me") -> set[int]:
    async with flow.system.database.write() as tx:
        found = await queue.intend(tx, owner, [(c.id, c.epoch) for c in claimed])
    return {id for id, _ in found}


async def record(flow: Flow, claimed: Claimed, state: str, unknown_count: int = 0) -> bool:
    attempt = Attempt(1, clock.now(), 5, "dot", state, "busy", 0, "", "")
    tries = claimed.tries + 1
    result = Result(
        claimed.id, claimed.epoch, state, "busy", clock.now(), tries, tries, unknown_count, attempt
    )
    async with flow.system.database.write() as tx:
        return bool(await queue.record(tx, "me", [result]))


async def change(flow: Flow, which: Any, **values: Any) -> None:
    async with flow.system.database.write() as tx, any_transition(tx):
        await tx.run(deliveries.update().where(which).values(**values))


async def parked(flow: Flow) -> int:
    """Do all that is to be done for halted messages; in how many steps."""
    after = 0
    for steps in range(1000):
        async with flow.system.database.write() as tx:
            done = await holds.work(tx, after)
        began, after = after, done.last
        if not (done.moved or done.over or after or began):
            return steps
    raise AssertionError("it never ends")


async def standing(flow: Flow) -> list[str]:
    """What is still to be done: the kinds of `pending_halts`."""
    async with flow.system.database.read() as tx:
        return [row.kind for row in await tx.rows(pending_halts.select())]
