"""A walk through every form of every page with what would break out of it."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from msgspec import Struct

from console.conftest import Visit
from console.world import furnish
from support.doors import Door

EVIL = "\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"
RAW = "<img src=x onerror"
TYPED = ("text", "search", "email", "url", "password", "datetime-local", "number", "tel")
# Forms that end what the walk goes on with, or wait for somebody else's server.
SPARED = re.compile(
    r"/(delete|logout|password|revoke|cancel|retract|undo|test|rotate|go|way|end|off|recovery|"
    r"sessions|two-factor)\b|^/senders/[^/]+/(pause|close)"
)


class PostForm(Struct):
    action: str
    fields: dict[str, list[str]]
    typed: list[str]


class _Forms(HTMLParser):
    """The forms of a page that post something, with what stands in their fields."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[PostForm] = []
        self._form: PostForm | None = None
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method") == "post":
            self._form = PostForm(given.get("action", ""), {}, [])
        if self._form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "input" and name:
            self._input(given, name, value)
        elif tag == "textarea":
            self._area = name
            self._form.fields[name] = [""]
            self._form.typed.append(name)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            first = self._select not in self._form.fields
            if first or "selected" in given:
                self._form.fields[self._select] = [value]

    def _input(self, given: dict[str, str], name: str, value: str) -> None:
        assert self._form is not None
        kind = given.get("type", "text")
        if kind in ("checkbox", "radio") and "checked" not in given:
            return
        if kind != "file":
            self._form.fields.setdefault(name, []).append(value)
        if kind in TYPED:
            self._form.typed.append(name)

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._area:
            self._form.fields[self._area][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        elif tag == "select":
            self._select = ""
        elif tag == "form" and self._form is not None:
            self.found.append(self._form)
            self._form = None


def forms_of(html: str, *, typed: bool = True) -> list[PostForm]:
    """The forms of a page, unless told otherwise those in which something is typed."""
    reader = _Forms()
    reader.feed(html)
    found = [one for one in reader.found if one.typed or not typed]
    return [one for one in found if not SPARED.search(one.action)]


@pytest.mark.slow
async def test_nothing_typed_anywhere_breaks_out(door: Door, visit: Visit) -> None:
    visitor = await visit()
    pages = await furnish(door, visitor)
    places, tried, shown = set(pages.values()), 0, 0
    for path in pages.values():
        for form in forms_of((await visitor.get(path)).text):
            for given in _fillings(form):
                answer = await visitor.post(form.action or path, data=given)
                tried += 1
                shown += _checked(answer, form.action)
                if answer.status_code == 303:
                    places.add(answer.headers["location"])
    assert tried > 80
    assert shown > 30
    kept = 0
    for path in sorted(places):
        kept += _checked(await visitor.get(path), path)
    assert kept > 10


def _fillings(form: PostForm) -> list[dict[str, Any]]:
    """All that can be typed at once, which most forms refuse, and one field after the other."""
    whole = {**form.fields, **{name: [EVIL] for name in form.typed}}
    return [whole, *({**form.fields, name: [EVIL]} for name in form.typed)]


def _checked(answer: httpx.Response, where: str) -> bool:
    """Whether what was typed is on the page; never as what it says."""
    assert answer.status_code < 500, where
    if "html" not in answer.headers.get("content-type", ""):
        return False
    assert RAW not in answer.text, where
    return "&lt;img src=x onerror" in answer.text
