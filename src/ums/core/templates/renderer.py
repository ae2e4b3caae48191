"""Runs a program: its nodes become functions, once, and those work on a recipient's values.

Nothing here can reach more than JSON values: a look-up knows keys of objects and places of lists,
never an attribute of Python. Each body pays its price before it runs, each loop once per element,
and whatever reads or makes long values pays for their length; so a render ends.
"""

import re
from collections.abc import Callable
from typing import Any

from ums.core.templates.filters import FILTERS, PRESENCE, TESTS
from ums.core.templates.syntax_tree import (
    Apply,
    Body,
    Choose,
    Compare,
    Const,
    Expr,
    For,
    Get,
    If,
    Junction,
    Listing,
    Local,
    LoopField,
    Not,
    Out,
    Program,
    Statement,
    Static,
    Test,
    Var,
)
from ums.core.templates.values import Frame, Missing, as_html, failed, kind, present, show

Value = Callable[[Frame], Any]
Action = Callable[[Frame], None]
Pieces = list[int | str]
"""What a render gives: numbers of static texts, and values as text with LF line ends."""

_LINE_END = re.compile(r"\r\n?")
LOOP_FIELDS: dict[str, Callable[[int, int], Any]] = {
    "index": lambda at, _: at + 1,
    "index0": lambda at, _: at,
    "revindex": lambda at, size: size - at,
    "first": lambda at, _: at == 0,
    "last": lambda at, size: at == size - 1,
    "length": lambda _, size: size,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
}


class Renderer:
    """A program that is ready to run, in any number of renders at a time."""

    def __init__(self, program: Program, *, html: bool) -> None:
        self.texts = program.texts
        self.fixed = all(isinstance(node, Static) for node in program.body.statements)
        self._slots = program.slots
        self._run = _Builder(program.texts, html).body(program.body)

    def pieces(self, values: dict[str, Any]) -> Pieces:
        """Render with `values`, one for each name of the template, which may be Missing.

        Raises RenderError.
        """
        frame = Frame(values, self._slots)
        self._run(frame)
        return frame.out

    def text(self, values: dict[str, Any]) -> str:
        texts = self.texts
        return "".join(
            texts[piece] if isinstance(piece, int) else piece for piece in self.pieces(values)
        )


class _Builder:
    """Makes functions of nodes."""

    def __init__(self, texts: list[str], html: bool) -> None:
        self._sizes = [len(text.encode()) for text in texts]
        self._html = html

    # -- statements ---------------------------------------------------------------------------

    def body(self, body: Body) -> Action:
        price, actions = body.price, [self._statement(node) for node in body.statements]

        def run(frame: Frame) -> None:
            frame.pay(price)
            for action in actions:
                action(frame)

        return run

    def _statement(self, node: Statement) -> Action:
        if isinstance(node, Static):
            return self._static(node)
        if isinstance(node, Out):
            return self._out(node)
        return self._if(node) if isinstance(node, If) else self._for(node)

    def _static(self, node: Static) -> Action:
        number, size = node.text, self._sizes[node.text]

        def run(frame: Frame) -> None:
            frame.grow(size)
            frame.out.append(number)

        return run

    def _out(self, node: Out) -> Action:
        value, html = self._value(node.of), self._html

        def run(frame: Frame) -> None:
            text = show(present(value(frame)))
            if html:
                text = as_html(text)
            frame.grow(len(text) if text.isascii() else len(text.encode()))
            frame.out.append(_LINE_END.sub("\n", str.__str__(text)) if "\r" in text else text)

        return run

    def _if(self, node: If) -> Action:
        tests = [self._value(test) for test in node.tests]
        branches = list(zip(tests, map(self.body, node.bodies), strict=True))
        otherwise = self.body(node.otherwise)

        def run(frame: Frame) -> None:
            for test, body in branches:
                if present(test(frame)):
                    body(frame)
                    return
            otherwise(frame)

        return run

    def _for(self, node: For) -> Action:
        items, body, otherwise = (
            self._value(node.of),
            self.body(node.body),
            self.body(node.otherwise),
        )
        place, store = node.place, _store(node.targets)

        def run(frame: Frame) -> None:
            found = present(items(frame))
            if not isinstance(found, list):
                raise failed("loop", kind=kind(found))
            for at, one in enumerate(found):
                store(frame, one)
                frame.locals[place] = (at, len(found))
                body(frame)
            if not found:
                otherwise(frame)

        return run

    # -- expressions --------------------------------------------------------------------------

    def _value(self, node: Expr) -> Value:
        builders: dict[Any, Callable[[Any], Value]] = {
            Const: _const,
            Listing: self._listing,
            Var: _var,
            Local: _local,
            LoopField: _loop_field,
            Get: self._get,
            Apply: self._apply,
            Test: self._test,
            Not: self._not,
            Junction: self._junction,
            Compare: self._compare,
            Choose: self._choose,
        }
        return builders[type(node)](node)

    def _listing(self, node: Listing) -> Value:
        parts = [self._value(part) for part in node.parts]
        return lambda frame: [present(part(frame)) for part in parts]

    def _get(self, node: Get) -> Value:
        of, key = self._value(node.of), node.key

        def get(frame: Frame) -> Any:
            value = of(frame)
            if value.__class__ is Missing:
                return Missing(f"{value.path}.{key}")
            found = None
            if isinstance(value, dict):
                found = value.get(key if isinstance(key, str) else str(key))
            elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key:
                found = value[key] if key < len(value) else None
            return Missing(path_of(node)) if found is None else found

        return get

    def _apply(self, node: Apply) -> Value:
        made, of = FILTERS[node.name], self._value(node.of)
        arguments = [self._value(argument) for argument in node.arguments]
        run = made.run
        if made.lenient:
            return lambda frame: run(frame, of(frame), *[one(frame) for one in arguments])
        if not arguments:
            return lambda frame: run(frame, present(of(frame)))
        return lambda frame: run(frame, present(of(frame)), *[present(a(frame)) for a in arguments])

    def _test(self, node: Test) -> Value:
        of = self._value(node.of)
        if node.name in PRESENCE:
            there = PRESENCE[node.name]
            return lambda frame: (of(frame).__class__ is not Missing) is there
        holds = TESTS[node.name]
        return lambda frame: holds(present(of(frame)))

    def _not(self, node: Not) -> Value:
        of = self._value(node.of)
        return lambda frame: not present(of(frame))

    def _junction(self, node: Junction) -> Value:
        every, parts = node.every, [self._value(part) for part in node.parts]

        def decide(frame: Frame) -> Any:
            value: Any = every
            for part in parts:
                value = present(part(frame))
                if bool(value) is not every:
                    break
            return value

        return decide

    def _compare(self, node: Compare) -> Value:
        of, others = self._value(node.of), [self._value(other) for other in node.others]
        steps = list(zip(node.operators, others, strict=True))

        def compare(frame: Frame) -> bool:
            left = present(of(frame))
            for operator, other in steps:
                right = present(other(frame))
                if not _compared(frame, operator, left, right):
                    return False
                left = right
            return True

        return compare

    def _choose(self, node: Choose) -> Value:
        test, yes, no = self._value(node.test), self._value(node.yes), self._value(node.no)
        return lambda frame: yes(frame) if present(test(frame)) else no(frame)


