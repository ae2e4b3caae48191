"""A real browser in front of the console."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, async_playwright

from console.conftest import PASSWORD
from support.doors import Door

WIDE, PHONE = (1440, 900), (390, 844)


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
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
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
        yield page
        await browser.close()
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
