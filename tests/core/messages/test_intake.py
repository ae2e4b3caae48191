"""Accepting messages: stored whole or not at all, once per key, also when callers leave."""

import asyncio
import json
import re
from typing import Any

import pytest
from sqlalchemy import func, select

from support.flow import Flow, accept_body, open_flow
from ums import clock
from ums.core.channels import channels
from ums.core.common.idempotency import KEY_LIFE
from ums.core.context.app_context import AppContext
from ums.core.messages.intake import Intake
from ums.core.messages.scheduling import BULK_LIFE, SINGLE_LIFE
from ums.core.senders import senders
from ums.core.tables import idempotency, messages
from ums.errors import Invalid, Refused

CONTENT = [{"subject": "s", "text": "t"}]


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


def body(address: str = "a@x.cn", **more: Any) -> bytes:
    return json.dumps({"aud_email": [{"data": [address]}], "msg_email": CONTENT, **more}).encode()


async def stored(flow: Flow) -> int:
    async with flow.system.database.read() as tx:
        return await tx.value(select(func.count()).select_from(messages))


async def row_of(flow: Flow, msgid: str) -> Any:
    async with flow.system.database.read() as tx:
        return await tx.first(select(messages).where(messages.c.msgid == msgid))


async def test_what_is_accepted_is_stored_as_asked(flow: Flow) -> None:
    single = await row_of(flow, await flow.send("a@x.cn", "b@x.cn", priority=1))
    assert re.fullmatch(r"v:1t:\d{10}p:\d+n:\d+", single.msgid)
    assert (single.priority, single.on_unknown, single.state, single.audience_size) == (
        (1, "resend", "accepted", 2)
    )
    assert single.expires_at - single.accepted_at == SINGLE_LIFE
    bulk = await row_of(flow, await flow.accept(broadcast=True))
    assert (bulk.priority, bulk.on_unknown, bulk.audience_size) == (3, "hold", 0)
    assert bulk.expires_at - bulk.accepted_at == BULK_LIFE


@pytest.mark.parametrize(
    ("body", "priority"),
    [
        ({"aud_email": [{"data": ["a@x.cn"]}]}, 2),
        ({"aud_userid": ["u1", "u2"]}, 2),
        ({"aud_tag": ["vip"]}, 3),
        ({"aud_tag": ["vip"], "option": {"priority": 2}}, 2),
        ({"aud_email": [{"data": ["a@x.cn"]}], "option": {"priority": 3}}, 3),
    ],
)
async def test_what_is_for_many_goes_behind_what_is_for_some(
    flow: Flow, body: dict[str, Any], priority: int
) -> None:
    assert (await row_of(flow, await flow.accept(**body))).priority == priority


async def test_the_engine_is_woken(flow: Flow) -> None:
    flow.system.wake.clear()
    await flow.send("a@x.cn")
    assert flow.system.wake.is_set()


async def test_a_closed_channel_and_one_without_sender_are_refused(flow: Flow) -> None:
    await channels.create(flow.system, "Empty", "empty")
    with pytest.raises(Refused) as caught:
        await Flow(flow.system, "empty").send("a@x.cn")
    assert caught.value.reason == "no_sender"
    await channels.set_open(flow.system, "1234", open=False)
    with pytest.raises(Refused) as caught:
        await flow.send("a@x.cn")
    assert caught.value.reason == "channel_closed"
    assert await stored(flow) == 0


async def test_many_at_once_each_get_their_own(flow: Flow) -> None:
    channel = await flow.channel()
    answers = await asyncio.gather(
        *(
            accept_body(flow.intake, channel, body(f"n{i}@x.cn"), broadcast=False)
            for i in range(300)
        )
    )
    assert len({answer.msgid for answer in answers}) == 300
    for number in (0, 150, 299):
        assert f"n{number}@x.cn" in (await row_of(flow, answers[number].msgid)).audience


async def test_a_request_whose_caller_left_is_whole_or_not_there(flow: Flow) -> None:
    channel = await flow.channel()
    tasks = [
        asyncio.create_task(accept_body(flow.intake, channel, body(), broadcast=False))
        for _ in range(40)
    ]
    for turn, task in enumerate(tasks):
        if turn % 4 == 0:
            await asyncio.sleep(0)
            task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    await flow.intake.drain()
    good = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert 30 <= len(good) <= await stored(flow) <= 40
    for answer in good:
        assert await row_of(flow, answer.msgid) is not None


async def test_a_key_makes_one_message_however_often_it_comes(flow: Flow) -> None:
    channel = await flow.channel()
    others = Intake(flow.system)  # as another process would have
    answers = await asyncio.gather(
        *(
            accept_body(intake, channel, body(), broadcast=False, key="order-1")
            for intake in (flow.intake, others) * 25
        )
    )
    assert len({answer.msgid for answer in answers}) == 1
    assert await stored(flow) == 1


async def test_a_key_belongs_to_its_body_its_path_and_its_channel(flow: Flow) -> None:
    channel = await flow.channel()

    async def accept(raw: bytes, *, broadcast: bool = False) -> str:
        answer = await accept_body(flow.intake, channel, raw, broadcast=broadcast, key="k")
        return answer.msgid

    first = await accept(body())
    with pytest.raises(Invalid) as caught:
        await accept(body("other@x.cn"))
    assert caught.value.reason == "idempotency_reused"
    assert await accept(body()) == first
    await channels.create(flow.system, "Other", "other")
    await senders.authorise(flow.system, "main", "other")
    theirs = await Flow(flow.system, "other").channel()
    again = await accept_body(flow.intake, theirs, body(), broadcast=False, key="k")
    assert again.msgid != first
    assert await stored(flow) == 2


async def test_a_key_is_forgotten_after_a_day(flow: Flow) -> None:
    channel = await flow.channel()
    first = await accept_body(flow.intake, channel, body(), broadcast=False, key="k")
    async with flow.system.database.write() as tx:
        old = clock.now() - KEY_LIFE - 1_000
        await tx.run(idempotency.update().values(created_at=old))
    second = await accept_body(flow.intake, channel, body("other@x.cn"), broadcast=False, key="k")
    assert second.msgid != first.msgid
    third = await accept_body(flow.intake, channel, body("other@x.cn"), broadcast=False, key="k")
    assert third.msgid == second.msgid


async def test_keys_are_checked(flow: Flow) -> None:
    for key in ["", "a b", "x" * 256, "键", "a\n"]:
        with pytest.raises(Invalid) as caught:
            await accept_body(flow.intake, await flow.channel(), body(), broadcast=False, key=key)
        assert caught.value.reason == "idempotency_key"


async def test_sendno_is_echoed(flow: Flow) -> None:
    channel = await flow.channel()
    raw = body(option={"sendno": 123456789012345678})
    answer = await accept_body(flow.intake, channel, raw, broadcast=False)
    assert answer.sendno == "123456789012345678"


async def test_odd_text_is_stored_as_it_came(flow: Flow) -> None:
    odd = "quote ' \" \\ 你好 \U0001f600 \\u0000 :name $1 %s {x}"
    msgid = await flow.send("a@x.cn", msg_email=[{"subject": odd, "text": odd + "\u2028"}])
    content = json.loads((await row_of(flow, msgid)).content)
    assert content == {"subject": odd, "text": odd + "\u2028"}


async def test_an_unknown_segment_is_refused(flow: Flow) -> None:
    with pytest.raises(Invalid) as caught:
        await flow.accept(aud_segment=[7])
    assert caught.value.reason == "segment_unknown"
    assert await stored(flow) == 0
