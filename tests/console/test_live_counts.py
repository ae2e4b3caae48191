"""The message page follows what it shows until that is final, in a real browser."""

import asyncio
from re import search

import pytest
from playwright.async_api import Route

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, Visit, settled
from support.doors import Door
from support.fakes import Call
from ums import clock
from ums.console.i18n import WORDS, Words
from ums.console.rendering import number_words
from ums.core.identity import operators


@pytest.mark.parametrize(
    ("language", "size", "verb"), [("en", WIDE, "pause"), ("zh", PHONE, "cancel")]
)
async def test_counts_and_table_follow_after_a_halt(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int], verb: str
) -> None:
    """One mail is at its last dot when the message is halted: the page waits for it."""
    await operators.create(door.system, "admin", PASSWORD)
    channel, go_on = await door.channel(), asyncio.Event()

    async def hold(_: Call) -> None:
        await go_on.wait()

    door.smtp.script["DOT"] = hold
    to = [{"address": f"a{i}@example.org"} for i in range(40)]
    body = {"recipients": to, "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]
    words = Words(language)
    try:
        async with opened(browser_path, door, language, size) as page:
            await log_in(page)
            await page.goto(f"/messages/{msgid}")
            tile = page.locator(f".tiles div:has(dt:text-is('{words('state_at_dot')}')) dd")
            await tile.wait_for()
            # The table has followed as well.
            await page.wait_for_selector("#table .rows")
            halt = page.locator("details.sure", has=page.locator(f"form[action$='/{verb}']"))
            await halt.locator("summary").click()
            await halt.locator("button").click()
            await page.wait_for_selector(".done")
            assert "did=" not in page.url
            assert words("messages.counts_settle") in await page.inner_text("#live")
            go_on.set()
            await page.wait_for_selector(f"#live :text('{words('messages.counts_final')}')")
            await tile.wait_for(state="detached")
            await page.wait_for_selector("#live:not([data-live])", state="attached")
            assert await page.locator(".done").count() == 1
            await page.reload()
            assert await page.locator(".done").count() == 0  # it is told once
            numbers = await page.locator("#live .tiles dd").all_inner_texts()
            assert sum(map(int, numbers[1:])) == int(numbers[0]) == 40
            await fits(page)
    finally:
        go_on.set()


async def test_the_end_keeps_nobody_who_goes_to_another_page(
    door: Door, browser_path: str | None
) -> None:
    """The page loads itself again when its message is over, but not in place of another page that
    somebody has clicked on."""
    await operators.create(door.system, "admin", PASSWORD)
    channel, go_on = await door.channel(), asyncio.Event()
    door.smtp.script["RCPT"] = lambda call: b"451 4.7.1 later\r\n"
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    msgid = (await door.post("/api/messages", body, channel)).body["msgid"]

    async def slow(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    async def is_over() -> bool:
        return door.app.state["live"] == 0

    async with opened(browser_path, door, "en", WIDE) as page:
        await log_in(page)
        await page.route("**/users", slow)
        await page.goto(f"/messages/{msgid}")
        async with page.expect_request("**/users"):
            await page.locator(".menu a[href='/users']").click(no_wait_after=True)
        assert (await door.post(f"/api/messages/{msgid}/cancel", {}, channel)).status == 200
        await settled(is_over)
        go_on.set()
        await page.wait_for_url("**/users")


async def test_an_end_is_told_only_while_something_may_go_out(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    ends = Words("en")("messages.ends")
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    done = (await door.post("/api/messages", body, channel)).body["msgid"]
    await door.done(done, channel)
    assert ends not in (await visitor.get(f"/messages/{done}")).text
    later = {**body, "starts_at": clock.iso(clock.now() + clock.DAY)}
    waits = (await door.post("/api/messages", later, channel)).body["msgid"]
    assert ends in (await visitor.get(f"/messages/{waits}")).text


async def test_what_was_cancelled_is_not_among_those_not_reached(door: Door, visit: Visit) -> None:
    visitor, channel = await visit(), await door.channel()
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    done = (await door.post("/api/messages", body, channel)).body["msgid"]
    await door.done(done, channel)
    later = {**body, "starts_at": clock.iso(clock.now() + clock.DAY)}
    waits = (await door.post("/api/messages", later, channel)).body["msgid"]
    assert (await door.post(f"/api/messages/{waits}/cancel", {}, channel)).status == 200
    home = (await visitor.get("/home")).text
    lost = home.partition(f"<dt>{Words('en')('home.lost')}</dt>")[2]
    assert lost.startswith("<dd>0</dd>")


@pytest.mark.parametrize(
    ("number", "told"),
    [(4620.0, "4,620"), (4262.5, "4,262"), (0.5, "0.5"), (2.0, "2"), (1234567, "1,234,567")],
)
def test_numbers(number: float, told: str) -> None:
    assert number_words(number) == told


def test_one_thing_is_told_as_one() -> None:
    assert Words("en")("home.approvals", count=1) == "1 message waits for approval."
    assert Words("en")("home.approvals", count=4603) == "4,603 messages wait for approval."
    assert Words("en")("home.approvals", count="100+") == "100+ messages wait for approval."
    assert Words("zh")("home.approvals", count=4603) == "4,603 条消息等待审批。"


def test_every_counted_word_has_its_singular() -> None:
    """`1 days` is no English: where a count stands before a plural, there is a word for one."""
    wrong = [
        key
        for key, told in WORDS.items()
        if search(r"\{count\} (\w+ ){0,2}[a-z]+s\b", told["en"]) and "en_one" not in told
    ]
    assert wrong == []
