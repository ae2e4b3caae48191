"""Keyset paging: `after` is the `next` of the page before, and `limit` how many at most."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from ums.errors import Invalid

MOST = 500
T = TypeVar("T")


class Page(Struct, frozen=True):
    """Part of a list; `next` is the `after` of the following page."""

    items: list[Any]
    next: str | None


def page_size(limit: int) -> int:
    """`limit`, if it is one. Raises Invalid."""
    if not 1 <= limit <= MOST:
        raise Invalid("bad_filter", field="limit", detail=f"1 to {MOST}")
    return limit


def after_id(after: str | None) -> int:
    """The id a page by ids begins after; 0 for the first page. Raises Invalid."""
    if after is None:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise Invalid("bad_filter", field="after", detail="use the `next` of the page before")
    return int(after)


def page(items: Sequence[T], limit: int, key: Callable[[T], str]) -> Page:
    """A page of `items`, of which there is one more than `limit` where another page follows."""
    shown = list(items[:limit])
    return Page(shown, key(shown[-1]) if len(items) > limit else None)
