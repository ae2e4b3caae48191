"""The console's door: who sees what, and that forms come from the console itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from console.conftest import Visit, browsing, log_in
from doors import Door
from ums.app import build
from ums.config import Settings
from ums.console.door import ANY, OPEN
from ums.console.door import Door as Middleware
from ums.core.scopes import OF_ROLE, holds

VALUES = {"msgid": "none", "key": "none", "code": "none", "userid": "none", "verb": "pause"}


def pages() -> Iterator[tuple[str, str, str]]:
    """(method, path, scope) of every page."""
    for route in build(Settings()).routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in ("OPTIONS", "HEAD") and Middleware in handler.resolve_middleware():
                    yield method, sample(route.path_format), handler.opt["scope"]


def sample(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1], "1"), path)


PAGES = sorted(pages())
CLOSED = [one for one in PAGES if one[2] != OPEN]


def test_there_are_pages() -> None:
    assert len(PAGES) > 40
    assert {("GET", "/login", OPEN), ("GET", "/home", ANY)} <= set(PAGES)


async def test_a_stranger_is_led_to_the_log_in_page(door: Door) -> None:
    async with browsing(door) as stranger:
        for method, path, _ in CLOSED:
            answer = await stranger.request(method, path)
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/login"), (method, path)


@pytest.mark.parametrize("role", ["operator", "viewer"])
async def test_a_role_opens_its_pages_and_no_other(door: Door, visit: Visit, role: Any) -> None:
    visitor = await visit(role)
    for method, path, scope in CLOSED:
        if path in ("/logout", "/account/password"):
            continue
        answer = await visitor.request(method, path)
        may = scope == ANY or holds(OF_ROLE[role], scope)
        assert (answer.status_code == 403) == (not may), (method, path, answer.status_code)
        assert answer.status_code < 500


async def test_forms_of_other_sites_are_refused(door: Door, visit: Visit) -> None:
    visitor = await visit()
    strange: list[dict[str, str]] = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "", "Sec-Fetch-Site": "cross-site"},
        {"Origin": str(visitor.base_url).rstrip("/"), "Sec-Fetch-Site": "same-site"},
    ]
    for method, path, _ in PAGES:
        if method == "POST":
            for headers in strange:
                answer = await visitor.post(path, headers=headers)
                assert answer.status_code == 403, (path, headers)
    assert (await visitor.get("/home")).status_code == 200  # and nobody is signed out


async def test_pages_carry_their_policy(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live.LONGEST", 1)  # the sandbox's stream has no end
    visitor = await visit()
    for method, path, _ in PAGES:
        if method == "GET" and not path.endswith((".xlsx", ".csv", "/rejects")):
            answer = await visitor.get(path)
            if answer.status_code == 303:
                continue
            policy = answer.headers["content-security-policy"]
            assert "unsafe-inline" not in policy or "sandbox" in policy, path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert "<script>" not in answer.text
            assert " style=" not in answer.text
            assert not re.search(r"\son[a-z]+=", answer.text), path


async def test_there_are_no_dead_ends(door: Door, visit: Visit) -> None:
    visitor = await visit(language="zh")
    gone = await visitor.get("/nothing/here")
    assert (gone.status_code, "找不到" in gone.text) == (404, True)
    for path in ("/channels/none", "/users/none", "/messages/none", "/senders/none", "/send/7"):
        answer = await visitor.get(path)
        assert (answer.status_code, 'href="/home"' in answer.text) == (404, True), path
    program = await visitor.get("/nothing/here", headers={"Accept": "application/json"})
    assert program.json()["code"] == 4004


async def test_the_base_url_leads_people_to_the_console(door: Door, visit: Visit) -> None:
    visitor = await visit()
    assert (await visitor.get("/")).headers["location"] == "/home"
    program = await visitor.get("/", headers={"Accept": "*/*"})
    assert (program.status_code, program.json()["code"]) == (200, 0)


async def test_a_channels_operator_sees_that_channel_alone(door: Door) -> None:
    from sqlalchemy import update

    from ums.core import operators
    from ums.core.models import operators as rows

    mine, other = await door.channel(), await door.channel()
    body = {"recipients": [{"address": "a@example.org"}], "subject": "s", "text": "t"}
    theirs = (await door.post("/api/messages", body, other)).body["msgid"]
    own = (await door.post("/api/messages", body, mine)).body["msgid"]
    id = (await door.system.directory.now()).channels[mine.key].id
    await operators.create(door.system, "li", "correct horse battery", "operator")
    async with door.system.database.write() as tx:
        await tx.run(update(rows).where(rows.c.name == "li").values(channels=f"[{id}]"))
    async with browsing(door) as li:
        await log_in(li, "li")
        assert (await li.get(f"/messages/{own}")).status_code == 200
        assert (await li.get(f"/channels/{mine.key}")).status_code == 200
        listed = (await li.get("/messages")).text
        assert (own in listed, theirs in listed) == (True, False)
        for path in (f"/messages/{theirs}", f"/channels/{other.key}"):
            assert (await li.get(path)).status_code == 404, path
        assert (await li.post(f"/messages/{theirs}/cancel")).status_code == 404
        assert (await li.get("/senders")).status_code == 403
        sent = {"channel": other.key, "to": "people", "people": "x@example.org", "with": "text"}
        assert (
            await li.post("/send", data={**sent, "subject": "s", "body": "t"})
        ).status_code == 404
