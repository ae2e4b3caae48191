"""Segments by rows: what rows say, what they need, and what only JSON says."""

from typing import Any

import httpx
import pytest

from console.administration.test_settings import followed
from console.browser import WIDE, log_in, opened
from console.conftest import PASSWORD, Visit
from support.doors import Door
from ums.console.users.segment_builder import Row, conditions_of, lack_of, new_row, rows_in, rows_of
from ums.core.identity import operators
from ums.core.users.segment_conditions import read

ROWS: list[dict[str, Any]] = [
    {"tag": {"any": ["vip", "新客"], "bind_id": "all"}},
    {"tag": {"none": ["left"], "bind_id": "9a0b1c"}},
    {"attribute": {"name": "age", "op": "ge", "value": 18}},
    {"attribute": {"name": "weight", "op": "lt", "value": 70.5}},
    {"attribute": {"name": "city", "op": "in", "value": ["北京", "上海"]}},
    {"attribute": {"name": "paid", "op": "eq", "value": True}},
    {"attribute": {"name": "since", "op": "le", "value": "2026-01-31"}},
    {"attribute": {"name": "phone", "op": "missing"}},
    {"address": {"kind": "email", "exists": False}},
    {"address": {"kind": "email", "exists": True, "bind_id": "all"}},
    {"engagement": {"event": "sent", "within_days": 30, "at_least": 2}},
    {"not": {"engagement": {"event": "failed", "within_days": 7, "at_least": 1, "channel": "K"}}},
]


@pytest.mark.parametrize("join", ["all", "any"])
def test_rows_say_what_the_conditions_say(join: str) -> None:
    conditions = {{"all": "and", "any": "or"}[join]: ROWS}
    found = rows_of(conditions)
    assert found is not None
    assert found[0] == join
    assert not any(lack_of(row) for row in found[1])
    assert read(conditions_of(found[1], join)) == read(conditions)


@pytest.mark.parametrize(
    "conditions",
    [
        {"not": ROWS[0]},
        {"and": [ROWS[0], {"or": ROWS[1:3]}]},
        {"address": {"kind": "phone", "exists": True}},
        {"tag": {"any": ["a,b"]}},  # a comma parts tags in a row
        {"attribute": {"name": "n", "op": "in", "value": [1, "1"]}},
        {"attribute": {"name": "n", "op": "eq", "value": ""}},
    ],
)
def test_rows_do_not_say_what_is_more(conditions: dict[str, Any]) -> None:
    assert rows_of(conditions) is None


def test_everyone_has_no_rows() -> None:
    assert rows_of({}) == ("all", [])
    assert conditions_of([], "any") == {}


def test_rows_of_a_form() -> None:
    fields = {"10-kind": "tag", "10-tags": " vip ", "2-kind": "address", "2-exists": "no"}
    strange = {"3-kind": "nonsense", "x-kind": "tag", "4-tags": "no kind"}
    assert rows_in(fields | strange) == [
        Row("address", {"exists": "no", "bind": ""}),
        Row("tag", {"how": "any", "tags": "vip", "bind": "all"}),
    ]


@pytest.mark.parametrize(
    ("kind", "values", "lack"),
    [
        ("tag", {"tags": " , "}, "tags"),
        ("attribute", {}, "name"),
        ("attribute", {"name": "age"}, "value"),
        ("attribute", {"name": "age", "value": "x", "type": "number"}, "number"),
        ("attribute", {"name": "age", "value": "1, x", "op": "in", "type": "number"}, "number"),
        ("engagement", {"times": "0"}, "count"),
        ("engagement", {"days": "often"}, "count"),
    ],
)
def test_a_row_that_is_not_whole(kind: str, values: dict[str, str], lack: str) -> None:
    row = new_row(kind)
    row.values |= values
    assert lack_of(row) == f"segments.need_{lack}"


async def _people(door: Door) -> None:
    people = [{"userid": f"seg{age}", "attributes": {"age": age}} for age in (10, 20, 30)]
    await door.post("/v1/user/opt", people, await door.access_key())


AGED = {"0-kind": "attribute", "0-name": "age", "0-op": "ge", "0-value": "18", "0-type": "number"}


async def _post(visitor: httpx.AsyncClient, path: str = "/segments", **fields: str) -> str:
    answer = await visitor.post(path, data={"mode": "rows", "name": "grown", **AGED, **fields})
    return await followed(visitor, answer) if answer.status_code == 303 else answer.text


async def test_a_segment_is_built_of_rows(door: Door, visit: Visit) -> None:
    visitor = await visit()
    await _people(door)
    assert 'name="0-tags"' in (await visitor.get("/segments/new")).text
    wider = await _post(visitor, add="engagement")
    assert 'name="1-times"' in wider
    assert 'value="grown"' in wider
    assert 'name="0-kind"' not in await _post(visitor, drop="0")
    assert "2 users now" in await _post(visitor, count="1")
    counted = await _post(visitor, "/segments-count")
    assert "2 users now" in counted
    assert "<html" not in counted
    wrong = await _post(visitor, **{"0-value": "many"})
    assert "Give a number, or compare as text." in wrong
    assert "Give a number, or compare as text." in await _post(
        visitor, "/segments-count", **{"0-value": "many"}
    )
    tag = {"0-kind": "tag", "0-tags": "a\tb"}
    assert "It holds a control character" in await _post(visitor, **tag)
    assert 'name="conditions"' in await _post(visitor, switch="1")
    saved = await _post(visitor)
    assert "2 users now" in saved
    assert 'name="0-value" value="18"' in saved


async def test_json_goes_back_to_rows_where_rows_can_say_it(door: Door, visit: Visit) -> None:
    visitor = await visit()
    fields = {"mode": "json", "name": "n", "switch": "1"}
    simple = {**fields, "conditions": '{"tag": {"any": ["vip"]}}'}
    assert 'name="0-tags" value="vip"' in (await visitor.post("/segments", data=simple)).text
    nested = {**fields, "conditions": '{"not": {"tag": {"any": ["vip"]}}}'}
    answer = await visitor.post("/segments", data=nested)
    assert (answer.status_code, "go on with JSON" in answer.text) == (400, True)


async def test_a_segment_is_counted_while_it_is_written(
    door: Door, browser_path: str | None
) -> None:
    await operators.create(door.system, "admin", PASSWORD, "administrator")
    await _people(door)
    async with opened(browser_path, door, "zh", WIDE) as page:
        await log_in(page)
        await page.goto("/segments/new")
        await page.click("button[name=drop]")
        await page.wait_for_selector("text=当前 3 人")
        await page.click("button[value=attribute]")
        await page.fill("[name='0-name']", "age")
        await page.select_option("[name='0-type']", "number")
        await page.fill("[name='0-value']", "25")
        await page.select_option("[name='0-op']", "gt")
        await page.wait_for_selector("text=当前 1 人")
        await page.wait_for_selector("text=seg30")


async def test_users_of_a_segment_are_found(door: Door, visit: Visit) -> None:
    visitor = await visit()
    await _people(door)
    await _post(visitor)
    found = (await visitor.get("/users?segment=1&search=seg")).text
    assert ("seg10" in found, "seg20" in found, "seg30" in found) == (False, True, True)
    assert (await visitor.get("/users?segment=9")).status_code == 400
    assert (await visitor.get("/users?segment=x")).status_code == 400
