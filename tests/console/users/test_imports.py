"""Uploading users in the console: choosing what is read, what stands in the way, what is told."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import update

from console.browser import PHONE, WIDE, log_in, opened
from console.conftest import PASSWORD, Visit, settled
from support.doors import Door
from ums.core.identity import operators
from ums.core.tables import imports
from ums.core.users import users


def workbook(sheets: dict[str, list[list[Any]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE)])
async def test_a_spreadsheet_with_addresses_alone_fills_attributes(
    door: Door, browser_path: str | None, tmp_path: Path, language: str, size: tuple[int, int]
) -> None:
    await operators.create(door.system, "admin", PASSWORD)
    rows: list[list[Any]] = [["2026 年会员"], ["邮箱", "姓名", "等级"], ["a@a.org", "张三", "07"]]
    rows += [["b@a.org", "李四", "1"], ["b@a.org", "李四", "1"], ["nobody", "", ""]]
    path = tmp_path / "会员.xlsx"
    path.write_bytes(workbook({"note": [["about this file"]], "会员": rows}))
    async with opened(browser_path, door, language, size) as page:
        await log_in(page)
        await page.goto("/imports")
        async with page.expect_file_chooser() as chooser:
            await page.click("#file")
        await (await chooser.value).set_files(path)
        await page.click("main form button.primary")
        await page.wait_for_url("**/imports/1")
        start = page.locator("button[name=start]")
        await page.wait_for_selector("button[name=start]:has-text('2')")  # two users, one bad row
        assert await page.locator("#sheet").input_value() == "会员"
        assert await page.locator("#header_row").input_value() == "2"
        columns = page.locator("select[name=column]")
        chosen = [await columns.nth(i).input_value() for i in range(3)]
        assert chosen == ["email+userid", "user.", ""]
        names = page.locator("input[name=attribute]")
        assert await names.nth(1).input_value() == "name"
        assert not await names.nth(2).is_visible()
        await columns.nth(0).select_option("")  # nobody has a userid: it cannot be imported
        await page.wait_for_selector("button[name=start][disabled]")
        assert await page.locator("#start-why").is_visible()
        await columns.nth(0).select_option("email+userid")
        await columns.nth(2).select_option("user.")
        await names.nth(2).fill("level")
        await page.wait_for_selector("button[name=start]:not([disabled]):has-text('2')")
        await start.click()
        await page.wait_for_selector("a[href$='/rejects']")
        await page.goto("/home")
        await page.click("form[action='/imports/1/dismiss'] button")
        await page.wait_for_url("**/home")
        assert await page.locator("form[action='/imports/1/dismiss']").count() == 0
    async with door.system.database.read() as tx:
        found = await users.find(tx, "a@a.org")
    assert found is not None
    assert found.attributes == {"name": "张三", "level": "07"}


async def test_what_stands_in_the_way_is_told(door: Door, visit: Visit) -> None:
    visitor = await visit()
    for content, why in (
        ({"s": [["userid", "email"]]}, "There are no rows below the headings"),
        ({"s": [["A", "B"], ["1", "2"]]}, "Choose the column with the userid"),
    ):
        made = await visitor.post("/imports", files={"file": ("a.xlsx", workbook(content))})
        shown = (await visitor.get(made.headers["location"])).text
        assert re.search(r'name="start" value="1" disabled aria-describedby="start-why"', shown)
        assert why in shown
    bad = await visitor.post(
        "/imports", files={"file": ("a.xlsx", workbook({"s": [["userid"], ["a b"]]}))}
    )
    part = await visitor.get(f"{bad.headers['location']}/dry-run", headers={"HX-Request": "true"})
    assert "No row can be imported" in part.text
    assert 'hx-swap-oob="true"' in part.text


async def test_only_fields_of_channels_that_exist_are_offered(door: Door, visit: Visit) -> None:
    visitor = await visit()
    made = await visitor.post("/imports", files={"file": ("a.csv", b"userid,x\nu1,1\n")})
    shown = (await visitor.get(made.headers["location"])).text
    select = shown.split('name="column"')[1].split("</select>")[0]
    offered = re.findall(r'<option value="([^"]*)"', select)
    assert offered == ["", "userid", "email+userid", "email", "bind_id", "phone", "tag", "user."]
    made = await visitor.post("/imports", files={"file": ("b.csv", b"userid,app_regid\nu1,1\n")})
    assert 'value="app_regid" selected' in (await visitor.get(made.headers["location"])).text


async def test_errors_of_files_are_chinese_on_chinese_pages(door: Door, visit: Visit) -> None:
    visitor = await visit("administrator", "zh")
    for name, content in (
        ("a.xlsx", b"PK\x03\x04junk"),
        ("a.csv", b""),
        ("a.xls", b"<html></html>"),
        ("a.fods", b'<?xml version="1.0"?><office:document/>'),
    ):
        answer = await visitor.post("/imports", files={"file": (name, content)})
        told = re.search(r'id="file-error">([^<]*)<|class="trouble"[^>]*>([^<]*)<', answer.text)
        assert told is not None, answer.text
        words = (told[1] or told[2]).strip()
        plain = re.sub(r"\.xlsx|\.ods|\.csv|\.xls|XML|Excel|userid", "", words)
        assert re.search(r"[A-Za-z]{3,}", plain) is None, words


async def test_numbers_have_separators(door: Door, visit: Visit) -> None:
    visitor = await visit()
    rows = "".join(f"u{n},u{n}@a.org\n" for n in range(1_200))
    bad = "".join(f"b{n},nobody\n" for n in range(1_100))
    made = await visitor.post("/imports", files={"file": ("a.csv", f"userid,email\n{rows}{bad}")})
    part = await visitor.get(f"{made.headers['location']}/dry-run", headers={"HX-Request": "true"})
    assert "Import users: 1,200" in part.text
    await visitor.post(made.headers["location"], data={"start": "1", "column": ["userid", "email"]})

    async def done() -> bool:
        return "1,200 new, 0 changed, 1,100 rejected" in (await visitor.get("/imports")).text

    await settled(done)
    assert "1,100 rows of a.csv were rejected" in (await visitor.get("/home")).text


async def test_the_header_row_is_chosen_among_all_that_were_looked_at(
    door: Door, visit: Visit
) -> None:
    visitor = await visit()
    notes = [[f"note {n}"] for n in range(1, 12)]
    rows = [*notes, ["会员号", "邮箱"], ["u1", "a@a.org"]]
    files = {"file": ("a.xlsx", workbook({"s": rows}))}
    made = await visitor.post("/imports", files=files)
    path = made.headers["location"]
    page = (await visitor.get(path)).text
    assert '<option value="12" selected>12: 会员号 · 邮箱</option>' in page
    taken = await visitor.post(path, data={"take": "sheet", "header_row": "12"})
    assert taken.status_code == 303
    page = (await visitor.get(path)).text
    assert '<option value="12" selected>' in page
    assert '<option value="userid" selected>' in page
    # A row further down, chosen by a program, is shown and stays.
    async with door.system.database.write() as tx:
        await tx.run(update(imports).values(header_row=13))
    assert '<option value="13" selected>13: u1 · a@a.org</option>' in (await visitor.get(path)).text
    await visitor.post(path, data={"take": "sheet", "header_row": "0"})
    page = (await visitor.get(path)).text
    assert '<option value="0" selected>There are no headings' in page
    assert page.count('<select name="column"') == 2
    chinese = await visitor.get(path, headers={"Accept-Language": "zh"})
    assert "没有列标题：第一行就是数据" in chinese.text
