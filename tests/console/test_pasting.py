"""What is pasted into a mail: styles go without a complaint, and what is left out is told."""

import pytest
from playwright.async_api import Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD
from support.doors import Door
from ums.console.i18n import Words
from ums.core.identity import operators

DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
STYLED = f"""<style>p {{ color: green }}</style>
<p style="color: red; font-size: 30px">Dear <b style='font-weight: 900'>all</b></p>
<p>a &lt; b, style="kept"</p><img alt="" src="{DOT}"><table><tr><td>cell</td></tr></table>"""


async def _editor(page: Page, door: Door) -> list[str]:
    """An empty mail with the cursor in it; what the browser's console complains of."""
    await operators.create(door.system, "admin", PASSWORD)
    channel = await door.channel()
    await log_in(page)
    await page.goto(f"/channels/{channel.key}/templates/new")
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    await page.click(".rich-text")
    return complaints


async def _copied(page: Page, html: str) -> None:
    """Marked and copied on another page, as people do."""
    other = await page.context.new_page()
    await other.set_content(html)
    await other.keyboard.press("Control+A")
    await other.keyboard.press("Control+C")
    await other.close()
    await page.bring_to_front()


@pytest.mark.parametrize(
    ("language", "size", "told"),
    [
        (
            "en",
            WIDE,
            "Not taken over: pictures, tables (their text stays), and fonts, sizes and colors.",
        ),
        ("zh", PHONE, "未保留：图片、表格（文字已保留）和字体、字号和颜色。"),
    ],
)
async def test_pasted_styles_go_quietly_and_what_is_left_out_is_told(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int], told: str
) -> None:
    async with opened(browser_path, door, language, size) as page:
        complaints = await _editor(page, door)
        await _copied(page, STYLED)
        await page.keyboard.press("Control+V")
        await page.wait_for_selector(".tool-note:not(:empty)")
        assert (await page.inner_text(".tool-note")).startswith(told)
        kept = await page.input_value("#html")
        assert "<b>all</b>" in kept
        assert 'a &lt; b, style="kept"' in kept
        assert "cell" in kept
        assert not [one for one in ("<img", "<table", "<style", "font-size") if one in kept]
        await fits(page)
        assert complaints == []


async def test_a_pasted_picture_is_not_dropped_silently(
    door: Door, browser_path: str | None
) -> None:
    async with opened(browser_path, door, "en", WIDE) as page:
        complaints = await _editor(page, door)
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.evaluate(
            """async () => {
              const canvas = document.createElement("canvas");
              canvas.width = canvas.height = 4;
              const picture = await new Promise((done) => canvas.toBlob(done));
              await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
            }"""
        )
        await page.keyboard.press("Control+V")
        await page.wait_for_selector(".tool-note:has-text('Not taken over: pictures.')")
        assert "<img>" in await page.inner_text(".tool-note")
        await page.keyboard.type("words")
        assert "words" in await page.input_value("#html")
        assert complaints == []


async def _dropped(page: Page, kind: str, data: str) -> None:
    """Dragged into the text with the mouse, from another page or program."""
    box = await page.locator(".rich-text").bounding_box()
    assert box is not None
    session = await page.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        await session.send(
            "Input.dispatchDragEvent",
            {
                "type": step,
                "x": box["x"] + 40,
                "y": box["y"] + 20,
                "data": {"items": [{"mimeType": kind, "data": data}], "dragOperationsMask": 1},
            },
        )


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_what_is_dropped_is_taken_as_what_is_pasted(
    door: Door, browser_path: str | None, language: str, size: tuple[int, int]
) -> None:
    words = Words(language)
    async with opened(browser_path, door, language, size) as page:
        complaints = await _editor(page, door)
        await page.keyboard.type("before ")
        await _dropped(page, "text/html", STYLED)
        await page.wait_for_selector(".tool-note:not(:empty)")
        note = await page.inner_text(".tool-note")
        assert words("editor_left_tables") in note
        kept = await page.input_value("#html")
        assert "<b>all</b>" in kept
        assert "cell" in kept
        assert not [one for one in ("<img", "<table", "<style", "font-size") if one in kept]
        await fits(page)
        assert complaints == []
