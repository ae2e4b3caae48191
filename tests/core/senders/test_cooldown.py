"""How long a sender rests, by what went wrong, and what ends it."""

import pytest

from support.flow import Flow, open_flow
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.senders import cooldown
from ums.core.tables import senders as sender_table
from ums.mail.outcomes import Outcome, Reply, Scope, Stage, Verdict


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


def failure(reason: str, stage: Stage, wait: int | None = None) -> Outcome:
    return Outcome(Verdict.LATER, stage, reason, Scope.SENDER, charged=False, wait=wait)


async def rested(flow: Flow, outcome: Outcome) -> int:
    """How long the sender rests now, in seconds; the rest is over afterwards."""
    sender = await flow.sender()
    async with flow.system.database.write() as tx:
        until = await cooldown.rest(tx, sender.id, outcome)
        await tx.run(sender_table.update().values(cooldown_until=clock.now() - 1))
    return -1 if until == cooldown.UNTIL_EDITED else round((until - clock.now()) / 1000)


STEPS: list[tuple[str, Stage, int | None, list[int]]] = [
    ("unreachable", Stage.CONNECT, None, [30, 60, 120, 300, 600, 900, 900]),
    ("connection_lost", Stage.MAIL, None, [30, 60]),
    ("credentials", Stage.AUTH, None, [60, -1, -1]),
    ("login_later", Stage.AUTH, 300_000, [300, 300, 300]),
    ("tls", Stage.TLS, 3_600_000, [3600, 3600]),
    ("server_unknown", Stage.RESOLVE, None, [3600, 3600]),
    ("rate", Stage.MAIL, None, [600, 1200, 2400]),
    ("rate", Stage.MAIL, 60_000, [60, 1200]),
    ("daily_quota", Stage.RCPT, 3_600_000, [3600, 3600, 3600, 4800]),
]


async def test_each_failure_has_its_rest(flow: Flow) -> None:
    sender = await flow.sender()
    for reason, stage, wait, seconds in STEPS:
        async with flow.system.database.write() as tx:
            await cooldown.wake(tx, sender.id)
        outcome = failure(reason, stage, wait)
        assert [await rested(flow, outcome) for _ in seconds] == seconds, reason


async def test_sessions_that_fail_together_are_one_failure(flow: Flow) -> None:
    sender = await flow.sender()
    outcome = failure("unreachable", Stage.CONNECT)
    async with flow.system.database.write() as tx:
        ends = [await cooldown.rest(tx, sender.id, outcome) for _ in range(5)]
    assert len(set(ends)) == 1
    assert (await flow.sender()).failures == 1


async def test_the_reason_is_kept_for_the_operator(flow: Flow) -> None:
    sender = await flow.sender()
    reply = Reply(535, "5.7.8", "no\x00 such password" + "x" * 2000)
    outcome = Outcome(Verdict.LATER, Stage.AUTH, "credentials", Scope.SENDER, False, reply=reply)
    async with flow.system.database.write() as tx:
        await cooldown.rest(tx, sender.id, outcome)
    row = await flow.sender()
    assert row.cooldown_reason == "credentials"
    assert row.cooldown_detail.startswith("no\ufffd such password")
    assert len(row.cooldown_detail) == 1000


async def test_success_forgets_failures_but_ends_no_rest(flow: Flow) -> None:
    """Another session may have met the quota while this one was still welcome."""
    sender = await flow.sender()
    async with flow.system.database.write() as tx:
        until = await cooldown.rest(tx, sender.id, failure("rate", Stage.MAIL))
        await cooldown.worked(tx, sender.id)
    row = await flow.sender()
    assert (row.cooldown_until, row.failures) == (until, 1)
    async with flow.system.database.write() as tx:
        await tx.run(sender_table.update().values(cooldown_until=clock.now() - 1))
        await cooldown.worked(tx, sender.id)
    row = await flow.sender()
    assert (row.cooldown_until, row.cooldown_reason, row.cooldown_detail, row.failures) == (
        None,
        None,
        None,
        0,
    )


async def test_an_operators_test_ends_any_rest(flow: Flow) -> None:
    sender = await flow.sender()
    for _ in range(2):
        await rested(flow, failure("credentials", Stage.AUTH))
    async with flow.system.database.write() as tx:
        await cooldown.rest(tx, sender.id, failure("credentials", Stage.AUTH))
    assert (await flow.sender()).cooldown_until == cooldown.UNTIL_EDITED
    async with flow.system.database.write() as tx:
        await cooldown.wake(tx, sender.id)
    row = await flow.sender()
    assert (row.cooldown_until, row.failures) == (None, 0)
