"""Password and second factor are asked for again, before what an open browser is not enough for."""

import re
import time as system_time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from litestar.routes import HTTPRoute

from console.conftest import PASSWORD, Visit, browsing, log_in
from console.test_middleware import sample
from console.test_two_factor import code_of, set_up
from support.clocks import Time
from support.doors import Door, idle_application
from ums import clock
from ums.console.middleware import Door as Middleware
from ums.console.reauthentication import BEFORE_FORM, PAGE, RECENT
from ums.core.channels import channels
from ums.core.identity import invitations, operators

BOTH_DATABASES = True

# What is about passwords, second factors, tokens, secrets, operators, invitations and exports.
NOUNS = re.compile(
    r"password|two-factor|second|recovery|codes|token|secret|rotate|callbacks|access|/key"
    r"|operator|invit|grant|role|session|export|rejects|\.csv|\.xlsx|restored|backup|/channels/new"
    r"|senders/new|senders/\{code\}/edit|/mailbox|/settings|/rules"
)
OPEN_TO_ALL = {
    ("POST", "/senders/{code}/mailbox/look"): "it reads what it may read anyway",
    ("GET", "/invitation/{token}"): "whoever has the link has no account yet",
    ("POST", "/invitation/{token}"): "whoever has the link has no account yet",
    ("POST", "/login/second"): "it is the authentication itself",
    ("GET", "/sandbox/enter/{token}"): "a link of its own, for the sandbox alone",
    ("GET", "/statistics.csv"): "counts, no addresses",
    ("GET", "/imports/template.xlsx"): "an empty sheet",
    ("GET", "/restored"): "it only tells",
}


def routes() -> Iterator[tuple[str, str, Any]]:
    for route in idle_application().routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in ("OPTIONS", "HEAD") and Middleware in handler.resolve_middleware():
                    yield method, route.path_format, handler


ROUTES = list(routes())
RECENTS = [(method, path) for method, path, handler in ROUTES if handler.opt.get("recent")]


def test_every_page_of_secrets_rights_and_exports_asks() -> None:
    about = {(method, path) for method, path, _ in ROUTES if NOUNS.search(path)}
    assert about - set(RECENTS) == set(OPEN_TO_ALL)
    assert {
        ("POST", "/senders"),
        ("POST", "/senders/{code}"),
        ("POST", "/channels"),
        ("GET", "/shown/{shown_id}"),
    } <= set(RECENTS)  # they show secrets


def test_a_form_is_asked_for_before_it_is_shown() -> None:
    """Each way back leads to a page that there is."""
    pages = {path for method, path, _ in ROUTES if method == "GET"}
    for method, path, handler in ROUTES:
        told = handler.opt.get("recent")
        if told and method != "GET":
            assert (path if told is True else told) in pages, path


@pytest.fixture
async def late(visit: Visit, time: Time) -> httpx.AsyncClient:
    """Somebody who signed in a while ago."""
    visitor = await visit()
    time.at += RECENT + 1
    return visitor


async def test_whoever_signed_in_long_ago_is_asked(late: httpx.AsyncClient) -> None:
    for method, path in RECENTS:
        answer = await late.request(method, sample(path))
        assert answer.status_code == 303, path
        where = urlsplit(answer.headers["location"])
        assert where.path == PAGE, path
        query = parse_qs(where.query)
        assert query["next"][0].startswith("/"), path
        assert ("sent" in query) == (method == "POST"), path


async def test_rules_and_settings_are_asked_for_of_whoever_may_change_them(
    door: Door, visit: Visit, time: Time
) -> None:
    channel = await door.channel()
    path = f"/channels/{channel.key}/rules"
    boss, viewer = await visit(), await visit("viewer")
    time.at += RECENT + 1
    assert (await viewer.get(path)).status_code == 200
    for page, fields in ((path, {"approval": "on"}), ("/settings", {"audit_retention_days": "31"})):
        assert (await boss.get(page)).headers["location"].startswith(PAGE)
        assert (await boss.post(page, data=fields)).headers["location"].startswith(PAGE)
    assert not (await channels.rules_of(door.system, channel.key)).approval
    assert door.system.settings.audit_retention_days != 31
    await boss.post(PAGE, data={"password": PASSWORD})
    rules = {"approval": "on", "approval_from": "1", "zone": "UTC"}
    rules |= {"broadcasts_per_day": "0", "requests_per_second": "0"}
    assert "did=" in (await boss.post(path, data=rules)).headers["location"]
    assert (await channels.rules_of(door.system, channel.key)).approval
    assert (
        "did="
        in (await boss.post("/settings", data={"audit_retention_days": "31"})).headers["location"]
    )
    assert door.system.settings.audit_retention_days == 31