def path_of(node: Expr) -> str:
    """How a person would write `node`, for messages."""
    if isinstance(node, Var | Local):
        return node.name
    if isinstance(node, Get):
        return f"{path_of(node.of)}.{node.key}"
    return "a value"


def _const(node: Const) -> Value:
    value = node.value
    return lambda _: value


def _var(node: Var) -> Value:
    name = node.name
    return lambda frame: frame.values[name]


def _local(node: Local) -> Value:
    slot, name = node.slot, node.name

    def get(frame: Frame) -> Any:
        value = frame.locals[slot]
        return Missing(name) if value is None else value

    return get


def _loop_field(node: LoopField) -> Value:
    slot, field = node.slot, LOOP_FIELDS[node.field]
    return lambda frame: field(*frame.locals[slot])


def _store(targets: list[int]) -> Callable[[Frame, Any], None]:
    """Puts an element into its slot, or its parts into theirs."""
    if len(targets) == 1:
        only = targets[0]

        def put(frame: Frame, one: Any) -> None:
            frame.locals[only] = one

        return put

    def spread(frame: Frame, one: Any) -> None:
        if not isinstance(one, list) or len(one) != len(targets):
            raise failed("element", count=len(targets))
        for slot, part in zip(targets, one, strict=True):
            frame.locals[slot] = part

    return spread


def _compared(frame: Frame, operator: str, left: Any, right: Any) -> bool:
    if operator in ("in", "notin"):
        return _contains(frame, right, left) is (operator == "in")
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        raise failed("compare")
    if isinstance(left, str) and isinstance(right, str):
        frame.pay(min(len(left), len(right)) >> 6)
    if operator in ("eq", "ne"):
        return (left == right) is (operator == "eq")
    if isinstance(left, str) is not isinstance(right, str):
        raise failed("order", left=kind(left), right=kind(right))
    return _ORDER[operator](left, right)


def _contains(frame: Frame, whole: Any, part: Any) -> bool:
    if isinstance(part, list | dict):
        raise failed("look")
    if isinstance(whole, str):
        if not isinstance(part, str):
            raise failed("in_text", kind=kind(part))
        frame.pay((len(whole) >> 6) + (len(part) >> 6))
        return part in whole
    if isinstance(whole, list):
        frame.pay(len(whole) + (len(part) >> 6 if isinstance(part, str) else 0))
        return part in whole
    if isinstance(whole, dict):
        return isinstance(part, str) and part in whole
    raise failed("in", kind=kind(whole))
