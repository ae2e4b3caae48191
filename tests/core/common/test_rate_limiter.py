"""The bucket of tokens that each caller has."""

from ums.core.common.rate_limiter import UNLIMITED, RateLimiter


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_as_many_at_once_as_the_limit_and_not_one_more() -> None:
    rates = RateLimiter(100, Clock())
    taken = [rates.take("a", 3) for _ in range(5)]
    assert [rate.over for rate in taken] == [False, False, False, True, True]
    assert [rate.remaining for rate in taken] == [2, 1, 0, 0, 0]
    assert {(rate.limit, rate.reset) for rate in taken} == {(3, 1)}


def test_each_caller_has_a_bucket() -> None:
    rates = RateLimiter(100, Clock())
    assert not rates.take("a", 1).over
    assert rates.take("a", 1).over
    assert not rates.take("b", 1).over


def test_tokens_come_back_with_time_but_never_more_than_the_limit() -> None:
    clock = Clock()
    rates = RateLimiter(100, clock)
    while not rates.take("a", 10).over:
        pass
    clock.now += 0.1
    assert [rates.take("a", 10).over for _ in range(2)] == [False, True]
    clock.now += 3600
    assert [rates.take("a", 10).over for _ in range(11)] == [False] * 10 + [True]


def test_a_caller_that_keeps_knocking_gets_its_rate_all_the_same() -> None:
    clock = Clock()
    rates = RateLimiter(100, clock)
    while not rates.take("a", 10).over:
        pass
    passed = 0
    for _ in range(1000):
        clock.now += 0.01
        passed += not rates.take("a", 10).over
    assert 99 <= passed <= 101


def test_a_limit_that_changes() -> None:
    clock = Clock()
    rates = RateLimiter(100, clock)
    assert rates.take("a", 100).remaining == 99
    assert rates.take("a", 2).remaining == 1
    assert rates.take("a", 0) is UNLIMITED
    clock.now += 1
    assert rates.take("a", 100).remaining == 99
