"""Roles that need a second factor, lost ones, and the sessions of operators."""

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from console.conftest import PASSWORD, Visit, browsing, log_in
from console.test_two_factor import set_up
from support.doors import Door
from ums.core.identity import operator_access, operators
from ums.core.identity.operators import Role
from ums.core.identity.user_agents import name_of
from ums.core.settings import runtime_settings

BOTH_DATABASES = True

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"  # noqa: E501


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (CHROME, "Chrome 131 · Windows"),
        (f"{CHROME} Edg/131.0.0.0", "Edge 131 · Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
            " (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
            "Safari 18 · Mac",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
            " (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
            "Safari 18 · iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
            " Chrome/130.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.50",
            "WeChat 8 · Android",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            "Firefox 132 · Linux",
        ),
        ("curl/8.5.0", ""),
        ("", ""),
    ],
)
def test_a_browser_has_a_name(agent: str, device: str) -> None:
    assert name_of(agent) == device


async def require(door: Door, *roles: Role) -> None:
    await runtime_settings.change(door.system, {"two_factor_roles": ", ".join(roles)})


async def test_a_role_that_needs_one_sets_it_up_before_anything_else(
    door: Door, visit: Visit
) -> None:
    visitor: httpx.AsyncClient = await visit("viewer")
    assert (await visitor.get("/messages")).status_code == 200
    await require(door, "viewer", "administrator")
    for method, path in (("GET", "/messages"), ("GET", "/account"), ("POST", "/users/x/delete")):
        sent = await visitor.request(method, path)
        assert (sent.status_code, sent.headers["location"]) == (303, "/account/two-factor"), path
    assert "Your role needs a second factor" in (await visitor.get("/account/two-factor")).text
    await set_up(visitor)
    assert (await visitor.get("/messages")).status_code == 200
    assert "cannot be removed" in (await visitor.get("/account")).text
    removed = await visitor.post("/account/two-factor/remove", data={"password": PASSWORD})
    assert removed.status_code == 403
    assert (await operators.show(door.system, "viewer0")).two_factor
    await require(door)
    await visitor.post("/account/two-factor/remove", data={"password": PASSWORD})
    assert not (await operators.show(door.system, "viewer0")).two_factor


async def test_a_role_that_needs_none_is_left_alone(door: Door, visit: Visit) -> None:
    await require(door, "administrator")
    visitor = await visit("operator")
    assert (await visitor.get("/messages")).status_code == 200


async def test_an_administrator_says_which_roles_need_one(door: Door, visit: Visit) -> None:
    visitor = await visit()
    done = await visitor.post("/settings/second-factor", data={"roles": ["operator", "viewer"]})
    assert done.headers["location"] == "/operators?did=administration.did_require"
    assert door.system.settings.two_factor_roles == "operator, viewer"
    text = (await visitor.get("/operators")).text
    assert 'value="viewer" checked' in text
    assert 'value="administrator" checked' not in text
    token = await door.api_token("operators:write")
    answer = await door.send("PATCH", "/api/settings", {"two_factor_roles": ""}, token)
    assert answer.told == (403, 4005, "scope_missing")
    wrong = await visitor.post("/settings/second-factor", data={"roles": ["king"]})
    assert wrong.status_code == 400
    await visitor.post("/settings/second-factor", data={})
    assert door.system.settings.two_factor_roles == ""


async def test_the_first_page_suggests_it_until_it_is_required(door: Door, visit: Visit) -> None:
    boss, chinese, other = await visit(), await visit(language="zh"), await visit("operator")
    for visitor, word in ((boss, "Require a second factor"), (chinese, "启用两步验证")):
        (step,) = re.findall(rf"<li([^>]*)><a[^>]*>{word}</a>", (await visitor.get("/home")).text)
        assert "good" not in step
    assert "Require a second factor" not in (await other.get("/home")).text
    assert 'id="second-factor"' in (await boss.get("/operators")).text
    await set_up(boss)
    await boss.post("/settings/second-factor", data={"roles": ["administrator"]})
    text = (await boss.get("/home")).text
    assert '<li class="good"><a href="/operators#second-factor">' in text


