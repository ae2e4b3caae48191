"""Which connection makes room for one too many."""

import pytest

from ums.config import Settings
from ums.web.connections import GRACE, Census, Stage
from ums.web.proxies import Proxies


class Line:
    """A connection that notes that it was given up."""

    gone = False

    def make_room(self) -> None:
        self.gone = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def census(clock: Clock | None = None, **limits: int) -> Census:
    settings = Settings(**limits)  # type: ignore[arg-type]
    return Census(settings, Proxies(settings), clock or Clock())


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_the_network_of_an_ipv6_address_counts_as_one(first: str, second: str, same: bool) -> None:
    ours = census(http_connections_per_address=1)
    one, other = Line(), Line()
    assert ours.enter(one, first)
    ours.stands(one, Stage.WORK)
    assert ours.enter(other, second) is not same
    ours.leave(one)
    assert ours.enter(Line(), first) is True


def test_the_one_that_has_come_least_far_makes_room_and_a_whole_request_never() -> None:
    clock = Clock()
    ours = census(clock, http_connections=5)
    lines = {stage: Line() for stage in reversed(Stage)}
    for number, (stage, line) in enumerate(lines.items()):
        assert ours.enter(line, f"192.0.2.{number}")
        ours.stands(line, stage)
    clock.now += GRACE
    for stage in list(Stage)[:-1]:
        new = Line()
        assert ours.enter(new, "198.51.100.1")
        ours.stands(new, Stage.WORK)
        assert [one for one, line in lines.items() if line.gone] == list(Stage)[stage::-1]
    assert not ours.enter(Line(), "198.51.100.1")
    assert not lines[Stage.WORK].gone


def test_one_that_has_just_come_is_not_given_up_for_half_bodies() -> None:
    clock = Clock()
    ours = census(clock, http_connections=3)
    bodies = [Line(), Line()]
    for line in bodies:
        assert ours.enter(line, "192.0.2.1")
        ours.stands(line, Stage.BODY)
    clock.now += GRACE
    new = Line()
    assert ours.enter(new, "192.0.2.2")
    assert ours.enter(Line(), "192.0.2.1")
    assert [line.gone for line in (*bodies, new)] == [True, False, False]
