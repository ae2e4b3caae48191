"""Chinese pages speak Chinese: every form with bad values, and what no form can type."""

import ast
import re
from html import unescape
from pathlib import Path
from typing import Final

import pytest

import ums
from console.conftest import Visit
from console.test_all_errors import told
from console.test_walk import PostForm, forms_of
from console.world import furnish
from support.doors import Door
from ums.config import PREFIX, describe
from ums.console.i18n import WORDS
from ums.core.settings.runtime_settings import ADJUSTABLE

BAD: Final = ("{{", "{% if 甲 %}", "zz\x01", "9" * 19, "[", "甲" * 6000, "-1", "@", "")
RUN: Final = re.compile(r"[A-Za-z']{2,}(?: +[A-Za-z']{2,}){2,}")
"""Three words in a row, which no identifier and no product's name is."""


def english(page: str) -> list[str]:
    """The runs of English among what a page says to be wrong."""
    troubles = re.findall(r'class="trouble[^"]*"[^>]*>(.*?)</(?:p|div|section)>', page, re.DOTALL)
    said = [*told(page).values(), *(unescape(re.sub(r"<[^>]+>", " ", one)) for one in troubles)]
    return [one for one in said if RUN.search(one)]


def filled(form: PostForm, bad: str) -> dict[str, list[str] | str]:
    return {name: bad if name in form.typed else value for name, value in form.fields.items()}


@pytest.mark.slow
async def test_no_form_is_refused_in_english(door: Door, visit: Visit) -> None:
    visitor = await visit(language="zh")
    pages, found, refused = await furnish(door, visitor), [], 0
    for path in dict.fromkeys(pages.values()):
        for form in forms_of((await visitor.get(path)).text):
            for bad in BAD:
                answer = await visitor.post(form.action or path, data=filled(form, bad))
                assert answer.status_code < 500, (path, form.action, bad)
                refused += answer.status_code >= 400
                found += [(form.action, bad[:9], one) for one in english(answer.text)]
    assert found == []
    assert refused > 100


SOURCES: Final = (
    "{{ a",
    "{{ a b }}",
    "{{ a ! }}",
    "{% nothing %}",
    "{% if a %}",
    "{% for a in b %}{% endif %}",
    "{# a",
    "{{ a[ }}",
    "{% %}",
    "{{ a ) }}",
    "{{ a) }}",
    "{{ ( a }}",
    "{{ a() }}",
    "{{ a ~ b }}",
    "{{ a + 1 }}",
    "{{ a[1:2] }}",
    "{{ {1: 2} }}",
    "{{ a | nothing }}",
    "{{ a | round(1, 2, 3) }}",
    "{{ a | truncate(colour=1) }}",
    "{{ a is nothing }}",
    "{{ a is defined(1) }}",
    "{{ none }}",
    "{{ -'a' }}",
    "{{ a[b] }}",
    "{% for loop in a %}{% endfor %}",
    "{% for a in b if c %}{% endfor %}",
    "{{ a if b }}",
    "{% set a = 1 %}",
    "{% include 'a' %}",
    "<style>{% if a %}b{% endif %}</style>",
)
MJML: Final = "<mjml><mj-body><mj-nothing></mj-body></mjml>"


@pytest.mark.slow
async def test_whatever_is_wrong_with_a_template_is_told_in_chinese(
    door: Door, visit: Visit
) -> None:
    visitor, channel = await visit(language="zh"), await door.channel()
    found: list[str] = []
    for kind, source in [*(("html", one) for one in SOURCES), ("mjml", MJML)]:
        fields = {"name": "One", "subject": "s", "kind": kind, "html": source}
        answer = await visitor.post(f"/channels/{channel.key}/templates", data=fields)
        words = told(answer.text).get("html", "")
        if not re.search("[\u4e00-\u9fff]", words) or english(answer.text):
            found.append(f"{source} {answer.status_code} {words}")
    assert found == []


@pytest.mark.parametrize("path", ["/users", "/messages", "/audit", "/imports", "/segments"])
async def test_a_place_that_no_list_has_is_told_in_chinese(
    door: Door, visit: Visit, path: str
) -> None:
    answer = await (await visit(language="zh")).get(f"{path}?after=zz")
    assert (answer.status_code, RUN.search(re.sub(r"<[^>]+>", "\n", answer.text))) == (400, None)
    assert "请从第一页重新开始" in answer.text


async def test_fixed_settings_are_described_in_chinese(visit: Visit) -> None:
    page = (await (await visit(language="zh")).get("/settings")).text
    assert "Web 服务器监听的地址。" in page
    assert "Address the web server listens on" not in page


def test_the_words_of_settings_are_those_of_the_settings() -> None:
    adjustable = {one.name for one in ADJUSTABLE}
    rows = {name.removeprefix(PREFIX).lower(): about for name, _, _, about in describe()}
    fixed = {name: about for name, about in rows.items() if name not in adjustable}
    words = {key: told["en"] for key, told in WORDS.items() if key.startswith("settings.")}
    assert words == {f"settings.{name}": about for name, about in fixed.items()}


ERRORS: Final = ("Invalid", "Refused", "Conflict", "NotFound", "Unprocessable", "TooLarge")


def test_no_error_has_a_detail_in_english_alone() -> None:
    """A literal text as `detail` or `expected` of an error is English on a Chinese page. The
    simulator has no pages, and tells what its reader of files says."""
    root, found = Path(ums.__file__).parent, []
    for file in sorted(set(root.rglob("*.py")) - set((root / "simulator").rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in ERRORS:
                continue
            given = {one.arg: one.value for one in node.keywords}
            for name in ("detail", "expected"):
                value = given.get(name)
                if isinstance(value, ast.JoinedStr) or (
                    isinstance(value, ast.Constant) and value.value
                ):
                    found.append(f"{file.relative_to(root)}:{node.lineno}")
    assert found == []
