"""Signing in and out, passwords, sessions."""

import httpx

from console.conftest import PASSWORD, Visit, browsing, log_in
from doors import Door
from ums.core import operators
from ums.core.signing_in import FREE, Throttle
from ums.errors import Busy


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


async def test_whoever_guesses_has_to_wait(door: Door) -> None:
    await operators.create(door.system, "li", PASSWORD)
    async with browsing(door) as client:
        statuses = [(await log_in(client, "li", f"guess {n}")).status_code for n in range(FREE + 1)]
        assert statuses == [401] * FREE + [429]
        assert (await log_in(client, "li")).status_code == 429  # the right one as well


def test_the_wait_grows_and_ends() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])

    def waits() -> float:
        try:
            throttle.check("name:li")
        except Busy as error:
            return float(str(error.values["seconds"]))
        return 0.0

    for _ in range(FREE - 1):
        throttle.failed("name:li")
        assert waits() == 0
    grown: list[float] = []
    for _ in range(12):
        throttle.failed("name:li")
        grown.append(waits())
    assert grown == sorted(grown)
    assert grown[-1] == 900
    now[0] += 901
    assert waits() == 0
    throttle.failed("name:li")
    assert waits() == 900  # it goes on where it was
    now[0] += 1801
    throttle.failed("name:li")
    assert waits() == 0  # long ago
    for _ in range(FREE):
        throttle.failed("name:li", "address:office")
    throttle.succeeded("name:li")
    throttle.check("name:li", "address:office")


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
        assert "1 other sessions end" in (await here.get("/account")).text
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
