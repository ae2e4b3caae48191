"""The console's door: who sees what, and that forms come from the console itself."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Router, get
from litestar.routes import HTTPRoute
from msgspec import structs
from sqlalchemy import update

from console.conftest import PASSWORD, Visit, browsing, log_in
from support.doors import Door, open_door
from ums.app import build
from ums.config import Settings
from ums.console.middleware import ANY, OPEN, settle
from ums.console.middleware import Door as Middleware
from ums.core.identity import invitations, operators
from ums.core.identity.scopes import OF_ROLE, holds
from ums.core.tables import operators as rows

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
async def test_a_role_opens_its_pages_and_no_other(
    door: Door, visit: Visit, role: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live_updates.LONGEST", 1)  # the sandbox's stream has no end
    visitor = await visit(role)
    for method, path, scope in CLOSED:
        if path in ("/logout", "/account/password", "/account/sessions/1/end"):
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


async def test_a_refused_form_says_what_to_do(door: Door) -> None:
    async with browsing(door) as stranger:
        answer = await stranger.post("/login", headers={"Origin": "https://evil.example"})
        chinese = await stranger.post(
            "/login", headers={"Origin": "null", "Accept-Language": "zh-CN"}
        )
    assert (answer.status_code, chinese.status_code) == (403, 403)
    assert "This form was not accepted" in answer.text
    assert "UMS_PUBLIC_URL" in answer.text
    assert "Not with your role" not in answer.text
    assert ("表单未被接受" in chinese.text, "UMS_PUBLIC_URL" in chinese.text) == (True, True)


async def test_forms_of_our_own_pages_pass_behind_proxies(settings: Settings) -> None:
    """`proxy_set_header Host $host` drops the port; browsers say themselves what is the same."""
    fields = {"name": "nobody", "password": "nothing"}
    passed: list[dict[str, str]] = [
        {"Host": "localhost", "Origin": "https://localhost:18443", "Sec-Fetch-Site": "same-origin"},
        {"Host": "ums.example", "Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Host": "ums.example", "Origin": "https://ums.example"},
        {"Host": "ums.example:443", "Origin": "https://ums.example"},
        {"Host": "10.0.0.1:8080", "Origin": "https://mail.example:8443"},  # the public URL
        {"Host": "a", "X-Forwarded-Host": "b.example:1", "Origin": "https://b.example:1"},
        {"Host": "b.example", "X-Forwarded-Port": "81", "Origin": "http://b.example:81"},
    ]
    refused: list[dict[str, str]] = [
        {"Host": "localhost", "Origin": "https://localhost:18443"},
        {"Host": "ums.example", "Origin": "https://ums.example", "Sec-Fetch-Site": "cross-site"},
        {"Host": "ums.example", "Origin": "https://ums.example.evil.example"},
        {"Host": "ums.example", "Origin": "https://evil.example?ums.example"},
        {"Host": "10.0.0.1:8080", "Origin": "http://mail.example:8443"},
        {"Host": "ums.example", "Origin": "http://["},
        {"Host": "ums.example", "Origin": "http://ums.example:x"},
        {"Host": "ums.example", "Origin": "ums.example"},
        {"Host": "ums.example", "Origin": ""},
        {"Host": "ums.example"},
    ]
    public = structs.replace(
        settings, public_url="https://mail.example:8443", trusted_proxies="127.0.0.1"
    )
    async with (
        open_door(public) as door,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}", trust_env=False) as browser,
    ):
        for headers in passed:
            answer = await browser.post("/login", data=fields, headers=headers)
            assert answer.status_code != 403, headers
        for headers in refused:
            answer = await browser.post("/login", data=fields, headers=headers)
            assert answer.status_code == 403, headers


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/home\r\nSet-Cookie: a=b",
        "/home\nX: y",
        " //evil.example",
        "",
    ],
)
async def test_nobody_is_led_elsewhere_after_signing_in(
    door: Door, visit: Visit, where: str
) -> None:
    await visit()
    async with browsing(door) as client:
        fields = {"name": "administrator0", "password": PASSWORD, "next": where}
        answer = await client.post("/login", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/home")
    assert [name for name, _ in answer.cookies.items() if name == "a"] == []


async def test_an_address_with_line_breaks_makes_no_header(door: Door) -> None:
    async with browsing(door) as stranger:
        for path in ("/users%0d%0aX-Evil:1", "/users?q=%0d%0aX-Evil:%201", "/home%0aX-Evil:1"):
            answer = await stranger.get(path)
            assert "x-evil" not in answer.headers, path
            assert "\n" not in answer.headers.get("location", "")


async def test_a_foreign_host_shows_in_no_link(door: Door) -> None:
    async with browsing(door) as stranger:
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        for path in ("/login", "/home", "/users", "/", "/nothing"):
            answer = await stranger.get(path, headers=headers)
            assert "evil.example" not in answer.text + answer.headers.get("location", ""), path


async def test_pages_carry_their_policy(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live_updates.LONGEST", 1)  # the sandbox's stream has no end
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


async def test_every_page_has_a_way_out(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ums.console.live_updates.LONGEST", 1)  # the sandbox's stream has no end
    visitor = await visit()
    shown = 0
    for path in [path for method, path, _ in CLOSED if method == "GET"]:
        answer = await visitor.get(path)
        if "<html" in answer.text:
            shown += 1
            assert '<form method="post" action="/logout">' in answer.text, path
    assert shown > 40


async def test_passwords_are_masked_and_filled_in_by_programs(door: Door, visit: Visit) -> None:
    token = await invitations.create(door.system, "viewer", actor="test")
    visitor = await visit()
    found = []
    async with browsing(door) as stranger:
        asked = [(stranger, "/login"), (stranger, f"/invitation/{token}")]
        for client, path in [*asked, (visitor, "/account/password")]:
            text = (await client.get(path)).text
            fields = re.findall(r'<input[^>]* name="(?:password|old|again)"[^>]*>', text)
            assert len(fields) == text.count('type="password"') > 0, path
            found += fields
    assert len(found) == 6
    for field in found:
        assert 'type="password"' in field
        assert re.search('autocomplete="(current|new)-password"', field)


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


async def test_a_page_of_another_role_says_which(door: Door, visit: Visit) -> None:
    for language, wanted in (("en", "needs another role: Administrator"), ("zh", "角色：管理员")):
        refused = await (await visit("viewer", language)).get("/tokens")
        assert (refused.status_code, wanted in refused.text) == (403, True)
        assert "tokens:read" not in refused.text
    refused = await (await visit("viewer", "en")).get("/send")
    assert "Administrator or Operator" in refused.text


async def test_a_page_that_is_not_for_those_bound_to_channels_says_so(
    door: Door, visit: Visit
) -> None:
    """Its heading speaks of the channels, not of a role that is the right one."""
    mine = await door.channel()
    id = (await door.system.directory.now()).channels[mine.key].id
    for language, title, text in (
        ("en", "Your account is limited to some channels", "This concerns every channel"),
        ("zh", "您的账号仅限部分渠道", "此操作涉及所有渠道"),
    ):
        visitor = await visit("administrator", language)
        async with door.system.database.write() as tx:
            await tx.run(update(rows).values(channels=f"[{id}]"))
        refused = await visitor.get("/audit")
        assert refused.status_code == 403
        assert f"<h1>{title}</h1>" in refused.text
        assert text in refused.text


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"channels": "all"},
        {"scope": "channels:read"},
        {"scope": "channels:nothing", "channels": "own"},
        {"scope": "channels:read", "channels": "some"},
    ],
)
def test_a_page_that_does_not_say_who_may_see_it_does_not_start(said: dict[str, str]) -> None:
    @get("/x", **said)  # type: ignore[arg-type]
    async def page() -> None: ...

    router = Router("/", route_handlers=[page], middleware=[Middleware])
    with pytest.raises(RuntimeError, match="who may see it"):
        settle(Litestar([router], openapi_config=None))
