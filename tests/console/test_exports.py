"""Files that are given out: whatever they are asked for by, they are whole or an error."""

import re
from collections.abc import AsyncGenerator
from typing import Final

import pytest
from litestar.response import Stream
from litestar.routes import HTTPRoute

from console.conftest import Visit
from console.world import furnish
from support.doors import Door
from ums.errors import Unavailable
from ums.web.streams import begin

FILTERS: Final = {
    "/audit.csv": ("actor", "action", "subject"),
    "/messages/{msgid}/deliveries.csv": ("reason", "userid", "address"),
    "/messages/{msgid}/deliveries.xlsx": ("reason", "userid", "address"),
    "/channels/{key}/suppressions.csv": (),
    "/statistics.csv": ("channel",),
    "/imports/{id}/rejects": (),
    "/api/imports/{id}/rejects": (),
}
"""Every route that makes a file of rows, and what one may look for in it by a free text."""
NO_EXPORTS: Final = {"/imports/template.xlsx"}  # an empty form
HOSTILE: Final = {
    "NUL": "%00",
    "NUL inside": "a%00b",
    "half a character": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "huge number": "9" * 40,
    "negative": "-1",
    "no date": "2026-99-99T99:99:99Z",
    "bad cursor": "x:y:%00",
    "long": "a" * 200,
}
NAMES: Final = (
    *("actor", "action", "subject", "state", "reason", "userid", "address", "channel", "by"),
    *("days", "sort", "after", "before", "since", "until", "q", "search", "kind", "segment"),
    *("view", "page", "next", "did", "preset", "tag", "status", "conditions"),
)


def _paths(pages: dict[str, str]) -> dict[str, str]:
    """A path that is there for each of the routes."""
    values = {
        "msgid": pages["message"].rpartition("/")[2],
        "key": pages["channel"].rpartition("/")[2],
        "id": pages["import"].rpartition("/")[2],
    }
    return {path: path.format(**values) for path in FILTERS}


async def test_every_export_is_tried(door: Door) -> None:
    found: set[str] = set()
    for route in door.app.routes:
        if isinstance(route, HTTPRoute) and "GET" in route.route_handler_map:
            handler, _ = route.route_handler_map["GET"]
            streams = handler.parsed_return_field.annotation is Stream
            if streams or re.search(r"\.csv$|\.xlsx$|/rejects$", route.path):
                found.add(route.path_format)
    assert found - NO_EXPORTS == set(FILTERS)
    assert found >= NO_EXPORTS


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_hostile_filter_is_refused_before_the_file_begins(
    door: Door, visit: Visit, language: str
) -> None:
    visitor = await visit(language=language)
    for template, path in _paths(await furnish(door, visitor)).items():
        for name in FILTERS[template]:
            answer = await visitor.get(f"{path}?{name}=%00")
            assert answer.status_code in (400, 404), (path, name)
            assert "content-disposition" not in answer.headers
            assert answer.headers["content-type"].startswith("text/html")
            assert f'lang="{language}' in answer.text, (path, name)


@pytest.mark.slow
async def test_no_filter_breaks_a_file_or_a_page_off(door: Door, visit: Visit) -> None:
    """Every answer comes to its end: httpx raises where one does not."""
    visitor, token = await visit(), await door.api_token()
    visitor.headers["Authorization"] = f"Bearer {token}"  # which pages do not look at
    pages = await furnish(door, visitor)
    for template, path in _paths(pages).items():
        for value in HOSTILE.values():
            asked = [f"{name}={value}" for name in (*FILTERS[template], "sort", "after")]
            asked.append("&".join(f"{name}={value}" for name in NAMES))
            for query in asked:
                answer = await visitor.get(f"{path}?{query}")
                assert answer.status_code in (200, 400, 404), (path, query)
    for path in pages.values():
        for value in map(HOSTILE.__getitem__, ("NUL", "huge number", "bad cursor")):
            for query in ("&".join(f"{name}={value}" for name in NAMES), f"after={value}"):
                answer = await visitor.get(f"{path}{'&' if '?' in path else '?'}{query}")
                assert answer.status_code < 500, (path, query)


async def test_what_cannot_be_read_at_all_is_raised_before_the_answer_begins() -> None:
    async def away() -> AsyncGenerator[int]:
        raise Unavailable("unavailable")
        yield 1

    with pytest.raises(Unavailable):
        await begin(away())


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_what_is_begun_is_given_whole_and_closed(count: int) -> None:
    closed: list[bool] = []

    async def pieces() -> AsyncGenerator[int]:
        try:
            for number in range(count):
                yield number
        finally:
            closed.append(True)

    assert [one async for one in await begin(pieces())] == list(range(count))
    assert closed == [True]
