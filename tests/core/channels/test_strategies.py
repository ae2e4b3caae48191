"""Strategies: steps that make sense, and ids that a request may name."""

import pytest

from support.flow import Flow, open_flow
from ums.core.channels import channels, strategies
from ums.core.channels.strategies import Step
from ums.core.context.app_context import AppContext
from ums.core.senders import senders
from ums.errors import Invalid, NotFound, Refused

TO = {"aud_userid": ["a"]}
DIRECT = {"aud_email": [{"data": ["a@x.cn"]}]}


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def refused(flow: Flow, rule_id: int, *, broadcast: bool = False) -> bool:
    body = {} if broadcast else TO
    try:
        await flow.accept(**body, rule_id=rule_id, broadcast=broadcast)
    except Refused as error:
        return {(1015026, "strategy_unknown"): True}[error.code, error.reason]
    return False


async def test_what_a_rule_id_may_be(flow: Flow) -> None:
    made = await strategies.create(flow.system, await flow.channel(), "只用邮件")
    assert (made.steps, made.valid) == ([Step("email")], True)
    assert [await refused(flow, id) for id in (0, made.id, made.id + 1)] == [False, False, True]
    assert all([await refused(flow, id) for id in (-1, 2**63, 10**40)])
    assert await refused(flow, made.id + 1, broadcast=True)
    # With direct addresses it has no effect, whatever it is (ums-spec 8, 15).
    for id in (made.id + 1, -1, 10**40):
        assert await flow.accept(**DIRECT, rule_id=id)


async def test_another_channels_an_invalid_and_a_deleted_one(flow: Flow) -> None:
    await channels.create(flow.system, "Other", "5678")
    await senders.authorise(flow.system, "main", "5678")
    other, channel = Flow(flow.system, "5678"), await flow.channel()
    made = await strategies.create(flow.system, channel, "s")
    assert await refused(other, made.id)
    with pytest.raises(NotFound):
        await strategies.remove(flow.system, await other.channel(), made.id)
    assert (await strategies.list_strategies(flow.system, await other.channel())).items == []
    await strategies.set_valid(flow.system, channel, made.id, valid=False)
    assert await refused(flow, made.id)
    assert not (await strategies.show(flow.system, channel, made.id)).valid
    await strategies.set_valid(flow.system, channel, made.id, valid=True)
    assert not await refused(flow, made.id)
    await strategies.remove(flow.system, channel, made.id)
    assert await refused(flow, made.id)
    for id in (made.id, 0, -1, 2**63):
        with pytest.raises(NotFound):
            await strategies.show(flow.system, channel, id)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [Step("sms")],
        [Step("email", wait=60)],
        [Step("email", condition="not_delivered")],
        [Step("email"), Step("email", 60, "not_delivered")],
        [Step("")],
    ],
)
async def test_steps_that_make_no_sense(flow: Flow, steps: list[Step]) -> None:
    with pytest.raises(Invalid) as error:
        await strategies.create(flow.system, await flow.channel(), "s", steps)
    assert error.value.reason == "bad_steps"


def test_more_sender_types_take_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies, "SENDER_TYPES", ("email", "sms"))
    strategies.check_steps([Step("sms"), Step("email", 600, "not_delivered")])
    for bad in (Step("email"), Step("email", 600), Step("email", 0, "not_clicked"), Step("sms", 1)):
        with pytest.raises(Invalid):
            strategies.check_steps([Step("sms"), bad])


async def test_names_are_unique_per_channel(flow: Flow) -> None:
    channel = await flow.channel()
    made = [await strategies.create(flow.system, channel, f"s{i}") for i in range(3)]
    with pytest.raises(Invalid) as error:
        await strategies.create(flow.system, channel, "s1")
    assert error.value.reason == "name_taken"
    first = await strategies.list_strategies(flow.system, channel, limit=2)
    rest = await strategies.list_strategies(flow.system, channel, limit=2, after=first.next)
    assert [*first.items, *rest.items] == made
