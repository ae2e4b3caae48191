"""The first page in a real browser: what is done, what was not reached, and what needs somebody."""

from contextlib import suppress

import pytest
from playwright.async_api import Error, Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, settled
from support.doors import Door
from ums.console.i18n import Words
from ums.core.identity import operators

MARK = "one => getComputedStyle(one, '::before')"


async def _mark(page: Page, step: str) -> tuple[str, str]:
    """What stands before a step of the list, and on which colour."""
    row = page.locator(f".steps > li:has(a[href='{step}'])")
    content = await row.evaluate(f"{MARK}.content")
    return content, await row.evaluate(f"{MARK}.backgroundColor")


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_a_first_step_that_is_done_has_a_tick(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int]
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        content, grey = await _mark(page, "/channels/new")
        assert content == '""'
        await page.click(".steps a[href='/channels/new']")
        await page.fill("#name", "News")
        await page.fill("#key", "news")
        await page.click("main button.primary")
        await page.wait_for_selector(".copied-text")
        await page.goto("/home")
        content, colour = await _mark(page, "/channels/new")
        assert content == '"✓"'
        assert colour != grey
        assert (await _mark(page, "/senders/new"))[0] == '""'
        row = page.locator(".steps > li:has(a[href='/channels/new'])")
        assert Words(language)("home.ready") in await row.inner_text()
        await fits(page)


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_what_somebody_stopped_is_no_loss(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int]
) -> None:
    """The tile of the day does not take a cancelled mail for one that was not delivered."""
    await operators.create(door.system, "admin", PASSWORD)
    channel, words = await door.channel(), Words(language)
    door.smtp.script["RCPT"] = lambda call: (
        b"550 5.1.1 no such user here\r\n" if "gone" in call.line else b"451 4.7.1 later\r\n"
    )

    async def sent(name: str, state: str) -> str:
        people = [{"address": f"{name}{number}@example.org"} for number in range(2)]
        body = {"recipients": people, "subject": name, "text": "t"}
        msgid = (await door.post("/api/messages", body, channel)).body["msgid"]

        async def is_so() -> bool:
            counts = (await door.get(f"/api/messages/{msgid}", channel)).body["counts"]
            return counts.get(state) == 2

        await settled(is_so)
        return msgid

    await sent("gone", "failed")
    held = {verb: await sent(verb, "deferred") for verb in ("cancel", "retract")}
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        for verb, msgid in held.items():
            await page.goto(f"/messages/{msgid}")
            await page.click(f"details:has(form[action$='/{verb}']) summary")
            await page.click(f"form[action$='/{verb}'] button")
            await page.wait_for_selector(f"body[data-did='messages.did_{verb}']")
        tile = page.locator(f".tiles div:has(dt:text-is('{words('home.waiting')}')) dd")

        async def is_told() -> bool:
            with suppress(Error):  # the page before may be about to load itself anew
                await page.goto("/home")
                return await tile.inner_text() == "0"
            return False

        await settled(is_told)
        lost = page.locator(f".tiles div:has(dt:text-is('{words('home.lost')}')) dd")
        assert await lost.inner_text() == "2"
        await fits(page)


async def test_a_file_with_rejected_rows_is_dismissed_for_good(
    door: Door, browser_path: str | None
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    async with opened(browser_path, door, "en", WIDE) as page:
        await log_in(page)
        for number in (1, 2):
            await page.goto("/imports")
            content = b"userid,email\nu1,u1@example.org\nu2,nothing\n"
            file = {"name": f"list{number}.csv", "mimeType": "text/csv", "buffer": content}
            await page.set_input_files("#file", file)  # type: ignore[arg-type]
            await page.click("main form button.primary")
            await page.click("button[name=start]")
            await page.wait_for_selector("a[href$='/rejects']")
        await page.goto("/home")
        notices = page.locator("form[action$='/dismiss']")
        assert await notices.count() == 2
        await page.click("form[action='/imports/1/dismiss'] button")
        await settled(lambda: _is(page, 1))
        await page.reload()
        assert await _is(page, 1)
        assert await page.locator("main a[href='/imports/1']").count() == 0
        await page.click("form[action='/imports/2/dismiss'] button")
        await settled(lambda: _is(page, 0))


async def _is(page: Page, count: int) -> bool:
    return await page.locator("form[action$='/dismiss']").count() == count
