"""The forms of a sender and of its mailbox in a real browser: all that is wrong at once."""

import pytest
from playwright.async_api import Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD
from console.test_all_errors import in_language
from support.doors import Door
from ums.core.identity import operators
from ums.core.senders import senders


async def _told(page: Page) -> dict[str, str]:
    """What stands beside each field."""
    found = page.locator("p.error[id$='-error']")
    return {
        str(await one.get_attribute("id")).removesuffix("-error"): await one.inner_text()
        for one in await found.all()
    }


async def _fill(page: Page, values: dict[str, str]) -> None:
    for name, value in values.items():
        await page.fill(f"#{name}", value)


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_a_sender_is_told_all_at_once_in_words_of_the_page(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int]
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        await page.goto("/senders/new?preset=custom")
        good = {"name": "Main", "code": "main", "from_address": "a@example.org"}
        good |= {"host": "smtp.example.org"}
        await _fill(page, good | {"port": "2526", "host": "no host", "from_address": "nobody"})
        await page.click("main button.primary")
        await page.wait_for_selector("#port-error")
        told = await _told(page)
        assert set(told) == {"port", "host", "from_address"}
        assert in_language([*told.values()], language)
        assert "--" not in "".join(told.values())
        assert await page.input_value("#name") == "Main"
        await fits(page)
        # The port of mail submission is as usual as those of SMTP and SMTPS.
        await _fill(page, good | {"port": "587"})
        await page.select_option("#encryption", "starttls")
        await page.click("main button.primary")
        await page.wait_for_url("**/senders/main*")
    assert (await senders.show(door.system, "main")).port == 587


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_a_mailbox_is_told_all_at_once(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int]
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    code = await door.sender()
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        await page.goto(f"/senders/{code}/mailbox")
        await _fill(page, {"host": "no host", "port": "1143", "inbox": " "})
        await page.click("main button.primary")
        await page.wait_for_selector("#port-error")
        told = await _told(page)
        assert set(told) == {"host", "port", "inbox", "password"}
        assert in_language([*told.values()], language)
        assert "--" not in "".join(told.values())
        await fits(page)
