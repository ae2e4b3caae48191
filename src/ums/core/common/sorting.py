"""Lists in the order that the caller chooses: `name`, or `-name` for the other way round.

`created_at` stands for the id, as ids are given in the order of creation; what is sorted by
another column is sorted by the id where that is the same. The place after which the next part
begins names both, so a part never skips or repeats what did not change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Integer, Select, or_

from ums.core.common.pagination import Page, number, plain
from ums.errors import Detail, Invalid

T = TypeVar("T")
ByTime = Literal["created_at", "-created_at"]
ByName = Literal["created_at", "-created_at", "name", "-name"]
_BY_ID = "created_at"


class Order(Struct, frozen=True):
    """By what the rows of a table may be sorted."""

    id: Column[Any]
    columns: tuple[Column[Any], ...] = ()

    def sort(self, query: Select[Any], sort: str, after: str | None) -> Select[Any]:
        """The query in that order, from `after` on. Raises Invalid."""
        column, down = self._column(sort), sort.startswith("-")
        if after is not None:
            query = query.where(self._beyond(column, after, down=down))
        keys = (self.id,) if column is None else (column, self.id)
        return query.order_by(*(key.desc() if down else key for key in keys))

    def place(self, sort: str) -> Callable[[Any], str]:
        """Where a row stands in that order."""
        column = self._column(sort)
        if column is None:
            return lambda row: str(getattr(row, self.id.name))
        return lambda row: f"{getattr(row, self.id.name)}:{getattr(row, column.name)}"

    def _column(self, sort: str) -> Column[Any] | None:
        name = sort.removeprefix("-")
        found = [column for column in self.columns if column.name == name]
        if not found and name != _BY_ID:
            names = ", ".join([_BY_ID, *(column.name for column in self.columns)])
            raise Invalid("bad_filter", field="sort", detail=Detail("one_of", names=names))
        return found[0] if found else None

    def _beyond(self, column: Column[Any] | None, after: str, *, down: bool) -> ColumnElement[bool]:
        id, colon, text = after.partition(":")
        place = number(id, "after")
        further = self.id < place if down else self.id > place
        if column is None:
            return further
        if not colon:
            raise Invalid("bad_filter", field="after", detail=Detail("next_of_page"))
        is_number = isinstance(column.type, Integer)
        value = number(text, "after") if is_number else plain(text, "after")
        past = column < value if down else column > value
        return or_(past, (column == value) & further)


class SortKey(Struct, Generic[T], frozen=True):
    """The same for a list that is in memory."""

    id: Callable[[T], Any]
    keys: Mapping[str, Callable[[T], Any]]

    def part(self, items: Sequence[T], sort: str, after: str | None, limit: int) -> Page[T]:
        """Raises Invalid."""
        key = self.keys.get(sort.removeprefix("-"))
        if key is None:
            names = ", ".join(self.keys)
            raise Invalid("bad_filter", field="sort", detail=Detail("one_of", names=names))
        ordered = sorted(
            items, key=lambda one: (key(one), self.id(one)), reverse=sort.startswith("-")
        )
        begin = 0 if after is None else self._index(ordered, after) + 1
        part = ordered[begin : begin + limit]
        more = begin + limit < len(ordered)
        return Page(part, str(self.id(part[-1])) if more else None)

    def _index(self, ordered: Sequence[T], after: str) -> int:
        for index, one in enumerate(ordered):
            if str(self.id(one)) == after:
                return index
        raise Invalid("bad_filter", field="after", detail=Detail("next_of_page"))
