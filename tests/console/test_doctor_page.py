"""The connection test in a real browser: it shows the step that runs, and what helps."""

import asyncio

import pytest

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD
from support.doors import Door
from support.fakes import DROP, Act, Call
from ums.console.i18n import Words
from ums.core.identity import operators
from ums.core.senders import senders
from ums.core.senders.senders import NewSender


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_the_step_that_runs_is_shown(
    door: Door,
    browser_path: str | None,
    language: str,
    size: tuple[int, int],
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    sender = NewSender(
        code="main",
        name="Main",
        host="127.0.0.1",
        port=door.smtp.port,
        encryption="none",
        account="a",
        password="p",
        from_address="a@sender.example",
        allow_port=True,
    )
    await senders.create(door.system, sender)
    door.smtp.users = {"a": "p"}
    seen = asyncio.Event()

    async def silent(_: Call) -> Act:
        await seen.wait()
        return DROP

    door.smtp.script["AUTH"] = silent
    words = Words(language)
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        await page.goto("/senders/main")
        await page.click("form[action$='/test'] button", no_wait_after=True)
        working = page.locator(".steps .working:visible")
        await page.wait_for_selector(
            f".steps .working:visible:has-text('{words('senders.step_auth')}')"
        )
        assert await working.count() == 1
        seen.set()
        await page.wait_for_selector(".steps .verdict.bad")
        assert await working.count() == 0
        told = await page.inner_text(".steps .remedy")
        assert words("senders.auth_silent") in told
        assert "465" not in told
        await fits(page)
