"""From source to program: Jinja's parser reads it, and an allow-list decides what may be in it.

What is not named here does not exist: no calls, assignments, macros, imports, blocks, arithmetic
or concatenation. Only the child process parses what operators write (`templates.child`).
"""

import math
from typing import Any, Final, Self

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from ums.bounds import is_storable
from ums.core.templates import jinja, syntax_tree
from ums.core.templates.analysis import price
from ums.core.templates.filters import FILTERS, OTHER_NAMES, PRESENCE, TESTS, is_required
from ums.core.templates.renderer import LOOP_FIELDS
from ums.errors import Detail, plain, restored

MOST_NODES: Final = 20_000
DEEPEST: Final = 30
MOST_PROBLEMS: Final = 20
INSTEAD: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "call",
    nodes.Concat: "concat",
    nodes.BinExpr: "arithmetic",
    nodes.UnaryExpr: "arithmetic",
    nodes.Slice: "slices",
    nodes.Dict: "dict",
}
_NOTHING = syntax_tree.Const("")


class Problem(Struct, frozen=True):
    """What is wrong with a source: in which part of the template, on which line, in our words."""

    part: str
    line: int
    told: dict[str, Any]  # the words, as they leave the child process

    @classmethod
    def of(cls, part: str, line: int, detail: Detail) -> Self:
        return cls(part, line, plain(detail))

    @property
    def detail(self) -> Detail:
        return restored(self.told)


class Unparsable(Exception):
    """A source that is not in the language."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].detail)
        self.problems = problems


def environment() -> ImmutableSandboxedEnvironment:
    """What Jinja's lexer and parser go by. Nothing is ever run in it."""
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    made.globals.clear()
    made.filters.clear()
    made.tests.clear()
    return made


_ENVIRONMENT = environment()


def parse(source: str, part: str) -> syntax_tree.Program:
    """The program of `source`, a part of a template. Raises Unparsable."""
    try:
        tree = Parser(_ENVIRONMENT, source, part).parse()
    except TemplateSyntaxError as error:
        raise Unparsable([Problem.of(part, error.lineno, jinja.words(error))]) from None
    except RecursionError:
        raise Unparsable([Problem.of(part, 1, Detail("template_deep"))]) from None
    except ValueError as error:  # a number of thousands of digits
        raise Unparsable(
            [Problem.of(part, 1, Detail("template_unread", told=str(error)[:200]))]
        ) from None
    return _Reader(part).program(tree)


class _Refused(Exception):
    def __init__(self, node: nodes.Node, detail: str, **values: object) -> None:
        self.line, self.detail = node.lineno, Detail(f"template_{detail}", **values)
        super().__init__(self.detail)


