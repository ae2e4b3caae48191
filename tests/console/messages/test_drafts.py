"""Writing a message in a real browser: another channel, another language, a start, and nothing that
was typed is lost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Dialog, Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, Visit
from support.doors import Door, OneChannel
from ums import clock
from ums.console.i18n import Words
from ums.core.channels import channels
from ums.core.context.channel_policy import ChannelPolicy
from ums.core.identity import operators
from ums.core.reporting import reports

BROWSERS = pytest.mark.parametrize(
    ("language", "size", "scripts"),
    [("en", WIDE, True), ("zh", PHONE, True), ("en", WIDE, False)],
    ids=["desktop", "chinese-phone", "without-scripts"],
)


async def _two_channels(door: Door) -> tuple[OneChannel, OneChannel]:
    """The second has a zone and a template of its own."""
    first, second = await door.channel(), await door.channel()
    await channels.set_rules(door.system, first.key, ChannelPolicy(zone="Europe/Berlin"))
    await channels.set_rules(door.system, second.key, ChannelPolicy(zone="Asia/Shanghai"))
    for channel, name in ((first, "Of the first"), (second, "Of the second")):
        template = {"name": name, "subject": "s", "text": "t"}
        made = await door.post(f"/api/channels/{channel.key}/templates", template, channel)
        assert made.status == 201, made.body
    await operators.create(door.system, "admin", PASSWORD)
    return first, second


async def _write(page: Page, door: Door) -> None:
    await log_in(page)
    await page.goto("/send")
    await page.click("label[for=with-text]")
    await page.fill("#people", "a@example.org")
    await page.fill("#subject", "Half a mail")
    await page.fill("#body", "What I have so far")


async def _is_there(page: Page) -> None:
    assert await page.input_value("#people") == "a@example.org"
    assert await page.input_value("#subject") == "Half a mail"
    assert await page.input_value("#body") == "What I have so far"
    assert await page.is_checked("#with-text")


@BROWSERS
async def test_another_channel_brings_what_is_its_own(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int], scripts: bool
) -> None:
    first, second = await _two_channels(door)
    async with opened(browser_path, door, language, size, scripts=scripts) as page:
        await _write(page, door)
        await page.select_option("#channel", first.key)
        if not scripts:
            await page.click("button[formaction='/send/form']")
        options = page.locator("#template option")
        await page.wait_for_selector("#template option:text-is('Of the first')", state="attached")
        await page.select_option("#channel", second.key)
        if not scripts:
            await page.click("button[formaction='/send/form']")
        await page.wait_for_selector("#template option:text-is('Of the second')", state="attached")
        assert await options.all_inner_texts() == ["–", "Of the second"]
        assert await page.input_value("[name=zone]") == "Asia/Shanghai"
        await page.click("details > summary")
        assert "Asia/Shanghai" in await page.inner_text("#starts-hint")
        assert second.sender in await page.inner_text("#of-channel-sender")
        await _is_there(page)
        await fits(page)
        await page.click("label[for=with-template]")
        await page.select_option("#template", label="Of the second")
        await page.click("main form button.primary")
        await page.wait_for_url("**/check")


@BROWSERS
async def test_the_other_language_keeps_what_is_written(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int], scripts: bool
) -> None:
    await _two_channels(door)
    other = "en" if language == "zh" else "zh"
    async with opened(browser_path, door, language, size, scripts=scripts) as page:
        await _write(page, door)
        await page.click(f"button.language[value={other}]")
        await page.wait_for_url(f"**/send/*lang={other}")
        assert Words(other)("send.whom") in await page.inner_text("main")
        await _is_there(page)
        await fits(page)


async def test_what_is_typed_is_saved_and_found_again(door: Door, browser_path: str | None) -> None:
    await _two_channels(door)
    async with opened(browser_path, door, "en", WIDE) as page:
        await _write(page, door)
        await page.wait_for_url("**/send/*")  # it has become a draft
        await page.wait_for_selector("[data-saved]:text-is('Draft saved')")
        await page.goto("/send")
        await page.click("main a:text-is('Half a mail')")
        await _is_there(page)
        await page.click("main form button.primary")
        await page.wait_for_url("**/check")
        await page.go_back()
        await _is_there(page)


@pytest.mark.parametrize("size", [WIDE, PHONE])
async def test_leaving_warns_while_something_is_not_saved(
    door: Door, browser_path: str | None, size: tuple[int, int]
) -> None:
    await _two_channels(door)
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def stay(dialog: Dialog) -> None:
        asked.put_nowait(dialog.type)
        await dialog.dismiss()

    async with opened(browser_path, door, "en", size) as page:
        await _write(page, door)
        await page.route("**/send/save", lambda route: route.abort())
        await page.focus("#subject")
        await page.keyboard.type(" more")
        page.on("dialog", stay)
        await page.click("a.brand", no_wait_after=True)
        assert await asyncio.wait_for(asked.get(), 30) == "beforeunload"
        assert await page.input_value("#subject") == "Half a mail more"
        page.remove_listener("dialog", stay)
        page.on("dialog", lambda dialog: dialog.accept())
        await page.click("a.brand")
        await page.wait_for_url("**/home")


@BROWSERS
async def test_a_start_that_is_over_is_refused_beside_its_field(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int], scripts: bool
) -> None:
    await _two_channels(door)
    async with opened(browser_path, door, language, size, scripts=scripts) as page:
        await _write(page, door)
        await page.click("details > summary")
        await page.fill("#starts", "2026-01-01T09:00")
        await page.click("main form button.primary")
        told = await page.inner_text("#starts-error")
        assert (
            told
            == {
                "en": "This time is over. Give a later one, or none to send at once.",
                "zh": "该时间已过。请填写将来的时间；留空则立即发送。",
            }[language]
        )
        await _is_there(page)


def _there(days: int, zone: str) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).astimezone(ZoneInfo(zone))


@BROWSERS
async def test_a_scheduled_message_says_so_and_can_be_moved_and_cancelled(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int], scripts: bool
) -> None:
    _, second = await _two_channels(door)
    words = Words(language)
    start, later = _there(1, "Asia/Shanghai"), _there(2, "Asia/Shanghai")
    async with opened(browser_path, door, language, size, scripts=scripts) as page:
        await _write(page, door)
        await page.select_option("#channel", second.key)
        if scripts:
            await page.wait_for_selector("[name=zone][value='Asia/Shanghai']", state="attached")
        else:
            await page.click("button[formaction='/send/form']")
        await page.click("details > summary")
        await page.fill("#starts", start.strftime("%Y-%m-%dT%H:%M"))
        await page.click("main form button.primary")
        await page.wait_for_url("**/check")
        go = page.locator("form[action$='/go'] button")
        assert await go.inner_text() == words("send.go_scheduled", count=1)
        await go.click()
        await page.wait_for_url("**/messages/*")
        when = start.strftime("%Y-%m-%d %H:%M UTC+8")
        assert await page.inner_text(".done") == words("send.did_schedule", when=when)
        status = await page.inner_text("#live p[role=status]")
        assert words("messages.state_scheduled") in status
        assert "UTC+8" in status
        assert "Asia/Shanghai" in status
        await fits(page)
        moved = page.locator("details.sure", has=page.locator("#starts_at"))
        await moved.locator("summary").click()
        await moved.locator("#starts_at").fill("2026-01-01T09:00")
        await moved.locator("button").click()
        assert await page.locator("#starts_at-error").is_visible()
        await page.fill("#starts_at", later.strftime("%Y-%m-%dT%H:%M"))
        await moved.locator("button").click()
        when = later.strftime("%Y-%m-%d %H:%M UTC+8")
        assert await page.inner_text(".done") == words("messages.did_reschedule", when=when)
        await page.goto("/messages")
        assert words("messages.state_scheduled") in await page.inner_text("table.rows")
        async with door.system.database.read() as tx:
            (info,) = (await reports.list_messages(tx, None)).items
        assert info.starts_at == clock.iso(
            round(later.replace(second=0, microsecond=0).timestamp() * 1000)
        )
        await page.click("table.rows a.row-link")
        cancel = page.locator("details.sure", has=page.locator("form[action$='/cancel']"))
        await cancel.locator("summary").click()
        await cancel.locator("button").click()
        await page.wait_for_selector(".done")
        assert words("messages.state_cancelled") in await page.inner_text("#live p[role=status]")
    assert door.smtp.mails == []


async def test_a_start_that_passed_while_one_looked_is_not_sent(door: Door, visit: Visit) -> None:
    """The check page may stand open for hours."""
    visitor, channel = await visit(), await door.channel()
    from ums.core.messages import drafts
    from ums.core.messages.new_message import MessageRequest, Recipient

    late = datetime.now(UTC) - timedelta(hours=1)
    content = MessageRequest(
        recipients=[Recipient(address="a@example.org")], subject="s", text="t", starts_at=late
    )
    id = (await door.system.directory.now()).channels[channel.key].id
    draft = await drafts.save(door.system, 1, id, content)
    shown = await visitor.get(f"/send/{draft}/check")
    assert "This time is over" in shown.text
    refused = await visitor.post(f"/send/{draft}/go")
    assert (refused.status_code, "This time is over" in refused.text) == (400, True)
    assert door.smtp.mails == []


async def _leaves(page: Page, selector: str, *, accept: bool) -> str:
    """Click what leads away; the kind of question that comes."""
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def answer(dialog: Dialog) -> None:
        asked.put_nowait(dialog.type)
        await (dialog.accept() if accept else dialog.dismiss())

    page.on("dialog", answer)
    await page.click(selector, no_wait_after=True)
    kind = await asyncio.wait_for(asked.get(), 30)
    page.remove_listener("dialog", answer)
    return kind


FORMS = {
    "template": ("/channels/{channel}/templates/1/edit", "#subject"),
    "sender": ("/senders/{sender}/edit", "#account"),
    "mailbox": ("/senders/{sender}/mailbox", "#host"),
    "channel": ("/channels/new", "#name"),
    "segment": ("/segments/new", "#name"),
    "words": ("/words", "#word"),
    "words-of-channel": ("/channels/{channel}/words", "#word"),
    "settings": ("/settings", "main form .field input:enabled"),
    "brand": ("/settings", "#brand"),
    "token": ("/tokens", "#name"),
    "list": ("/channels/{channel}/lists", "#name"),
    "zone": ("/account", "#zone"),
}


@asynccontextmanager
async def _form(
    door: Door, browser_path: str | None, form: str, size: tuple[int, int] = WIDE
) -> AsyncGenerator[tuple[Page, str]]:
    """The page with the form, and a field of it."""
    first, _ = await _two_channels(door)
    path, field = FORMS[form]
    async with opened(browser_path, door, "en", size) as page:
        await log_in(page)
        await page.wait_for_url("**/home")
        await page.goto(path.format(channel=first.key, sender=first.sender))
        yield page, field


async def _type(page: Page, field: str, text: str = "typed") -> None:
    await page.click(field)
    await page.keyboard.type(text)


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_warns_and_the_other_language_takes_along_what_is_typed(
    door: Door, browser_path: str | None, form: str
) -> None:
    async with _form(door, browser_path, form, PHONE) as (page, field):
        await page.click("a.brand")  # untouched: nobody is asked
        await page.wait_for_url("**/home")
        await page.go_back()
        await _type(page, field)
        assert await _leaves(page, "a.brand", accept=False) == "beforeunload"
        page.on("dialog", stays := lambda dialog: dialog.dismiss())
        await page.click("nav.languages [lang=zh-CN]")  # which nobody has to confirm
        await page.wait_for_selector("html[lang=zh-CN]")
        assert "typed" in await page.input_value(field)
        page.remove_listener("dialog", stays)
        assert await page.evaluate("sessionStorage.getItem('ums.carried')") is None
        await fits(page)
        assert await _leaves(page, "a.brand", accept=True) == "beforeunload"


async def test_a_password_is_not_taken_along(door: Door, browser_path: str | None) -> None:
    async with _form(door, browser_path, "sender") as (page, field):
        await _type(page, field)
        await _type(page, "#password", "a secret of the server")
        assert await _leaves(page, "nav.languages a[lang=zh-CN]", accept=False) == "beforeunload"
        kept = await page.evaluate("JSON.stringify({...sessionStorage})")
        assert "a secret of the server" not in kept
        assert await _leaves(page, "nav.languages a[lang=zh-CN]", accept=True) == "beforeunload"
        await page.wait_for_selector("html[lang=zh-CN]")
        assert "typed" in await page.input_value(field)
        assert await page.input_value("#password") == ""


async def test_a_refused_form_goes_back_to_its_page_in_the_other_language(
    door: Door, browser_path: str | None
) -> None:
    async with _form(door, browser_path, "sender") as (page, _):
        await page.goto("/senders/new?preset=qq")
        await page.fill("#account", "me@qq.com")
        await page.fill("#from_address", "me@qq.com")
        await page.fill("#password", "x")
        await page.fill("#name", "Mine")
        await page.fill("#code", "mine")
        await page.fill("#port", "0")
        await page.click("main form button.primary")
        await page.wait_for_selector("main [aria-invalid=true]")
        assert await page.evaluate("location.pathname") == "/senders"
        await page.click("nav.languages a[lang=zh-CN]")
        await page.wait_for_url("**/senders/new?preset=qq&lang=zh")
        assert await page.input_value("#account") == "me@qq.com"
        assert await page.input_value("#code") == "mine"
        assert await page.input_value("#port") == "0"
        assert await page.input_value("#password") == ""


async def test_a_rich_text_is_taken_along(door: Door, browser_path: str | None) -> None:
    async with _form(door, browser_path, "template") as (page, _):
        await page.goto(page.url.replace("/1/edit", "/new"))
        await _type(page, ".rich-text", "Half a mail")
        await page.click("nav.languages a[lang=zh-CN]")
        await page.wait_for_url("**lang=zh")
        assert "Half a mail" in await page.inner_text(".rich-text")


async def test_a_rich_text_that_is_not_shown_writes_nothing(
    door: Door, browser_path: str | None
) -> None:
    """Extensions of browsers touch whatever can be edited, shown or not."""
    await _two_channels(door)
    async with opened(browser_path, door, "en", WIDE) as page:
        await _write(page, door)
        await page.evaluate("document.querySelector('.rich-text').append('x')")
        await page.evaluate("new Promise(requestAnimationFrame)")
        await _is_there(page)


async def test_a_segment_under_way_is_kept_through_its_buttons(
    door: Door, browser_path: str | None
) -> None:
    """Counting and another language show the form again: it is as little kept as before."""
    async with _form(door, browser_path, "segment") as (page, _):
        await page.click("nav.languages [lang=zh-CN]")
        await page.wait_for_selector("html[lang=zh-CN]")
        await page.click("a.brand")  # nothing was typed
        await page.wait_for_url("**/home")
        await page.goto("/segments/new?lang=en")
        await page.fill("#name", "Grown-ups")
        await page.fill("[name='0-tags']", "vip")
        await page.click("#conditions-box button[value=attribute]")
        await page.fill("[name='1-name']", "age")
        await page.click("nav.languages [lang=zh-CN]")
        await page.wait_for_selector("html[lang=zh-CN]")
        shown = [
            await page.input_value(one) for one in ("#name", "[name='0-tags']", "[name='1-name']")
        ]
        assert shown == ["Grown-ups", "vip", "age"]
        assert await _leaves(page, "a.brand", accept=False) == "beforeunload"
