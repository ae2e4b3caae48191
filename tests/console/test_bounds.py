"""Numbers and texts that no database holds, wherever an address or a form takes one: in a path
they name nothing, elsewhere they are refused or passed over. Never is it our fault."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.datastructures import MultiDict
from litestar.routes import HTTPRoute

from console.conftest import Visit, browsing
from console.test_walk import forms_of
from console.world import furnish
from support.doors import Door

pytestmark = pytest.mark.slow

BEYOND = (2**63, 10**30, int("9" * 2_000))
WIDEST = (2**31, 2**63 - 1)  # names nothing either, but may be asked for
ODD = ("%00", "a%00b", "%ED%A0%80")
TEXTS = ("99999999999999999999999", str(2**63), str(2**31), "-1", "1.5", "\x00", "a\x00b")
PARTS = ("/deliveries.csv", "/deliveries.xlsx", "/live", "/table", "/mail")
LOCAL = "/local/"


BOTH_DATABASES = True  # each has bounds of its own


def routes(door: Door, kind: type) -> Iterator[tuple[str, HTTPRoute, list[str]]]:
    """(method, route, names of its parameters of this kind)."""
    for route in door.app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        names = [name for name, one in route.path_parameters.items() if one.type is kind]
        for method in route.route_handler_map:
            if names and method != "OPTIONS":
                yield method, route, names


def filled(route: HTTPRoute, name: str, value: object) -> str:
    """The path of a route, with `value` for one parameter and for the others what is likely."""
    others = {"key": "news", "code": "main", "userid": "u1", "msgid": "m1", "verb": "pause"}
    return re.sub(
        r"\{(\w+)\}",
        lambda found: str(value) if found[1] == name else others.get(found[1], "1"),
        route.path_format,
    )


class Asker:
    """Asks every door as somebody who may do everything there."""

    def __init__(self, door: Door, visitor: Any, token: str, basic: Any) -> None:
        self._door, self._visitor, self._token, self._basic = door, visitor, token, basic

    async def status(self, method: str, path: str, route: HTTPRoute) -> int:
        """What the door answers, which has to be in its own form."""
        if not path.startswith(("/api/", "/v1/", LOCAL)):
            answer = await self._visitor.request(method, path)
            if answer.status_code == 404 and method != "HEAD":
                assert "text/html" in answer.headers["content-type"], path
            return answer.status_code
        who = {"/api": self._token, "/loc": self._door.token}.get(path[:4], self._basic)
        handler, _ = route.route_handler_map[method]  # type: ignore[index]
        takes = handler.opt.get("takes", "")
        answer = await self._door.ask(method, path, who, headers={"Content-Type": takes})
        if answer.status == 404 and method != "HEAD":
            assert answer.code == 4004, path
            problem = answer.headers["content-type"] == "application/problem+json"
            assert problem == path.startswith("/api/"), path
        return answer.status


@pytest.fixture
async def asker(door: Door, visit: Visit) -> Asker:
    return Asker(door, await visit(), await door.api_token(), await door.channel("news"))


async def test_a_number_that_no_row_has_is_not_found(door: Door, asker: Asker) -> None:
    asked = 0
    for method, route, names in routes(door, int):
        for name in names:
            for value in BEYOND:
                path = filled(route, name, value)
                assert await asker.status(method, path, route) == 404, (method, path[:80])
                asked += 1
            for value in WIDEST:
                path = filled(route, name, value)
                assert await asker.status(method, path, route) < 500, (method, path)
    assert asked > 200


async def test_digits_of_other_scripts_and_signs_are_no_numbers(door: Door, asker: Asker) -> None:
    for method, route, names in routes(door, int):
        for value in ("%D9%A1", "+1", "1_0", "-1"):
            path = filled(route, names[-1], value)
            assert await asker.status(method, path, route) == 404, (method, path)


async def test_a_text_that_no_row_has_breaks_nothing(door: Door, asker: Asker) -> None:
    asked = 0
    for method, route, names in routes(door, str):
        for name in names:
            for value in ODD:
                path = filled(route, name, value)
                status = await asker.status(method, path, route)
                # U+FFFD, which stands for what is no text, is a character as good as any.
                good = status == 404 if "%00" in value else status < 500
                assert good, (method, path, status)
                asked += 1
    assert asked > 300
    for value in ODD:
        answer = await door.get(f"/static/{value}.css")
        assert (answer.status, answer.code) == (404, 4004), value


async def test_strangers_learn_nothing_of_them_and_break_nothing(door: Door) -> None:
    async with browsing(door) as stranger:
        for kind, values in ((int, BEYOND[:2]), (str, ODD)):
            for method, route, names in routes(door, kind):
                for value in values:
                    path = filled(route, names[-1], value)
                    answer = await stranger.request(method, path)
                    assert answer.status_code < 500, (method, path)
                    if path.startswith("/api/") and not path.startswith("/api/schema"):
                        assert answer.status_code == 401, (method, path)


async def test_no_value_in_the_address_of_a_page_breaks_it(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live_updates.LONGEST", 1)  # the sandbox's stream has no end
    visitor = await visit()
    found = await furnish(door, visitor)
    pages = {*found.values(), *simple_pages(door)}
    pages |= {found["message"] + end for end in PARTS}
    pages |= {found["template"].partition("?")[0] + "/mail", found["send"] + "/mail"}
    read, asked = set[str](), 0
    ask = MultiDict[Any].get

    def get(self: Any, name: str, *default: Any) -> Any:
        read.add(name)
        return ask(self, name, *default)

    monkeypatch.setattr(MultiDict, "get", get)
    for page in sorted(pages):
        read.clear()
        await visitor.get(page)
        for name in sorted(read - {"lang"}):
            for value in TEXTS:
                answer = await visitor.get(page.partition("?")[0], params={name: value})
                assert answer.status_code < 500, (page, name, value)
                asked += 1
    assert asked > 500


def simple_pages(door: Door) -> Iterator[str]:
    """The pages without parameters."""
    for route in door.app.routes:
        if isinstance(route, HTTPRoute) and not route.path_parameters:
            program = route.path.startswith(("/api/", "/v1/", "/healthz", "/readyz"))
            if "GET" in route.route_handler_map and not program:
                yield route.path


async def test_no_value_in_a_field_of_a_form_breaks_it(door: Door, visit: Visit) -> None:
    visitor = await visit()
    asked = 0
    for page in (await furnish(door, visitor)).values():
        for form in forms_of((await visitor.get(page)).text, typed=False):
            for name in form.fields:
                for value in ("99999999999999999999999", "\x00"):
                    given = {**form.fields, name: [value]}
                    answer = await visitor.post(form.action or page, data=given)
                    assert answer.status_code < 500, (form.action, name, value)
                    asked += 1
    assert asked > 300
