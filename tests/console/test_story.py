"""The whole story in a real browser: from the log-in page to the mail that was sent again.

In English on a wide screen, in Chinese on a phone, and once without scripts.
"""

from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from playwright.async_api import Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD
from support.doors import Door
from ums.console.i18n import Words
from ums.core.identity import operators

REFUSED = "gone@example.org"
PAGES = (
    *("/home", "/send", "/messages", "/users", "/users/zhang", "/users/new", "/imports"),
    *("/channels", "/channels/news2026", "/senders", "/senders/new", "/senders/main", "/account"),
    *("/channels/news2026/rules", "/channels/news2026/callbacks", "/channels/news2026/lists"),
    *("/templates", "/statistics", "/segments", "/segments/new", "/approvals", "/operators"),
    *("/tokens", "/audit", "/about", "/account/two-factor", "/senders/main/edit"),
)


def workbook(folder: Path) -> Path:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["userid", "email", "部门"])
    for userid, address in (("zhang", "zhang@example.org"), ("gone", REFUSED), ("bad", "nothing")):
        sheet.append([userid, address, "市场部"])
    path = folder / "用户.xlsx"
    book.save(path)
    return path


async def make_channel(page: Page) -> str:
    await page.goto("/channels/new")
    await page.fill("#name", "资讯")
    await page.fill("#key", "news2026")
    await page.click("button.primary")
    secret = await page.locator(".copied-text").nth(1).inner_text()
    await page.click("main button.primary")
    return secret


async def make_sender(page: Page, door: Door) -> None:
    await page.goto("/senders/new?preset=qq")
    assert await page.input_value("#host") == "smtp.qq.com"
    await page.goto("/senders/new?preset=custom")
    await page.fill("#account", "news@sender.example")
    await page.fill("#password", "wrong")
    await page.fill("#from_address", "news@sender.example")
    await page.fill("#host", "127.0.0.1")
    await page.fill("#port", str(door.smtp.port))
    await page.fill("#name", "Main")
    await page.fill("#code", "main")
    await page.check("text=资讯")
    await page.click("button.primary")
    # Another port than the usual needs to be allowed.
    assert await page.locator("#port-error").count() == 1
    await page.check("#allow_port-on")
    await page.fill("#password", "wrong")
    await page.click("button.primary")
    await page.wait_for_url("**/senders/main*")
    await doctor(page, door)


async def doctor(page: Page, door: Door) -> None:
    """Like QQ: the mode is wrong at first, then the password is, since a code is wanted."""
    door.smtp.users = {"news@sender.example": "code"}
    await page.click("form[action$='/test'] button")
    await page.wait_for_selector(".steps .verdict.bad")
    await page.fill("#way-password", "wrong")
    await page.click(".steps .remedy button")  # use the mode that was found
    await page.wait_for_selector(".done")
    door.smtp.script["AUTH"] = [b"535 " + "请使用授权码登录".encode("gbk") + b"\r\n"]
    await page.click("form[action$='/test'] button")
    await page.wait_for_selector(".steps .verdict.bad")
    assert "请使用授权码登录" in await page.locator(".steps .bad pre").inner_text()
    del door.smtp.script["AUTH"]
    await page.click(".steps .remedy a.button")
    await page.fill("#password", "code")
    await page.check("#allow_port-on")
    await page.click("main button.primary")
    await page.wait_for_selector(".done")
    await page.click("form[action$='/test'] button")
    await page.wait_for_selector(".steps .verdict.good")
    await fits(page)


async def upload(page: Page, file: Path, *, scripts: bool) -> None:
    await page.goto("/imports")
    await page.set_input_files("#file", file)
    await page.click("button.primary")
    await page.click("button[name=start]")
    await page.wait_for_url("**/imports/1")
    async with page.expect_download() as download:
        await _until(page, "a[href$='/rejects']", scripts=scripts)
        await page.click("a[href$='/rejects']")
    assert (await download.value).suggested_filename.endswith(".xlsx")


async def _until(page: Page, selector: str, *, scripts: bool) -> None:
    """Wait for something; without scripts a person presses reload."""
    if scripts:
        await page.wait_for_selector(selector, state="attached")
        return
    for _ in range(600):
        if await page.locator(selector).count():
            return
        await page.wait_for_timeout(100)
        await page.reload()
    raise AssertionError(selector)


async def send(page: Page, *, scripts: bool) -> None:
    await page.goto("/send")
    await page.check("#to-people")
    await page.fill("#people", "zhang\ngone\nnobody")
    await page.fill("#subject", "你好 & <b>hello</b>")
    if scripts:
        await page.click("text=/^(Edit the HTML source|编辑 HTML 源码)$/")
    await page.fill(".cm-content" if scripts else "#body", "<h1>你好</h1><script>alert(1)</script>")
    await page.click("text=/^(Check it|检查)$/")
    await page.wait_for_url("**/check")
    numbers = await page.locator(".tiles dd").all_inner_texts()
    assert numbers == ["2", "1", "3"]  # will go; unknown; together
    frame = page.frame_locator("iframe")
    assert await frame.locator("h1").inner_text() == "你好"
    await page.click("form[action$='/go'] button")
    await page.wait_for_url("**/messages/*")


async def resend(page: Page, door: Door, *, scripts: bool) -> None:
    await _until(page, "details.sure [name=reason]", scripts=scripts)
    del door.smtp.script["RCPT"]
    summary = page.locator("details.sure", has=page.locator("[name=reason]")).locator("summary")
    await summary.click()
    await page.locator("details.sure[open] button").click()
    await page.wait_for_selector(".done")


@pytest.mark.parametrize(
    ("language", "size", "scripts"),
    [("en", WIDE, True), ("zh", PHONE, True), ("zh", WIDE, False)],
    ids=["english", "chinese-phone", "without-scripts"],
)
async def test_from_the_first_log_in_to_the_mail_that_is_sent_again(
    door: Door,
    browser_path: str | None,
    tmp_path: Path,
    language: str,
    size: tuple[int, int],
    scripts: bool,
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    door.smtp.script["RCPT"] = lambda call: (
        b"550 5.1.1 no such user <script>\r\n" if REFUSED in call.line else None
    )
    words = Words(language)
    async with opened(browser_path, door, language, size, scripts=scripts) as page:
        await log_in(page)
        assert words("home.steps") in await page.inner_text("main")
        secret = await make_channel(page)
        assert len(secret) == 24
        assert secret not in await page.content()
        await make_sender(page, door)
        await upload(page, workbook(tmp_path), scripts=scripts)
        await send(page, scripts=scripts)
        await resend(page, door, scripts=scripts)
        await _until(
            page, f".badge.good:text-is('{words('messages.state_done')}')", scripts=scripts
        )
        await page.goto("/messages")
        assert "2 / 3" in await page.inner_text("table.rows")
        await page.goto("/home")
        zone = next(iter((await door.system.directory.now()).channels.values())).rules.zone
        assert words("home.today", zone=zone) in await page.inner_text("main")
        for path in PAGES:
            await page.goto(path)
            if scripts:
                await fits(page)
    assert sorted(mail.rcpt_to for mail in door.smtp.mails) == [REFUSED, "zhang@example.org"]
    subject = message_from_bytes(door.smtp.mails[0].data, policy=policy.default)["subject"]
    assert subject == "你好 & <b>hello</b>"
