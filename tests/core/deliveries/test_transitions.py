"""The table of transitions: what it says, and that every statement goes by it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import ums
from support.flow import open_flow
from ums.core.context.app_context import AppContext
from ums.core.deliveries import expansion, transitions
from ums.core.deliveries.transitions import LEGAL, TRANSITIONS, Transition
from ums.core.tables.states import FINAL, HELD, OPEN, WAITING, DeliveryState

SOURCE = Path(ums.__file__).parent
CHANGES = re.compile(r"UPDATE deliveries SET .*?\bstate = ")


def literals(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every text of the module, with joined ones as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node, ast.unparse(node)


def test_every_statement_that_changes_a_state_names_its_transition() -> None:
    found, declared = 0, set[str]()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        given = set[ast.AST]()
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".statement"):
                given |= set(ast.walk(call))
                declared.add(ast.unparse(call.func).removesuffix(".statement").split(".")[-1])
        for node, words in literals(tree):
            if CHANGES.search(words) and "$to" not in words:
                assert node in given, (path, words)
                found += 1
    assert found, "the pattern finds nothing any more"
    named = {name for name in vars(transitions) if isinstance(vars(transitions)[name], Transition)}
    # `holds` hands its three to one class, and a late reply is a branch of `record`.
    assert named - declared == {"PAUSE", "CANCEL", "RESUME", "RECORD_LATE"}


def test_no_update_by_expression_changes_a_state() -> None:
    for path in SOURCE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "update":
                assert ast.unparse(call.args[0]) != "deliveries", path


def test_the_table_holds_together() -> None:
    named = [one for one in vars(transitions).values() if isinstance(one, Transition)]
    assert set(TRANSITIONS) == set(named)
    assert len({one.name for one in TRANSITIONS}) == len(TRANSITIONS)
    reached = {target for _, target in LEGAL} | set(transitions.INITIAL)
    assert reached == set(DeliveryState)
    assert {source for source, _ in LEGAL} >= set(OPEN)
    assert set(OPEN) | set(FINAL) == set(DeliveryState)


def test_what_is_never_legal() -> None:
    """What was handed over is never queued again by UMS itself, and nothing skips a claim."""
    by_hand = {transitions.RESEND}
    own = [one for one in TRANSITIONS if one not in by_hand]
    for one in own:
        if DeliveryState.SENT in one.sources:
            assert one.targets == (DeliveryState.FAILED,)  # a bounce
        if one.sources == (DeliveryState.UNKNOWN,) or DeliveryState.UNKNOWN in one.sources:
            assert not set(one.targets) & {*WAITING, *HELD}
    assert {source for source, target in LEGAL if target == DeliveryState.CLAIMED} == set(WAITING)
    assert [source for source, target in LEGAL if target == DeliveryState.AT_DOT] == [
        DeliveryState.CLAIMED
    ]
    for ended in (DeliveryState.CANCELLED, DeliveryState.SUPPRESSED, DeliveryState.INVALID):
        assert not [target for source, target in LEGAL if source == ended]


@pytest.mark.parametrize("template", ["SET state = $to", "WHERE state IN ($from)", ""])
def test_a_statement_has_to_name_both_ends(template: str) -> None:
    with pytest.raises(ValueError, match="claim"):
        transitions.CLAIM.statement(template)


async def test_the_guard_of_the_tests_refuses_what_is_illegal(system: AppContext) -> None:
    flow = await open_flow(system, 25)
    await flow.send("a@example.org")
    while await expansion.expand(system.database):
        pass
    async with system.database.write() as tx:
        await tx.run(text("UPDATE deliveries SET state = 'claimed'"))
    with pytest.raises(DBAPIError, match="illegal transition"):
        async with system.database.write() as tx:
            await tx.run(text("UPDATE deliveries SET state = 'suppressed'"))
