"""A real browser in front of the console: one for all tests of a process, as its start takes longer
than most of them. Each test has a context of its own, which shares nothing with others."""

import atexit
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from playwright.async_api import Page, async_playwright

from console.conftest import PASSWORD
from support.doors import Door
from support.postgres import reserved_port

WIDE, PHONE = (1440, 900), (390, 844)
_SERVE = """
import sys
from playwright.sync_api import sync_playwright
path, port = sys.argv[1:]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=path or None,
        args=["--no-sandbox", f"--remote-debugging-port={port}"],
    )
    print("ready", flush=True)
    sys.stdin.read()
    browser.close()
"""


@cache
def _address(path: str | None) -> str:
    """Where the browser at `path` listens, which runs as long as this process."""
    with reserved_port() as port:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, path or "", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the browser did not start"
    atexit.register(process.communicate)
    return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def opened(
    path: str | None,
    door: Door,
    language: str,
    size: tuple[int, int],
    *,
    scripts: bool = True,
    scheme: str = "light",
) -> AsyncIterator[Page]:
    """A browser on the log-in page; what its console complains of fails the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(_address(path))
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{door.port}",
            viewport={"width": size[0], "height": size[1]},
            locale={"en": "en-GB", "zh": "zh-CN"}[language],
            java_script_enabled=scripts,
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = await context.new_page()
        page.set_default_timeout(60_000)
        complaints: list[str] = []
        strangers: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                strangers.append(asked.url) if f":{door.port}/" not in asked.url else None
            ),
        )
        await page.goto("/login")
        try:
            yield page
        finally:
            await context.close()
    assert complaints == []
    ours = (f"http://127.0.0.1:{door.port}/", "data:")
    assert [url for url in strangers if not url.startswith(ours)] == []


async def fits(page: Page) -> None:
    """Nothing stands out of the screen sideways."""
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) <= 0, page.url


async def log_in(page: Page, name: str = "admin") -> None:
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("button.primary")
