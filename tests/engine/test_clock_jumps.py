"""The machine's clock jumps while mail flows (F35): nothing expires, nothing goes out twice."""

import time

import pytest

from support.fakes import SmtpServer
from support.flow import open_flow, until, with_settings
from ums import clock
from ums.core.context.app_context import AppContext
from ums.engine.worker import running

REAL_WALL, REAL_STEADY = time.time_ns, time.monotonic_ns
DAY = 24 * 3600.0


class Clocks:
    """The two clocks of a machine: one that people set, and one that only goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = 0.0, 0.0  # seconds that they are ahead
        monkeypatch.setattr(clock, "_offset", REAL_WALL() - REAL_STEADY())
        monkeypatch.setattr(clock, "_jumped_at", 0)
        shifted = {
            "time_ns": lambda: REAL_WALL() + round(self.wall * 1e9),
            "monotonic_ns": lambda: REAL_STEADY() + round(self.steady * 1e9),
        }
        for name, function in shifted.items():
            monkeypatch.setattr(time, name, function)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def near(moment: int, other: int) -> bool:
    return abs(moment - other) < 2000


@pytest.mark.parametrize("seconds", [3600, -3600, DAY, -DAY, 400, -400])
def test_a_jump_is_believed_after_ten_minutes(clocks: Clocks, seconds: float) -> None:
    before = clock.now()
    clocks.wall += seconds
    assert near(clock.now(), before)
    clocks.pass_by(590)
    assert near(clock.now(), before + 590_000)
    clocks.pass_by(20)
    assert near(clock.now(), before + round((610 + seconds) * 1000))
    clocks.pass_by(5)
    assert near(clock.now(), before + round((615 + seconds) * 1000))


def test_a_clock_that_comes_back_has_done_nothing(clocks: Clocks) -> None:
    before = clock.now()
    clocks.wall += DAY
    clock.now()
    clocks.pass_by(300)
    clocks.wall -= DAY
    assert near(clock.now(), before + 300_000)
    clocks.wall += DAY  # and its next jump is another one
    clocks.pass_by(500)
    assert near(clock.now(), before + 800_000)


def test_small_corrections_are_followed_at_once(clocks: Clocks) -> None:
    before = clock.now()
    for n in range(1, 20):
        clocks.wall += 200
        assert near(clock.now(), before + n * 200_000)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, DAY, -DAY, -1.7e9])
async def test_mail_flows_on_and_none_expires(
    system: AppContext, clocks: Clocks, seconds: float
) -> None:
    with_settings(system, lease_seconds=0.6)
    seen: set[str] = set()

    def busy_first(call: object) -> bytes | None:
        address = str(getattr(call, "line", ""))
        if address in seen:
            return None
        seen.add(address)
        return b"451 4.7.1 greylisted\r\n"

    async with SmtpServer() as server:
        server.script["RCPT"] = busy_first
        flow = await open_flow(system, server)
        async with running(system):
            msgid = await flow.send(*(f"n{i}@example.cn" for i in range(60)))
            await until(lambda: _taken(server, 10))
            clocks.wall += seconds
            assert await flow.until_settled(msgid) == {"sent": 60}
            other = await flow.send("later@example.cn")
            assert await flow.until_settled(other) == {"sent": 1}
    assert len({mail.rcpt_to for mail in server.mails}) == len(server.mails) == 61


async def _taken(server: SmtpServer, goal: int) -> bool:
    return len(server.mails) >= goal