async def test_a_lost_factor_is_reset_and_the_sessions_end(door: Door, visit: Visit) -> None:
    boss, lost = await visit(), await visit("operator")
    await set_up(lost)
    shown = (await boss.get("/operators/operator1")).text
    assert "/operators/operator1/reset-second-factor" in shown
    done = await boss.post("/operators/operator1/reset-second-factor")
    assert done.headers["location"] == "/operators/operator1?did=administration.did_reset_factor"
    assert (await lost.get("/home")).status_code == 303
    async with browsing(door) as client:
        assert (await log_in(client, "operator1")).status_code == 303  # the password is enough
    token = await door.api_token()
    noted = await door.listed("/api/audit?action=operator.reset_second_factor", token)
    assert [(one["actor"], one["subject"]) for one in noted] == [
        ("operator:administrator0", "operator1")
    ]


async def test_single_sessions_are_seen_and_ended(door: Door, visit: Visit) -> None:
    boss = await visit()
    await operators.create(door.system, "王 Wang", PASSWORD, "operator")
    token, path = await door.api_token(), f"/api/operators/{quote('王 Wang')}/sessions"
    async with browsing(door) as one, browsing(door) as other, browsing(door) as third:
        for client in (one, other, third):
            client.headers["User-Agent"] = CHROME
            await log_in(client, "王 Wang")
        shown = await boss.get(f"/operators/{quote('王 Wang')}")
        assert shown.text.count("Chrome 131 · Windows") == 3
        listed: list[dict[str, Any]] = (await door.get(path, token)).body["sessions"]
        assert {each["device"] for each in listed} == {"Chrome 131 · Windows"}
        assert "digest" not in listed[0]
        last, first = max(each["id"] for each in listed), min(each["id"] for each in listed)
        ended = await boss.post(f"/operators/{quote('王 Wang')}/sessions/{last}/end")
        assert ended.headers["location"].startswith("/operators/%E7%8E%8B%20Wang?did=")
        assert (await third.get("/home")).status_code == 303
        assert (await one.get("/home")).status_code == 200
        assert (await door.ask("DELETE", f"{path}/{first}", token)).status == 204
        assert (await door.ask("DELETE", f"{path}/{first}", token)).status == 404
        assert (await one.get("/home")).status_code == 303
        assert (await other.get("/home")).status_code == 200
        assert (await door.ask("DELETE", path, token)).status == 204
        assert (await other.get("/home")).status_code == 303
    assert (await boss.get("/home")).status_code == 200


async def test_ones_own_sessions_are_ended_one_by_one_and_no_one_elses(
    door: Door, visit: Visit
) -> None:
    boss = await visit()
    await operators.create(door.system, "li", PASSWORD, "operator")
    async with browsing(door) as here, browsing(door) as there:
        await log_in(here, "li")
        await log_in(there, "li")
        ids = [one.id for one in await operator_access.sessions_of(door.system, "li")]
        bosses = (await operator_access.sessions_of(door.system, "administrator0"))[0].id
        assert (await here.post(f"/account/sessions/{bosses}/end")).status_code == 404
        assert (await boss.get("/home")).status_code == 200
        assert (await here.post(f"/account/sessions/{max(ids)}/end")).status_code == 303
        assert (await there.get("/home")).status_code == 303
        assert (await here.get("/home")).status_code == 200


async def test_who_stands_above_keeps_sessions_and_factor(door: Door, visit: Visit) -> None:
    boss = await visit()
    await set_up(boss)
    few, path = await door.api_token("operators:write"), "/api/operators/administrator0"
    session = (await operator_access.sessions_of(door.system, "administrator0"))[0].id
    for method, sub in (
        ("POST", "/reset-second-factor"),
        ("DELETE", "/sessions"),
        ("DELETE", f"/sessions/{session}"),
    ):
        answer = await door.ask(method, path + sub, few)
        assert answer.told == (403, 4005, "stands_above"), sub
    assert (await boss.get("/home")).status_code == 200
    assert (await operators.show(door.system, "administrator0")).two_factor
