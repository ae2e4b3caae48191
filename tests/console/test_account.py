"""Signing in and out, passwords, sessions."""

import httpx
from msgspec import structs
from sqlalchemy import update

from console.conftest import PASSWORD, Visit, browsing, log_in
from support.clocks import Time
from support.doors import Door, open_door
from ums.config import Settings
from ums.core.identity import operators
from ums.core.identity.login import FREE
from ums.core.tables import operators as rows

BOTH_DATABASES = True


async def test_in_and_out(door: Door) -> None:
    await operators.create(door.system, "管理员", PASSWORD)
    async with browsing(door, "zh") as client:
        wrong = await log_in(client, "管理员", "not this")
        assert (wrong.status_code, "用户名或密码不正确" in wrong.text) == (401, True)
        assert "not this" not in wrong.text
        right = await log_in(client, "管理员")
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert (await client.get("/home")).status_code == 200
        held = client.cookies["ums_session"]
        await client.post("/logout")
        again = await client.get("/home", headers={"Cookie": f"ums_session={held}"})
        assert again.status_code == 303


async def test_it_goes_on_where_one_wanted_to_be_and_never_elsewhere(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    for wanted, reached in (
        ("/users?tag=x", "/users?tag=x"),
        ("https://evil.example/", "/home"),
        ("//evil.example/", "/home"),
        ("/\\evil.example", "/home"),
        ("javascript:alert(1)", "/home"),
    ):
        async with browsing(door) as client:
            fields = {"name": "li", "password": PASSWORD, "next": wanted}
            answer = await client.post("/login", data=fields)
            assert answer.headers["location"] == reached
    async with browsing(door) as client:
        asked = await client.get("/users?tag=x")
        assert asked.headers["location"] == "/login?next=%2Fusers%3Ftag%3Dx"


async def test_a_name_may_be_typed_in_any_case(door: Door) -> None:
    await operators.create(door.system, "Zhang San", PASSWORD)
    for name in ("Zhang San", "zhang san", "ZHANG SAN", "zhangsan", " Zhang San "):
        async with browsing(door) as client:
            assert (await log_in(client, name)).headers["location"] == "/home", name
            assert "Zhang San" in (await client.get("/account")).text
    token = await door.api_token()
    noted = await door.listed("/api/audit?action=operator.sign_in", token)
    assert {one["subject"] for one in noted} == {"Zhang San"}


async def test_another_spelling_is_no_further_try(door: Door) -> None:
    await operators.create(door.system, "Zhang San", PASSWORD)
    spellings = ("Zhang San", "zhang san", "ZHANG SAN", "zhangsan", "zHANG sAN", "Zhang  San")
    async with browsing(door) as client:
        statuses = [(await log_in(client, name, "wrong")).status_code for name in spellings]
    assert statuses == [401] * FREE + [429]
    token = await door.api_token()
    noted = await door.listed("/api/audit?action=sign_in.failed", token)
    assert {one["subject"] for one in noted} == {"Zhang San"}


async def test_of_two_that_looked_alike_before_each_signs_in_as_itself(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    await operators.create(door.system, "wang", "two brown herons fly")
    async with door.system.database.write() as tx:  # as another table of look-alikes leaves them
        await tx.run(update(rows).where(rows.c.name == "wang").values(name="LI"))
    for name, password, good in (
        ("li", PASSWORD, True),
        ("LI", "two brown herons fly", True),
        ("LI", PASSWORD, False),
        ("Li", PASSWORD, True),
    ):
        async with browsing(door) as client:
            assert ((await log_in(client, name, password)).status_code == 303) == good, name


async def test_whoever_guesses_has_to_wait(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as client:
        statuses = [(await log_in(client, "li", f"guess {n}")).status_code for n in range(FREE + 1)]
        assert statuses == [401] * FREE + [429]
        held = await log_in(client, "li")  # the right one as well
        assert held.status_code == 429
        assert 1 <= int(held.headers["retry-after"]) <= 5


async def test_a_browser_that_was_used_before_is_not_kept_out(door: Door, time: Time) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as known, browsing(door) as guesser:
        await log_in(known, "li")
        await known.post("/logout")
        for _ in range(FREE + 1):
            await log_in(guesser, "li", "guess")
        assert (await log_in(guesser, "li")).status_code == 429
        assert (await log_in(known, "li")).status_code == 303


async def test_under_tls_only_cookies_of_this_host_count(settings: Settings) -> None:
    settings = structs.replace(settings, public_url="https://ums.example.org")
    async with open_door(settings) as door, browsing(door) as client:
        await operators.create(door.system, "li", PASSWORD)
        headers = {"Origin": "https://ums.example.org"}
        fields = {"name": "li", "password": PASSWORD}
        entered = await client.post("/login?lang=zh", data=fields, headers=headers)
        told = entered.headers.get_list("set-cookie")
        assert sorted(one.partition("=")[0] for one in told) == [
            "__Host-ums_device",
            "__Host-ums_session",
        ]
        language = (await client.get("/login?lang=zh")).headers["set-cookie"]
        for one in (*told, language):
            parts = {part.strip().lower() for part in one.split(";")[1:]}
            assert {"secure", "path=/", "httponly", "samesite=lax"} <= parts, one
            assert not any(part.startswith("domain") for part in parts), one
            assert one.startswith("__Host-")
        held = next(one for one in told if "session" in one).partition("=")[2].partition(";")[0]
        for name, status in (("__Host-ums_session", 200), ("ums_session", 303)):
            asked = await client.get("/home", headers={"Cookie": f"{name}={held}"})
            assert asked.status_code == status, name
        chinese = await client.get("/login", headers={"Cookie": "ums_language=zh"})
        assert 'lang="zh-CN"' not in chinese.text.partition(">")[2][:40]


async def test_a_session_that_was_put_into_a_browser_is_not_signed_in(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as client:
        client.cookies.set("ums_session", "chosen-by-somebody-else")
        entered = await log_in(client, "li")
        told = next(one for one in entered.headers.get_list("set-cookie") if "session" in one)
        assert "chosen-by-somebody-else" not in told
        planted = {"Cookie": "ums_session=chosen-by-somebody-else"}
        async with browsing(door) as other:
            assert (await other.get("/home", headers=planted)).status_code == 303


async def test_who_logs_in_again_leaves_no_session_behind(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as client, browsing(door) as thief:
        await log_in(client, "li")
        stolen = {"Cookie": f"ums_session={client.cookies['ums_session']}"}
        assert (await thief.get("/home", headers=stolen)).status_code == 200
        await log_in(client, "li")
        assert (await client.get("/home")).status_code == 200
        assert (await thief.get("/home", headers=stolen)).status_code == 303


async def test_a_password_that_a_program_made_has_to_be_changed(door: Door) -> None:
    first = await operators.create_first(door.system)
    assert first is not None
    async with browsing(door) as client:
        await log_in(client, "admin", first)
        sent = await client.get("/channels")
        assert sent.headers["location"] == "/account/password"
        fields = {"old": first, "password": PASSWORD, "again": PASSWORD}
        for wrong in (
            {**fields, "old": "another"},
            {**fields, "again": "another one here"},
            {**fields, "password": "short", "again": "short"},
            {**fields, "password": first, "again": first},
        ):
            refused = await client.post("/account/password", data=wrong)
            assert refused.status_code in (400, 401)
            assert 'class="error"' in refused.text
            assert PASSWORD not in refused.text
        changed = await client.post("/account/password", data=fields)
        assert changed.headers["location"] == "/home?did=account.did_password"
        assert (await client.get("/channels")).status_code == 200


async def test_another_password_ends_the_other_sessions(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as here, browsing(door) as there:
        await log_in(here, "li")
        await log_in(there, "li")
        new = "another horse battery"
        await here.post("/account/password", data={"old": PASSWORD, "password": new, "again": new})
        assert (await here.get("/account")).status_code == 200
        assert (await there.get("/account")).status_code == 303


async def test_out_everywhere_else(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as here, browsing(door) as there:
        await log_in(here, "li")
        await log_in(there, "li")
        assert "1 other session ends at once" in (await here.get("/account")).text
        await here.post("/account/sign-out-everywhere")
        assert (await there.get("/home")).status_code == 303
        assert (await here.get("/home")).status_code == 200


async def test_a_disabled_operator_is_out_at_once(door: Door, visit: Visit) -> None:
    client: httpx.AsyncClient = await visit("viewer")
    assert (await client.get("/home")).status_code == 200
    await operators.create(door.system, "boss", PASSWORD)
    await operators.change(door.system, "viewer0", disabled=True)
    assert (await client.get("/home")).status_code == 303
    assert (await log_in(client, "viewer0")).status_code == 401


async def test_signing_in_is_in_the_audit_log(door: Door, visit: Visit) -> None:
    await visit()
    token = await door.api_token()
    noted = await door.listed("/api/audit?action=operator.sign_in", token)
    assert [(one["actor"], one["subject"]) for one in noted] == [
        ("operator:administrator0", "administrator0")
    ]
