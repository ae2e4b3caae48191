"""The limit of calls, and what every answer tells of it (ums-spec 3.1)."""

from dataclasses import dataclass

import pytest

from support.doors import Answer, Basic, Door, OneChannel
from ums.core.channels import channels
from ums.core.context.channel_policy import ChannelPolicy

PLACES = (
    ("POST", "/v1/sent"),
    ("POST", "/v1/broadcast"),
    ("POST", "/v1/user/opt"),
    ("POST", "/v1/user/delete"),
    ("POST", "/v1/material"),
    ("GET", "/v1/token?type=wechatoa"),
    ("GET", "/api/messages"),
    ("GET", "/api/messages/x"),
    ("GET", "/api/messages/x/deliveries"),
    ("GET", "/api/deliveries/1"),
)
TELLING = ("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset")


@dataclass
class Frozen:
    now: float = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def frozen(shared: Door, monkeypatch: pytest.MonkeyPatch) -> Frozen:
    """A clock that stands still: how fast the machine is shall not matter."""
    clock = Frozen()
    monkeypatch.setattr(shared.system.rates, "_now", clock)
    return clock


def told(answer: Answer) -> list[int | None]:
    found = [answer.headers.get(name) for name in TELLING]
    return [None if text is None else int(text) for text in found]


async def test_one_too_many(shared: Door, frozen: Frozen) -> None:
    channel = await shared.channel(limit=3)
    answers = [await shared.get("/api/messages", channel) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [told(answer) for answer in answers] == [[3, 2, 1], [3, 1, 1], [3, 0, 1], [3, 0, 1]]
    assert answers[-1].told == (429, 1015030, "busy")
    assert answers[-1].headers["Retry-After"] == "1"
    frozen.now += 1
    assert told(await shared.get("/api/messages", channel)) == [3, 2, 1]


@pytest.mark.parametrize(("method", "path"), PLACES)
async def test_every_place_counts_and_tells_errors_too(
    shared: Door, frozen: Frozen, method: str, path: str
) -> None:
    channel = await shared.channel(limit=2)
    first = await shared.ask(method, path, channel, content=b"{}" if method == "POST" else None)
    assert first.status < 500
    assert told(first) == [2, 1, 1]
    await shared.ask(method, path, channel)
    last = await shared.ask(method, path, channel)
    assert last.told == (429, 1015030, "busy")
    assert type(last.body["message"]) is str


async def test_strangers_are_told_nothing(shared: Door, frozen: Frozen) -> None:
    channel = await shared.channel(limit=2)
    wrong = await shared.get("/api/messages", (channel.key, "wrong"))
    assert (wrong.status, told(wrong)) == (401, [None] * 3)
    assert told(await shared.get("/")) == [None] * 3
    assert told(await shared.get("/api/messages", channel)) == [2, 1, 1]


async def test_no_limit_and_no_headers(shared: Door, caller: OneChannel) -> None:
    assert told(await shared.get("/api/messages", caller)) == [None] * 3


async def test_channels_do_not_share_and_rules_apply_at_once(shared: Door, frozen: Frozen) -> None:
    one, other = await shared.channel(limit=1), await shared.channel(limit=1)
    assert (await shared.get("/api/messages", one)).status == 200
    assert (await shared.get("/api/messages", one)).status == 429
    assert (await shared.get("/api/messages", other)).status == 200
    await channels.set_rules(shared.system, one.key, ChannelPolicy(requests_per_second=0))
    assert (await shared.get("/api/messages", one)).status == 200


async def test_access_keys_have_the_same_limit(
    shared: Door, master: Basic, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.system.rates, "access_keys", 100)
    answers = [await shared.post("/v1/user/delete", ["u"], master) for _ in range(101)]
    assert [answer.status for answer in answers] == [200] * 100 + [429]
    # A call that the key may not make counts as well.
    frozen.now += 0.01
    forbidden = await shared.get("/api/messages", master)
    assert (forbidden.status, told(forbidden)) == (403, [100, 0, 1])


async def test_the_default_is_a_hundred(shared: Door, frozen: Frozen) -> None:
    made = await channels.create(shared.system, "with default rules")
    basic = (made.channelkey, str(made.mastersecret))
    assert told(await shared.get("/api/messages", basic)) == [100, 99, 1]
