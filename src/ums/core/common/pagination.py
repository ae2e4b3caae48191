"""Lists in parts: every list gives its items and where the next part begins."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic

from msgspec import Meta, Struct
from typing_extensions import TypeVar

from ums.bounds import is_storable
from ums.errors import Detail, Invalid

MOST = 500
T = TypeVar("T", default=Any)


class Page(Struct, Generic[T], frozen=True):
    """Part of a list."""

    items: list[T]
    next: Annotated[
        str | None, Meta(description="The `after` of the following page; null on the last.")
    ]


def cut(
    rows: Sequence[Any],
    limit: int,
    show: Callable[[Any], T],
    place: Callable[[Any], object] = lambda row: row.id,
) -> Page[T]:
    """The page of `rows`, of which one more than `limit` was asked for.

    `place` is what `after` goes by: the key that the list is ordered by.
    """
    more = len(rows) > limit
    return Page([show(row) for row in rows[:limit]], str(place(rows[limit - 1])) if more else None)


def page(items: Sequence[T], limit: int, key: Callable[[T], str]) -> Page[T]:
    """A page of `items`, of which there is one more than `limit` where another page follows."""
    return cut(items, limit, lambda item: item, key)


def page_size(limit: int) -> int:
    """`limit`, if it is one. Raises Invalid."""
    if not 1 <= limit <= MOST:
        raise Invalid("bad_filter", field="limit", detail=Detail("between", least=1, most=MOST))
    return limit


def after_id(after: str | None) -> int:
    """The id a page by ids begins after; 0 for the first page. Raises Invalid."""
    return 0 if after is None else number(after, "after")


def number(text: str, field: str) -> int:
    """The id that `after` names. Raises Invalid."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid("bad_filter", field=field, detail=Detail("next_of_page"))
    return int(text)


def plain(text: str, field: str) -> str:
    """`text` as a database can look for it. Raises Invalid for what none holds."""
    if not is_storable(text):
        raise Invalid("bad_filter", field=field, detail=Detail("odd_character"))
    return text
