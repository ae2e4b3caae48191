"""Channels' own systems are told what became of messages, by the real engine over real HTTP."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from support.flow import until, with_settings
from support.receiver import reset
from support.telling import Telling, add_hosted, audit_log, only, open_telling, steps, until_state
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.tables import callback_addresses
from ums.core.webhooks import administration, backoff, endpoints
from ums.engine.worker import running
from ums.errors import Invalid

# -- the compatibility list, ums-spec 7.1, 17 to 20 -------------------------------------------


async def test_a_client_s_receiver_is_told(system: AppContext) -> None:
    async with open_telling(system) as telling, running(system):
        await telling.flow.add_users({"u1": "u1@example.cn"})
        direct = await telling.flow.send("a@example.cn", callback={"params": {"k": 1}})
        await telling.flow.accept(aud_userid=["u1", "u2"])
        told = await telling.receiver.until_told(5)
        await until_state(telling, "done")
    found = Counter((r["type"], r["userid"], r["sender_id"], r["sender"]) for r in told)
    assert found == {
        (0, "", "a@example.cn", 4): 1,
        (2, "", "a@example.cn", 4): 1,
        (0, "u1", "", 4): 1,
        (2, "u1", "u1@example.cn", 4): 1,
        (1, "u2", "", 0): 1,
    }
    for record in told:
        assert record["channelkey"] == "1234"
        assert abs(record["sent_time"] - clock.now() / 1000) < 3600
        assert record["params"] == ({"k": 1} if record["msgid"] == direct else {})
        assert ("error" in record) == (record["type"] == 1)
    for asked in telling.receiver.posts:
        assert asked.status == 200  # with Basic auth, and an array
        assert asked.headers["content-type"] == "application/json"
        assert "." not in asked.id
        telling.receiver.verify(asked, str(telling.address.secret))
    ids = [asked.id for asked in telling.receiver.posts]
    assert len(set(ids)) == len(ids)


async def test_a_changed_octet_spoils_the_signature(system: AppContext) -> None:
    async with open_telling(system) as telling, running(system):
        await telling.flow.send("a@example.cn")
        await telling.receiver.until_told(2)
    asked = telling.receiver.posts[0]
    asked.headers["webhook-id"] += "x"
    with pytest.raises(Exception, match="No matching signature"):
        telling.receiver.verify(asked, str(telling.address.secret))


# -- batches ----------------------------------------------------------------------------------


async def test_a_hundred_go_at_once_and_fewer_when_they_are_old(system: AppContext) -> None:
    async with open_telling(system, callback_batch_seconds=3600) as telling, running(system):
        await only(telling, 0)
        await telling.flow.send(*(f"a{n}@example.cn" for n in range(250)))
        told = await telling.receiver.until_told(200)
        await until_state(telling, "done", 2)
        assert len(told) == 200
        left = [row for row in await telling.records() if row.batch_id is None]
        assert len(left) == 50
        with_settings(system, callback_batch_seconds=0.05)
        told = await telling.receiver.until_told(250)
    assert [len(asked.records) for asked in telling.receiver.posts] == [100, 100, 50]
    assert [r["sender_id"] for r in told] == [f"a{n}@example.cn" for n in range(250)]
    assert [row.size for row in await telling.batches()] == [100, 100, 50]


async def test_one_batch_is_in_flight_and_the_order_is_kept(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted", 0.1, 0.1, 0.1)
    async with open_telling(system, callback_batch_size=10) as telling:
        await only(telling, 0)
        telling.receiver.script = [500, None, reset, 503, None]
        async with running(system):
            await telling.flow.send(*(f"a{n}@example.cn" for n in range(40)))
            told = await telling.receiver.until_told(40)
    assert [r["sender_id"] for r in told] == [f"a{n}@example.cn" for n in range(40)]
    posts = telling.receiver.posts
    assert len(posts) == 7
    assert posts[0].id == posts[1].id
    assert posts[2].id == posts[3].id == posts[4].id
    assert posts[0].body == posts[1].body


# -- the schedule of the hosted UMS -----------------------------------------------------------


async def test_three_more_tries_then_dead_and_the_next_goes(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted", 0.05, 0.05, 0.05)
    async with open_telling(system) as telling:
        await only(telling, 0)
        telling.receiver.script = [500, reset, 301, 404]
        async with running(system):
            await telling.flow.send("a@example.cn")
            [dead] = await until_state(telling, "dead")
            await telling.flow.send("b@example.cn")
            told = await telling.receiver.until_told(1)
            await until_state(telling, "done")
    assert [r["sender_id"] for r in told] == ["b@example.cn"]
    assert len({asked.id for asked in telling.receiver.posts[:4]}) == 1
    assert (dead.tries, dead.last_status, dead.last_error) == (4, 404, "answered 404")
    row = await telling.row()
    assert (row.failing_since, row.failures, row.state) == (None, 0, "verified")


@pytest.mark.parametrize("answer", [201, 204, 302, 401, 410, 429, 500])
async def test_only_200_is_success(
    system: AppContext, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling:
        telling.receiver.always = answer
        async with running(system):
            await telling.flow.send("a@example.cn")
            [dead, *_] = await until_state(telling, "dead")
    assert (dead.last_status, dead.tries) == (answer, 1)
    assert (await telling.row()).state == "verified"


# -- the schedule of Standard Webhooks --------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "REST_STEP", 10)
    steps(monkeypatch, "standard", 0.05, 0.05)


async def test_any_2xx_is_success(system: AppContext) -> None:
    async with open_telling(system, schedule="standard") as telling:
        telling.receiver.always = 204
        async with running(system):
            await telling.flow.send("a@example.cn")
            [done, *_] = await until_state(telling, "done")
    assert done.last_status == 204


async def test_a_batch_that_waits_is_overtaken(
    system: AppContext, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    steps(monkeypatch, "standard", 3600)
    async with open_telling(system, schedule="standard") as telling:
        await only(telling, 0)
        telling.receiver.script = [500]
        async with running(system):
            await telling.flow.send("poison@example.cn")
            await until_state(telling, "waiting")
            await telling.flow.send("b@example.cn")
            told = await telling.receiver.until_told(1)
    assert [r["sender_id"] for r in told] == ["b@example.cn"]


async def test_retry_after_makes_the_address_rest(system: AppContext, quick: None) -> None:
    async with open_telling(system, schedule="standard") as telling:
        head = b"HTTP/1.1 429 X\r\nRetry-After: 1800\r\nContent-Length: 0\r\n\r\n"
        telling.receiver.script = [head]
        async with running(system):
            await telling.flow.send("a@example.cn")
            [waiting, *_] = await until_state(telling, "waiting")
    row, now = await telling.row(), clock.now()
    for until_ in (waiting.due_at, row.cooldown_until):
        assert 1_000_000 < until_ - now <= 1_800_000


async def until_disabled(telling: Telling) -> Any:
    async def disabled() -> Any:
        row = await telling.row()
        return row if row.state == "disabled" else None

    return await until(disabled)


async def test_410_disables_and_a_check_enables_again(system: AppContext, quick: None) -> None:
    async with open_telling(system, schedule="standard") as telling:
        telling.receiver.script = [410]
        async with running(system):
            await telling.flow.send("a@example.cn")
            await until_disabled(telling)
            later = await telling.flow.send("b@example.cn")
            await telling.flow.until_settled(later)
            asked = len(telling.receiver.posts)
            named = {"url": telling.receiver.url}
            await telling.flow.send("c@example.cn", callback=named)  # not refused for that
            channel = await telling.channel()
            await endpoints.verify(system, channel, telling.address.id)
            told = await telling.receiver.until_told(6)
    assert asked == 1
    assert Counter(r["type"] for r in told) == {0: 3, 2: 3}
    assert len({asked.id for asked in telling.receiver.posts[:2]}) == 1  # the first one again
    log = await audit_log(system)
    assert ("engine", "callback.disable", "1234", "address 1: it answered 410") in log


async def test_failing_for_days_disables(
    system: AppContext, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    async with open_telling(system, schedule="standard") as telling:
        telling.receiver.always = 500
        async with running(system):
            await telling.flow.send("a@example.cn")
            await until_state(telling, "dead")
            assert (await telling.row()).state == "verified"
            async with system.database.write() as tx:
                since = clock.now() - backoff.PATIENCE
                await tx.run(update(callback_addresses).values(failing_since=since))
            await telling.flow.send("b@example.cn")
            await until_disabled(telling)
    assert "it failed for five days" in str(await audit_log(system))


async def test_a_check_that_fails_enables_nothing(system: AppContext, quick: None) -> None:
    async with open_telling(system, schedule="standard") as telling:
        async with system.database.write() as tx:
            await tx.run(update(callback_addresses).values(state="disabled"))
        telling.receiver.secret = "another"
        with pytest.raises(Invalid) as refused:
            await endpoints.verify(system, await telling.channel(), telling.address.id)
        assert refused.value.reason == "callback_unverified"
        assert (await telling.row()).state == "disabled"


# -- dead letters -----------------------------------------------------------------------------


async def test_a_dead_batch_is_told_after_all(
    system: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, "hosted")
    async with open_telling(system) as telling:
        await only(telling, 0)
        telling.receiver.script = [500]
        async with running(system):
            await telling.flow.send("a@example.cn")
            [dead] = await until_state(telling, "dead")
            channel = await telling.channel()
            again = await administration.replay(system, channel, first=dead.id, last=dead.id)
            assert again.batches == 1
            await telling.receiver.until_told(1)
            [done] = await until_state(telling, "done")
    assert (done.webhook_id, done.tries) == (dead.webhook_id, 1)
    assert [asked.id for asked in telling.receiver.posts] == [dead.webhook_id] * 2


async def test_an_address_that_is_deleted_is_told_nothing_more(system: AppContext) -> None:
    async with open_telling(system) as telling:
        channel = await telling.channel()
        other = await add_hosted(system, channel, telling.receiver.url + "?2")
        await telling.flow.send("a@example.cn")
        await endpoints.set_default(system, channel, other.id)
        await endpoints.delete(system, channel, telling.address.id)
        async with running(system):
            later = await telling.flow.send("b@example.cn")
            told = await telling.receiver.until_told(2)
    assert {record["msgid"] for record in told} == {later}
