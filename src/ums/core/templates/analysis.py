"""Looking over a program: what its statements cost, and which variables it needs."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from ums.core.templates.filters import PRESENCE
from ums.core.templates.syntax_tree import Apply, Body, Get, Program, Statement, Test, Var

Path = tuple[str, ...]


def price(node: Statement) -> int:
    """How many nodes running `node` evaluates at most, inner bodies apart."""
    return _nodes(node)


def _nodes(node: Any) -> int:
    return 1 + sum(_nodes(child) for child in _children(node) if not isinstance(child, Body))


def _children(node: Struct) -> Iterator[Struct]:
    for name in node.__struct_fields__:
        value = getattr(node, name)
        parts: list[Any] = value if isinstance(value, list) else [value]
        yield from (part for part in parts if isinstance(part, Struct))


class Needs:
    """The variables of some programs, and which of them the author expects to be absent."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._used: set[Path] = set()
        self._guarded: set[Path] = set()

    def add(self, program: Program) -> None:
        self._look(program.body, lenient=False)

    def required(self) -> list[list[str]]:
        """Paths that have to be there: used, and neither given a `default` nor tested for."""
        free = [
            path
            for path in self._used
            if not any(path[:length] in self._guarded for length in range(1, len(path) + 1))
        ]
        return [list(path) for path in sorted(free)]

    def _look(self, node: Struct, *, lenient: bool) -> None:
        path = _path(node)
        if path is not None:
            self.names.add(path[0])
            (self._guarded if lenient else self._used).add(path)
            return
        if isinstance(node, Apply) and node.name == "default":
            self._look(node.of, lenient=True)
            for argument in node.arguments:
                self._look(argument, lenient=lenient)
            return
        inner = isinstance(node, Test) and node.name in PRESENCE
        for child in _children(node):
            self._look(child, lenient=inner)


def _path(node: Struct) -> Path | None:
    """`order.number` as ("order", "number"), as far as it is made of names."""
    if isinstance(node, Var):
        return (node.name,)
    if not isinstance(node, Get):
        return None
    whole = _path(node.of)
    if whole is None or isinstance(node.key, int):
        return whole
    return (*whole, node.key)
