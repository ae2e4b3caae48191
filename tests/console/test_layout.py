"""What stays in reach where a page is long: the bar, the menu, the account, a table's headings."""

import re

import pytest
from playwright.async_api import Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, settled
from console.test_users_page import people
from support.doors import Door
from ums.core.identity import operators

LOW = (1440, 500)


async def _long_list(page: Page, door: Door) -> None:
    """A page of users, scrolled to its end with the wheel."""
    await operators.create(door.system, "admin", PASSWORD)
    await people(door, 40)
    await log_in(page)
    await page.goto("/users")
    await _wheel(page)


async def _wheel(page: Page) -> None:
    size = page.viewport_size
    assert size is not None
    await page.mouse.move(size["width"] * 0.6, size["height"] * 0.6)
    await page.mouse.wheel(0, 50_000)
    await settled(lambda: _scrolled(page))


async def _scrolled(page: Page) -> bool:
    end = "document.documentElement.scrollHeight - innerHeight - scrollY < 2 && scrollY > 300"
    return bool(await page.evaluate(end))


async def _on_top(page: Page, selector: str) -> bool:
    """Whether a mouse at the middle of it would hit it, or what is in it."""
    return await page.locator(selector).first.evaluate(
        """one => {
          const box = one.getBoundingClientRect();
          const hit = document.elementFromPoint(
            box.x + box.width / 2, box.y + box.height / 2);
          return hit !== null && (one === hit || one.contains(hit));
        }"""
    )


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_long_page_keeps_menu_account_and_headings_in_reach(
    door: Door, browser_path: str | None, language: str
) -> None:
    async with opened(browser_path, door, language, WIDE) as page:
        await _long_list(page, door)
        for there in (".brand", ".menu a[href='/home']", ".menu-foot a", ".menu-foot button"):
            assert await _on_top(page, there), there
        assert await _on_top(page, ".rows thead th:nth-child(2)")
        await fits(page)
        box = await page.locator(".menu-foot a").first.bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + 20, box["y"] + 10)
        await page.wait_for_url("**/account")


async def test_in_a_low_window_the_menu_scrolls_by_itself(
    door: Door, browser_path: str | None
) -> None:
    async with opened(browser_path, door, "en", LOW) as page:
        await _long_list(page, door)
        menu, last = page.locator(".menu"), page.locator(".menu ul a").last
        await page.mouse.move(100, 200)
        await page.mouse.wheel(0, 300)
        await settled(lambda: menu.evaluate("one => one.scrollTop > 0"))
        assert await _on_top(page, ".menu-foot a")
        await last.click()
        await page.wait_for_url(lambda url: not url.endswith("/users"))
        await page.wait_for_load_state()
        # What one is at is in sight, though the menu has been loaded anew.
        assert await _on_top(page, ".menu [aria-current]")
        await fits(page)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "without-scripts"])
async def test_on_a_phone_the_menu_opens_from_anywhere(
    door: Door, browser_path: str | None, scripts: bool
) -> None:
    async with opened(browser_path, door, "zh", PHONE, scripts=scripts) as page:
        await _long_list(page, door)
        await fits(page)
        assert await _on_top(page, ".menu-link")
        box = await page.locator(".menu-link").bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + 10, box["y"] + 20)
        await page.wait_for_selector(".menu-foot a", state="visible")
        for there in (".menu-foot a", ".menu-foot button", ".menu-close"):
            assert await _on_top(page, there), there
        await fits(page)
        await page.click(".menu-close")
        await page.wait_for_selector(".menu", state="hidden")
        await page.goto("/users#menu")
        await page.click(".menu-foot a")
        await page.wait_for_url("**/account")


async def test_a_chinese_time_has_its_zone_last(door: Door, browser_path: str | None) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    async with opened(browser_path, door, "zh", WIDE) as page:
        await log_in(page)
        await page.goto("/account")
        told = await page.locator("main time").first.inner_text()
        assert re.fullmatch(r"\d+年\d+月\d+日 \d\d:\d\d:\d\d UTC[+-]?\d*", told), told