class _Reader:
    """Turns Jinja's tree into ours; collects what is not allowed."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._texts: list[str] = []
        self._problems: list[Problem] = []
        self._scopes: list[dict[str, int]] = []  # names that loops gave, innermost last
        self._places: list[int] = []  # the slots of the loops around
        self._slots = 0
        self._nodes = 0

    def program(self, tree: nodes.Template) -> syntax_tree.Program:
        body = self._body(tree.body, 0)
        if self._problems:
            raise Unparsable(self._problems)
        return syntax_tree.Program(self._texts, body, self._slots)

    # -- statements ---------------------------------------------------------------------------

    def _body(self, given: list[nodes.Node], depth: int) -> syntax_tree.Body:
        found: list[syntax_tree.Statement] = []
        for node in given:
            outputs = node.nodes if isinstance(node, nodes.Output) else [node]
            for one in outputs:
                try:
                    found.append(self._statement(one, depth + 1))
                except _Refused as refused:
                    self._note(refused)
        return syntax_tree.Body(
            1 + sum(map(price, found)), found
        )  # an empty one is not free either

    def _note(self, refused: _Refused) -> None:
        self._problems.append(Problem.of(self._part, refused.line, refused.detail))
        if len(self._problems) >= MOST_PROBLEMS:
            raise Unparsable(self._problems)

    def _statement(self, node: nodes.Node, depth: int) -> syntax_tree.Statement:
        self._count(node, depth)
        if isinstance(node, nodes.Expr):
            return self._output(node, depth)
        if isinstance(node, nodes.If):
            return self._if(node, depth)
        if isinstance(node, nodes.For):
            return self._for(node, depth)
        word = type(node).__name__.lower()
        raise _Refused(node, "statement", word=word)

    def _output(self, node: nodes.Expr, depth: int) -> syntax_tree.Statement:
        if not isinstance(node, nodes.TemplateData):
            return syntax_tree.Out(self._expr(node, depth + 1))
        _check_text(node, node.data)
        self._texts.append(node.data)
        return syntax_tree.Static(len(self._texts) - 1)

    def _if(self, node: nodes.If, depth: int) -> syntax_tree.If:
        branches = [node, *node.elif_]
        return syntax_tree.If(
            [self._expr(branch.test, depth + 1) for branch in branches],
            [self._body(branch.body, depth) for branch in branches],
            self._body(node.else_, depth),
        )

    def _for(self, node: nodes.For, depth: int) -> syntax_tree.For:
        if node.test is not None or node.recursive:
            raise _Refused(node, "loop_if")
        of = self._expr(node.iter, depth + 1)
        scope = {name: self._slot() for name in _targets(node.target)}
        place = self._slot()
        self._scopes.append(scope)
        self._places.append(place)
        try:
            body = self._body(node.body, depth)
        finally:
            self._scopes.pop()
            self._places.pop()
        return syntax_tree.For([*scope.values()], place, of, body, self._body(node.else_, depth))

    def _slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    def _count(self, node: nodes.Node, depth: int) -> None:
        self._nodes += 1
        if depth > DEEPEST:
            raise _Refused(node, "nested", most=DEEPEST)
        if self._nodes > MOST_NODES:
            detail = Detail("template_parts", most=f"{MOST_NODES:,}")
            late = Problem.of(self._part, node.lineno, detail)
            raise Unparsable([*self._problems, late])

    # -- expressions --------------------------------------------------------------------------

    def _expr(self, node: nodes.Node, depth: int) -> syntax_tree.Expr:
        self._count(node, depth)
        if isinstance(node, nodes.Const):
            return _const(node)
        if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
            return _negative(node.node)
        if isinstance(node, nodes.Name):
            return self._name(node)
        if isinstance(node, nodes.Getattr):
            return self._get(node, node.attr, depth)
        if isinstance(node, nodes.Getitem):
            return self._get(node, _key(node), depth)
        if isinstance(node, nodes.List | nodes.Tuple):
            return syntax_tree.Listing([self._expr(one, depth + 1) for one in node.items])
        if isinstance(node, nodes.Filter):
            return self._filter(node, depth)
        if isinstance(node, nodes.Test):
            return self._test(node, depth)
        return self._logic(node, depth)

    def _logic(self, node: nodes.Node, depth: int) -> syntax_tree.Expr:
        if isinstance(node, nodes.Not):
            return syntax_tree.Not(self._expr(node.node, depth + 1))
        if isinstance(node, nodes.And | nodes.Or):
            parts = [self._expr(one, depth + 1) for one in _chain(node)]
            return syntax_tree.Junction(isinstance(node, nodes.And), parts)
        if isinstance(node, nodes.Compare):
            return syntax_tree.Compare(
                self._expr(node.expr, depth + 1),
                [operand.op for operand in node.ops],
                [self._expr(operand.expr, depth + 1) for operand in node.ops],
            )
        if isinstance(node, nodes.CondExpr):
            if node.expr2 is None:
                raise _Refused(node, "short_if")
            three = (node.test, node.expr1, node.expr2)
            return syntax_tree.Choose(*[self._expr(one, depth + 1) for one in three])
        for kind, detail in INSTEAD.items():
            if isinstance(node, kind):
                raise _Refused(node, detail)
        raise _Refused(node, "node", name=type(node).__name__)

    def _name(self, node: nodes.Name) -> syntax_tree.Expr:
        slot = self._local(node.name)
        if slot is not None:
            return syntax_tree.Local(slot, node.name)
        # `user` and `loop` alone are variables like any other, as in templates of the hosted UMS;
        # with a member they are the recipient and the loop that is going on.
        _check_text(node, node.name)
        return syntax_tree.Var(node.name)

    def _local(self, name: str) -> int | None:
        found = (scope[name] for scope in reversed(self._scopes) if name in scope)
        return next(found, None)

    def _get(
        self, node: nodes.Getattr | nodes.Getitem, key: str | int, depth: int
    ) -> syntax_tree.Expr:
        if isinstance(key, str):
            _check_text(node, key)
        of = node.node
        if isinstance(of, nodes.Name) and self._local(of.name) is None:
            if of.name == "user":
                return syntax_tree.Var(f"user.{key}")
            if of.name == "loop" and self._places:
                if key not in LOOP_FIELDS:
                    raise _Refused(node, "loop_knows", names=", ".join(LOOP_FIELDS))
                return syntax_tree.LoopField(self._places[-1], str(key))
        return syntax_tree.Get(self._expr(of, depth + 1), key)

    def _filter(self, node: nodes.Filter, depth: int) -> syntax_tree.Expr:
        name = OTHER_NAMES.get(node.name, node.name)
        if name not in FILTERS:
            raise _Refused(node, "no_filter", name=node.name, names=", ".join(FILTERS))
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise _Refused(node, "filter_use", name=name)
        given: dict[str, nodes.Expr] = {}
        parameters = FILTERS[name].parameters
        if len(node.args) > len(parameters):
            raise _Refused(node, "filter_many", name=name, count=len(parameters))
        for (parameter, _), argument in zip(parameters, node.args, strict=False):
            given[parameter] = argument
        pairs: list[Any] = node.kwargs  # of Keyword, whatever Jinja's annotation says
        for pair in pairs:
            if pair.key in given or pair.key not in dict(parameters):
                raise _Refused(node, "filter_further", name=name, argument=pair.key)
            given[pair.key] = pair.value
        of = self._expr(node.node, depth + 1)
        arguments: list[syntax_tree.Expr] = []
        for parameter, default in parameters:
            if parameter in given:
                arguments.append(self._expr(given[parameter], depth + 1))
            elif is_required(default):
                raise _Refused(node, "filter_needs", name=name, argument=parameter)
            else:
                arguments.append(syntax_tree.Const(default))
        return syntax_tree.Apply(name, of, arguments)

    def _test(self, node: nodes.Test, depth: int) -> syntax_tree.Expr:
        if node.name not in TESTS and node.name not in PRESENCE:
            known = ", ".join(sorted([*TESTS, *PRESENCE]))
            raise _Refused(node, "no_test", name=node.name, names=known)
        if node.args or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise _Refused(node, "test_arguments", name=node.name)
        return syntax_tree.Test(node.name, self._expr(node.node, depth + 1))


def _const(node: nodes.Const) -> syntax_tree.Const:
    value: Any = node.value
    if isinstance(value, str):
        _check_text(node, value)
    elif isinstance(value, bool):
        pass
    elif not isinstance(value, int | float) or not math.isfinite(value) or abs(value) >= 2**63:
        raise _Refused(node, "constants")
    return syntax_tree.Const(value)


def _negative(node: nodes.Const) -> syntax_tree.Const:
    number = _const(node).value
    if isinstance(number, bool | str):
        raise _Refused(node, "negative")
    return syntax_tree.Const(-number)


def _key(node: nodes.Getitem) -> str | int:
    arg = node.arg
    if isinstance(arg, nodes.Neg) and isinstance(arg.node, nodes.Const):
        arg = nodes.Const(_negative(arg.node).value, lineno=node.lineno)
    if isinstance(arg, nodes.Slice):
        raise _Refused(node, INSTEAD[nodes.Slice])
    value: Any = arg.value if isinstance(arg, nodes.Const) else None
    if (
        isinstance(value, bool)
        or not isinstance(value, str | int)
        or (isinstance(value, int) and abs(value) >= 2**31)
    ):
        raise _Refused(node, "brackets")
    return value


def _targets(node: nodes.Node) -> list[str]:
    items: list[Any] = node.items if isinstance(node, nodes.Tuple) else [node]
    names = [item.name for item in items if isinstance(item, nodes.Name)]
    if len(names) != len(items) or len({*names}) != len(names) or not names:
        raise _Refused(node, "targets")
    if "loop" in names:
        raise _Refused(node, "loop_name")
    return names


def _chain(node: nodes.BinExpr) -> list[nodes.Expr]:
    """The parts of `a and b and c`, which Jinja reads as `(a and b) and c`."""
    parts: list[nodes.Expr] = []
    left: nodes.Expr = node
    while type(left) is type(node) and isinstance(left, nodes.BinExpr):
        parts.append(left.right)
        left = left.left
    return [left, *reversed(parts)]


def _check_text(node: nodes.Node, text: str) -> None:
    if not is_storable(text):
        raise _Refused(node, "half")
