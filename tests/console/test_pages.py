"""Each page in a real browser: accessible, on every screen, in both languages, from here alone.

`make screenshots` runs this with `--screenshots`, and so makes the pictures of the documentation.
"""

import gzip
import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from litestar.routes import HTTPRoute
from playwright.async_api import Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import Visit
from console.world import furnish
from support.doors import Door, idle_application
from ums.console import rendering as shared
from ums.console.middleware import Door as Middleware

LOOKS = (
    ("en", WIDE, "light"),
    ("zh", PHONE, "dark"),
    ("zh", WIDE, "dark"),
    ("en", PHONE, "light"),
)
SERIOUS = ("serious", "critical")
# Files, parts of pages, and pages that other tests look at.
ELSEWHERE = re.compile(
    r"\.csv$|\.xlsx$|/rejects$|/mail$|/html$|/source$|/files/|/live$|^/invitation/|^/sandbox/enter/|^/login$"
    r"|^/sandbox/|^/brand/|/table$"  # a part of a page
)
BUDGET = 40_000  # bytes of script, gzipped


async def troubles(page: Page) -> list[str]:
    found = await Axe().run(page)
    return [
        f"{page.url}: {one['id']}: {node['html'][:200]}"
        for one in found.response["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"][:3]
    ]


@pytest.mark.parametrize(
    ("language", "size", "scheme"), LOOKS, ids=[f"{a}-{b[0]}-{c}" for a, b, c in LOOKS]
)
async def test_every_page_is_accessible_and_fits(
    door: Door,
    visit: Visit,
    browser_path: str | None,
    request: pytest.FixtureRequest,
    language: str,
    size: tuple[int, int],
    scheme: str,
) -> None:
    visitor = await visit()
    pages = await furnish(door, visitor)
    wanted: str | None = request.config.getoption("--screenshots")
    found: list[str] = []
    async with opened(browser_path, door, language, size, scheme=scheme) as page:
        found += await troubles(page)
        await log_in(page, "administrator0")
        await page.wait_for_url("**/home")
        for name, path in pages.items():
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            await page.wait_for_load_state("networkidle")
            await fits(page)
            found += await troubles(page)
            if wanted is not None:
                await picture(page, Path(wanted), name, LOOKS.index((language, size, scheme)))
    assert found == []


async def picture(page: Page, folder: Path, name: str, look: int) -> None:
    """Every page once, and a few in the other looks."""
    if look == 0:
        await page.screenshot(path=folder / f"{name}.jpg", quality=70, type="jpeg")
    elif name in ("home", "send", "message", "sender-new"):
        ending = ("", "phone-zh", "wide-zh", "phone")[look]
        await page.screenshot(path=folder / f"{name}-{ending}.jpg", quality=70, type="jpeg")


async def test_no_page_is_forgotten(door: Door, visit: Visit) -> None:
    looked = {path.partition("?")[0] for path in (await furnish(door, await visit())).values()}
    for route in idle_application().routes:
        if not isinstance(route, HTTPRoute) or "GET" not in route.route_handler_map:
            continue
        handler, _ = route.route_handler_map["GET"]
        path = route.path_format
        if Middleware in handler.resolve_middleware() and not ELSEWHERE.search(path):
            shape = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
            assert any(shape.fullmatch(one) for one in looked), path


def test_scripts_are_light() -> None:
    script = shared.STATIC / Path(shared.asset("app.js")).name
    assert len(gzip.compress(script.read_bytes())) < BUDGET