async def test_nothing_is_done_before(late: httpx.AsyncClient, door: Door) -> None:
    sent = await late.post("/tokens", data={"name": "x", "scopes": "admin"})
    page = await late.get(sent.headers["location"])
    assert "What you just sent was not carried out" in page.text
    part = await late.post("/tokens", data={}, headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"][: len(PAGE)]) == (200, PAGE)
    assert await door.listed("/api/tokens", await door.api_token()) != []
    names = [one["name"] for one in await door.listed("/api/tokens", await door.api_token())]
    assert "x" not in names


async def test_it_leads_back_and_then_asks_no_more(late: httpx.AsyncClient, door: Door) -> None:
    asked = await late.get("/tokens?sort=name")
    next_ = parse_qs(urlsplit(asked.headers["location"]).query)["next"][0]
    assert next_ == "/tokens?sort=name"
    assert 'name="code"' not in (await late.get(asked.headers["location"])).text
    wrong = await late.post(PAGE, data={"password": "not this", "next": next_})
    assert (wrong.status_code, "This is not your password" in wrong.text) == (401, True)
    before = late.cookies["ums_session"]
    right = await late.post(PAGE, data={"password": PASSWORD, "next": next_})
    assert (right.status_code, right.headers["location"]) == (303, next_)
    assert late.cookies["ums_session"] != before
    assert (await late.get("/tokens")).status_code == 200
    old = {"Cookie": f"ums_session={before}"}
    async with httpx.AsyncClient(base_url=late.base_url, trust_env=False) as thief:
        assert (await thief.get("/home", headers=old)).status_code == 303
    noted = await door.listed("/api/audit?action=operator.confirm", await door.api_token())
    assert [one["actor"] for one in noted] == ["operator:administrator0"]
    away = await late.post(PAGE, data={"password": PASSWORD, "next": "//evil.example"})
    assert away.headers["location"] == "/home"


async def test_a_form_leaves_time_to_be_filled_in(visit: Visit, time: Time) -> None:
    visitor = await visit()
    time.at += BEFORE_FORM
    assert (await visitor.get("/tokens")).status_code == 200
    time.at += RECENT - BEFORE_FORM
    assert (await visitor.get("/tokens")).status_code == 303
    fields = {"name": "x", "scopes": "admin"}
    made = await visitor.post("/tokens", data=fields)
    assert made.headers["location"].startswith("/shown/")
    time.at += 1
    late = await visitor.post("/tokens", data=fields)
    assert late.headers["location"].startswith(PAGE)


async def test_the_second_factor_is_asked_for_too(door: Door, visit: Visit) -> None:
    visitor = await visit()
    secret, used, codes = await set_up(visitor)
    assert 'name="code"' in (await visitor.get(PAGE)).text
    for code in ("", "000000", used):
        answer = await visitor.post(PAGE, data={"password": PASSWORD, "code": code})
        assert answer.status_code == 401, code
    right = await visitor.post(PAGE, data={"password": PASSWORD, "code": code_of(secret, 1)})
    assert right.status_code == 303
    wrong = await visitor.post(PAGE, data={"password": "not this", "code": codes[0]})
    assert wrong.status_code == 401
    assert (
        await visitor.post(PAGE, data={"password": PASSWORD, "code": codes[0]})
    ).status_code == 303  # a wrong password does not use a code up


async def test_a_stolen_session_cannot_replace_the_second_factor(
    door: Door, visit: Visit, time: Time
) -> None:
    time.at = int(system_time.time() * 1000)  # the authenticator's clock
    visitor = await visit()
    await set_up(visitor)
    time.at += RECENT + 1
    for path in ("/account/two-factor", "/account/two-factor/remove", "/account/two-factor/codes"):
        answer = await visitor.post(path, data={"ticket": "x", "code": "1", "password": PASSWORD})
        assert answer.headers["location"].startswith(PAGE), path
    async with browsing(door) as client:
        assert "set-cookie" not in (await log_in(client, "administrator0")).headers


async def test_to_confirm_is_open_to_whoever_has_to_change_the_password(
    door: Door, time: Time
) -> None:
    first = await operators.create_first(door.system)
    assert first is not None
    async with browsing(door) as client:
        await log_in(client, "admin", first)
        time.at += clock.HOUR
        sent = await client.get("/home")
        assert sent.headers["location"] == "/account/password"
        asked = await client.get("/account/password")
        assert asked.headers["location"].startswith(PAGE)
        done = await client.post(PAGE, data={"password": first, "next": "/account/password"})
        assert done.headers["location"] == "/account/password"
        assert (await client.get("/account/password")).status_code == 200


async def test_tries_to_confirm_are_counted(late: httpx.AsyncClient) -> None:
    statuses = [
        (await late.post(PAGE, data={"password": f"guess {n}"})).status_code for n in range(6)
    ]
    assert statuses == [401] * 5 + [429]
    old = {"old": "guess", "password": "another horse battery", "again": "another horse battery"}
    assert (await late.post("/account/password", data=old)).status_code == 303
    held = await late.post(PAGE, data={"password": PASSWORD})
    assert (held.status_code, held.headers["retry-after"]) == (429, "5")


async def test_invitations_cannot_be_guessed(door: Door, time: Time) -> None:
    async with browsing(door) as stranger:
        statuses = [(await stranger.get(f"/invitation/guess{n}")).status_code for n in range(21)]
        assert statuses == [404] * 20 + [429]
        held = await stranger.post("/invitation/guess", data={})
        assert (held.status_code, held.headers["retry-after"]) == (429, "5")
        token = await invitations.create(door.system, "viewer", actor="local")
        assert (await stranger.get(f"/invitation/{token}")).status_code == 200  # whoever guesses
