"""A second person approves: never who asked for a message, whatever the road."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from support.flow import Flow, open_flow
from support.ruling import rule
from ums.core.audit import audit_log
from ums.core.audit.audit_log import LONGEST_ACTOR
from ums.core.channels import channels
from ums.core.channels.policy import with_changes
from ums.core.common import operator_names
from ums.core.context.app_context import AppContext
from ums.core.identity import actors, api_tokens, grants, operators
from ums.core.identity.api_tokens import NewToken
from ums.core.identity.grants import Grantor
from ums.core.messages import approval, resend
from ums.core.messages.new_message import MessageRequest
from ums.core.tables import messages
from ums.core.tables import operators as operators_table
from ums.core.verbs import governance
from ums.errors import Forbidden, Invalid, NotFound

ZHAO, QIAN = "operator:zhao", "operator:qian"


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    flow = await open_flow(system, 25)
    for name in ("zhao", "qian"):
        await operators.create(system, name, "a staple that is correct")
    await rule(system, "1234", approval=True, approval_by_hand=True)
    return flow


async def by_hand(flow: Flow, actor: str, count: int = 1, origin: str = "console") -> str:
    recipients = [{"address": f"a{n}@x.cn"} for n in range(count)]
    return await send(flow, actor, {"recipients": recipients}, origin)


async def send(flow: Flow, actor: str, to: dict[str, Any], origin: str = "console") -> str:
    asked = msgspec.convert({**to, "subject": "s", "text": "t"}, MessageRequest)
    with audit_log.acting(actor):
        accepted = await flow.intake.accept(await flow.channel(), asked, b"", origin=origin)
    return accepted.msgid


async def halt_of(flow: Flow, msgid: str) -> str:
    async with flow.system.database.read() as tx:
        return str(await tx.value(select(messages.c.halt).where(messages.c.msgid == msgid)))


async def refused(flow: Flow, msgid: str, actor: str) -> None:
    with pytest.raises(Forbidden) as error:
        await approval.approve(flow.system, msgid, actor)
    assert error.value.reason == "approval_own"
    assert await halt_of(flow, msgid) == "approval"


async def token_of(flow: Flow, maker: str, scopes: Sequence[Any] = ("admin",)) -> str:
    """A token that `maker` makes, as an actor."""
    async with flow.system.database.read() as tx:
        operator = (await actors.of(tx, maker)).operator_id
    above = int(maker.split(":")[1]) if maker.startswith("token:") else None
    by = Grantor(grants.ALL, None if above else operator, above)
    with grants.asking(by):
        made = await api_tokens.create(flow.system, NewToken("t", list(scopes)), created_by=maker)
    return f"token:{made.id}:{made.name}"


async def test_who_sends_from_the_console_does_not_approve(flow: Flow) -> None:
    msgid = await by_hand(flow, ZHAO)
    assert await halt_of(flow, msgid) == "approval"
    await refused(flow, msgid, ZHAO)
    await approval.approve(flow.system, msgid, QIAN)
    assert await halt_of(flow, msgid) == ""


async def test_who_is_named_as_owner_does_not_approve(flow: Flow) -> None:
    with audit_log.acting("channel:1234"):
        to: dict[str, Any] = {"aud_email": [{"data": ["a@x.cn"]}], "option": {"owner": "zhao"}}
        msgid = await flow.accept(**to)
    await refused(flow, msgid, ZHAO)
    await approval.approve(flow.system, msgid, QIAN)


async def test_an_operator_is_known_through_its_tokens(flow: Flow) -> None:
    first = await token_of(flow, ZHAO)
    child = await token_of(flow, first)
    other = await token_of(flow, QIAN)
    msgid = await by_hand(flow, child, origin="cli")
    for actor in (ZHAO, first, child):
        await refused(flow, msgid, actor)
    await approval.approve(flow.system, msgid, other)
    mine = await by_hand(flow, ZHAO)
    await refused(flow, mine, child)


async def test_a_token_of_nobody_and_the_command_are_themselves(flow: Flow) -> None:
    machine = await token_of(flow, audit_log.LOCAL)
    msgid = await by_hand(flow, await token_of(flow, machine))
    await refused(flow, msgid, machine)
    await refused(flow, msgid, await token_of(flow, machine))  # not by a token it makes either
    await refused(flow, msgid, machine[: machine.rindex(":")] + ":renamed")
    await approval.approve(flow.system, msgid, audit_log.LOCAL)
    typed = await by_hand(flow, audit_log.LOCAL, origin="cli")
    await refused(flow, typed, audit_log.LOCAL)


async def test_a_long_name_is_the_same_person(flow: Flow) -> None:
    """The audit log and tokens name all of the longest name that an operator may have."""
    name = "z" * operator_names.LONGEST
    assert len(f"operator:{name}") <= LONGEST_ACTOR
    await operators.create(flow.system, name, "a staple that is correct")
    msgid = await by_hand(flow, f"operator:{name}")
    maker = await token_of(flow, f"operator:{name}")
    await refused(flow, msgid, maker)


@pytest.mark.parametrize("origin", ["console", "cli"])
async def test_only_from_a_size_on(flow: Flow, origin: str) -> None:
    await rule(flow.system, "1234", approval_by_hand=True, approval_from=3)
    assert await halt_of(flow, await by_hand(flow, ZHAO, 2, origin)) == ""
    assert await halt_of(flow, await by_hand(flow, ZHAO, 3, origin)) == "approval"
    tags = await send(flow, ZHAO, {"audience": {"tags": ["nobody"]}}, origin)
    assert await halt_of(flow, tags) == "approval"  # it may grow until it is expanded


async def test_without_the_rule_nothing_sent_by_hand_waits(flow: Flow) -> None:
    await rule(flow.system, "1234", approval=True)
    assert await halt_of(flow, await by_hand(flow, ZHAO, 50)) == ""


async def test_what_was_not_approved_is_not_sent_again(flow: Flow) -> None:
    await rule(flow.system, "1234", approval=False)
    msgid = await by_hand(flow, ZHAO)
    await rule(flow.system, "1234", approval_by_hand=True)
    with pytest.raises(Invalid) as error:
        await resend.resend(flow.system, None, msgid)
    assert error.value.reason == "resend_unapproved"
    approved = await by_hand(flow, ZHAO)
    await approval.approve(flow.system, approved, QIAN)
    await resend.resend(flow.system, None, approved)


async def test_an_operator_decides_by_command(flow: Flow) -> None:
    msgid = await by_hand(flow, ZHAO)
    decide: Any = governance.VERBS["approval.approve"]

    async def by(name: str) -> None:
        await decide.run(flow.system, flow.intake, governance.Approve(msgid, name))

    with pytest.raises(Forbidden):
        await by("zhao")
    with pytest.raises(NotFound):
        await by("nobody")
    await operators.create(flow.system, "sun", "a staple that is correct", "viewer")
    with pytest.raises(Forbidden) as error:
        await by("sun")
    assert error.value.reason == "scope_missing"
    await channels.create(flow.system, "Other", "other")
    other = (await flow.system.directory.now()).channels["other"].id
    await operators.create(flow.system, "li", "a staple that is correct", "operator")
    async with flow.system.database.write() as tx:
        li = update(operators_table).where(operators_table.c.name == "li")
        await tx.run(li.values(channels=f"[{other}]"))
    with pytest.raises(NotFound):
        await by("li")
    await by("qian")
    assert await halt_of(flow, msgid) == ""


async def test_turning_the_rule_off_is_in_the_audit_log_and_frees_nothing(flow: Flow) -> None:
    msgid = await by_hand(flow, ZHAO)
    off = {"approval": None, "approval_by_hand": None}
    await channels.change_rules(flow.system, "1234", lambda rules: with_changes(rules, off))
    assert await halt_of(flow, msgid) == "approval"
    async with flow.system.database.read() as tx:
        [entry] = (await audit_log.list_audit(tx, action="channel.rules", limit=1)).items
    assert entry.before == {"approval": True, "approval_by_hand": True}
    assert entry.after == {"approval": False, "approval_by_hand": False}
