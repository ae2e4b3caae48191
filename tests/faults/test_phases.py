"""`kill -9` at each named phase of a hand-over, where the outcome is known exactly: one session,
so that one delivery alone is concerned by each kill."""

import asyncio
from typing import NamedTuple

import pytest

from faults.audit import Record, audit, drained
from faults.engines import Engine
from faults.ledger import Ledger
from faults.workload import fill
from ums.config import Settings

MAILS_PER_KILL = 40
PASSES = 4  # the kill comes at the fourth mail: the session is warm, commands ride with the dot
AT_FIRST = {"connected": 1}  # what happens once in a session
REFUSED_EACH = 25  # of so many mails one is refused: few enough for nobody to lose patience


class After(NamedTuple):
    """What is expected of a delivery whose sending was killed."""

    state: str
    copies: int
    unknown_count: int


UNTOUCHED = After("sent", 1, 0)
PHASES = {
    "connected": (UNTOUCHED, UNTOUCHED),
    "claimed": (UNTOUCHED, UNTOUCHED),
    "data": (UNTOUCHED, UNTOUCHED),  # phase: (a broadcast's, a transactional mail's)
    "body": (UNTOUCHED, UNTOUCHED),
    "intent": (After("unknown", 0, 1), After("sent", 1, 1)),  # truly unsent, but who can know
    "reply": (After("unknown", 1, 1), After("sent", 2, 1)),
    "recorded": (UNTOUCHED, UNTOUCHED),
}


@pytest.mark.timeout(0)  # as long as --phase-kills asks; each wait inside has its own end
@pytest.mark.parametrize("kind", ["broadcast", "single"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_does_exactly_what_the_phase_says(
    settings: Settings,
    dialect: str,
    phase: str,
    kind: str,
    phase_kills: int,
    record_property: Record,
) -> None:
    concerned = PHASES[phase][kind == "single"]
    size = phase_kills * MAILS_PER_KILL
    sizes = {"broadcast": 0, "single": 0, kind: size}
    with Ledger() as ledger, Engine(settings, smtp_sessions=1) as engine:
        asyncio.run(fill(settings, ledger.port, **sizes))
        for _ in range(phase_kills):
            engine.start(fail_point=f"{phase}:{AT_FIRST.get(phase, PASSES)}")
            engine.wait_killed()
        engine.start()
        asyncio.run(drained(settings, 120 + size / 20))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))

    counts = f"{phase_kills} kills of a {kind} at `{phase}`: {result.summary()}"
    record_property("faults", f"{dialect}, {counts}")
    result.check(size=size)
    ends = [After(row.state, row.copies, row.unknown_count) for row in result.rows]
    assert ends.count(concerned) == (size if concerned == UNTOUCHED else phase_kills)
    assert ends.count(UNTOUCHED) == size - (0 if concerned == UNTOUCHED else phase_kills)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", ["broadcast", "single"])
def test_a_refusal_that_was_not_stored_is_asked_for_again(
    settings: Settings, dialect: str, kind: str, phase_kills: int, record_property: Record
) -> None:
    """F10: killed between a refusal and its storing."""
    size = (phase_kills + 2) * REFUSED_EACH
    sizes = {"broadcast": 0, "single": 0, kind: size // 100 * 100 + 100}
    with Ledger() as ledger, Engine(settings, smtp_sessions=1) as engine:
        ledger.refuses = _refused
        asyncio.run(fill(settings, ledger.port, **sizes))
        for _ in range(phase_kills):
            engine.start(fail_point="refusal:2")  # the first is the one of the last kill
            engine.wait_killed()
        engine.start()
        asyncio.run(drained(settings, 120 + size / 20))
        engine.stop()
        result = asyncio.run(audit(settings, ledger))

    counts = f"{phase_kills} kills of a {kind} at `refusal`: {result.summary()}"
    record_property("faults", f"{dialect}, {counts}")
    assert (len(result.rows), result.lost, result.unexpected) == (sizes[kind], 0, 0)
    for row in result.rows:
        end = After(row.state, row.copies, row.unknown_count)
        assert end == (After("failed", 0, 0) if _refused(row.address) else UNTOUCHED)


def _refused(address: str) -> bool:
    return int("".join(filter(str.isdigit, address.partition("@")[0]))) % REFUSED_EACH == 7
