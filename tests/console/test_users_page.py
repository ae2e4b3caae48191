"""The list of users, as it is worked with: searched, ticked with a mouse, changed together."""

import re

import pytest
from playwright.async_api import Locator, Page

from console.browser import PHONE, WIDE, fits, log_in, opened
from console.conftest import PASSWORD, Visit
from support.doors import Door
from ums.core.identity import operators


async def people(door: Door, count: int) -> None:
    entries = [
        {
            "userid": f"user{number:03d}",
            "email": {"all": f"Person.{number}@mail{number % 2}.example"},
            "attributes": {"name": f"张三{number}"},
        }
        for number in range(count)
    ]
    await door.post("/v1/user/opt", entries, await door.access_key())


async def press(page: Page, target: Locator) -> None:
    """Click the middle of `target` with the mouse, whatever lies there."""
    await target.scroll_into_view_if_needed()
    box = await target.bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_users_are_ticked_with_a_mouse_and_deleted_after_a_question(
    door: Door, browser_path: str | None, size: tuple[int, int]
) -> None:
    await operators.create(door.system, "admin", PASSWORD, "administrator")
    await people(door, 60)
    async with opened(browser_path, door, "en", size) as page:
        await log_in(page)
        await page.goto("/users?search=MAIL1")
        assert await page.inner_text("#total") == "30 users"
        first = page.locator('tbody input[type="checkbox"]').nth(0)
        await press(page, first)
        assert await first.is_checked()
        assert page.url.endswith("/users?search=MAIL1")
        await press(page, page.locator('tbody input[type="checkbox"]').nth(1))
        await press(page, page.locator("details.sure > summary"))
        assert "(2)" in await page.inner_text("details.sure > summary")
        await fits(page)
        await press(page, page.locator('button[value="delete"]'))
        await page.wait_for_selector("h1:has-text('Delete 2 users')")
        await fits(page)
        await press(page, page.locator("main button.danger"))
        await page.wait_for_selector("text=2 users deleted.")
        assert await page.input_value("#search") == "MAIL1"
        assert await page.inner_text("#total") == "28 users"
        await page.goto("/users")
        assert await page.inner_text("#total") == "58 users"


async def test_a_tag_goes_to_all_that_match(door: Door, browser_path: str | None) -> None:
    await operators.create(door.system, "admin", PASSWORD, "administrator")
    await people(door, 120)
    async with opened(browser_path, door, "zh", WIDE) as page:
        await log_in(page)
        await page.goto("/users?search=mail0")
        await press(page, page.locator("[data-choose-all]"))
        assert await page.locator("tbody input:checked").count() == 50
        await press(page, page.locator("details.sure > summary"))
        await press(page, page.locator("#every"))
        await page.fill("#chosen-tag", "重要客户")
        await press(page, page.locator('button[value="add"]'))
        await page.wait_for_selector("text=已更新 60 位用户。")
        await page.fill("#search", "要客")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=共 60 位用户")
        await press(page, page.locator('[rel="next"]'))
        await page.wait_for_selector('[rel="prev"]')
        assert await page.locator("tbody tr").count() == 10
        await press(page, page.locator('[rel="prev"]'))
        await page.wait_for_function("document.querySelectorAll('tbody tr').length === 50")
        assert await page.locator('[rel="prev"]').count() == 0


async def test_more_than_were_told_are_asked_about_again(door: Door, visit: Visit) -> None:
    visitor = await visit()
    await people(door, 12)
    every = {"every": "yes", "doing": "delete", "filter_search": "mail1"}
    asked = await visitor.post("/users-chosen", data=every)
    assert re.search(r'name="sure" value="6"', asked.text)
    again = await visitor.post("/users-chosen", data={**every, "sure": "5"})
    assert (again.status_code, "Delete 6 users" in again.text) == (200, True)
    done = await visitor.post("/users-chosen", data={**every, "sure": "6"})
    assert done.headers["location"].startswith("/users?search=mail1&done=6&did=")
    assert "6 users" in (await visitor.get("/users")).text


async def test_too_many_at_once_are_refused(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.core.users.bulk_actions.MOST", 5)
    visitor = await visit()
    await people(door, 12)
    refused = await visitor.post("/users-chosen", data={"every": "yes", "doing": "delete"})
    assert (refused.status_code, "Narrow the search down" in refused.text) == (400, True)


async def test_a_userid_of_any_signs_leads_to_its_page(visit: Visit) -> None:
    visitor, userid = await visit(), "a#b\uffe5|c&d"
    made = await visitor.post("/users", data={"userid": userid})
    assert made.status_code == 303
    assert "a#b\uffe5|c&amp;d" in (await visitor.get(made.headers["location"])).text
    changed = await visitor.post(made.headers["location"], data={"attributes": '{"city": "x"}'})
    assert changed.status_code == 303
    assert (await visitor.get(changed.headers["location"])).status_code == 200


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "An address needs exactly one @ sign"), ("zh", "邮箱地址不合法")],
)
async def test_what_is_wrong_with_a_user_stands_beside_its_field(
    door: Door, visit: Visit, language: str, told: str
) -> None:
    visitor, channel = await visit("administrator", language), await door.channel()
    for name, value in (
        (f"email:{channel.key}", "nobody"),
        ("tags:all", "a b"),
        ("attributes", '{"a": "\\u0000"}'),
    ):
        for path in ("/users", "/users/user000"):
            await people(door, 1)
            fields = {"userid": "new", "email:all": "a@example.org", name: value}
            answer = await visitor.post(path, data=fields)
            assert answer.status_code == 400
            assert f'id="{name}-error"' in answer.text
            assert (told in answer.text) == name.startswith("email")
            assert "set." not in answer.text
