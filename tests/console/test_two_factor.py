"""The second factor: set up, asked for, good once, and got around by recovery codes alone."""

import asyncio
import hashlib
import html
import re
from base64 import b32decode
from contextvars import Context
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select

from console.conftest import PASSWORD, Visit, browsing, log_in
from support.clocks import Time
from support.doors import Door
from ums import clock
from ums.console.two_factor import GOOD_FOR
from ums.core.audit import audit_gate
from ums.core.identity import operators, password_hashing, recovery_codes
from ums.core.identity.login import FREE
from ums.core.tables import operators as rows

BOTH_DATABASES = True

HIDDEN = re.compile(r'name="ticket" value="([^"]+)"')


def code_of(secret: str, steps: int = 0) -> str:
    key = b32decode(secret)
    return TOTP(key, 6, SHA1(), 30).generate(clock.now() / 1000 + 30 * steps).decode()


def ticket_of(text: str) -> str:
    return html.unescape(HIDDEN.findall(text)[0])


async def set_up(visitor: httpx.AsyncClient) -> tuple[str, str, list[str]]:
    """(secret, the code that was used for it, recovery codes)"""
    asked = (await visitor.get("/account/two-factor")).text
    assert "data:image/svg+xml" in asked
    secret = re.findall(r"<code class=\"copied-text\">([A-Z2-7]{32})</code>", asked)[0]
    ticket = ticket_of(asked)
    wrong = await visitor.post("/account/two-factor", data={"ticket": ticket, "code": "000000"})
    assert (wrong.status_code, secret in wrong.text) == (400, True)
    used = code_of(secret)
    fields = {"ticket": ticket, "code": used}
    done = await visitor.post("/account/two-factor", data=fields)
    shown = await visitor.get(done.headers["location"])
    codes = re.findall(r"<code>([a-z2-7-]{19})</code>", shown.text)
    assert len(set(codes)) == 10
    return secret, used, codes


async def answer(client: httpx.AsyncClient, ticket: str, code: str) -> httpx.Response:
    fields = {"ticket": ticket, "code": code, "next": "/users"}
    return await client.post("/login/second", data=fields)


async def test_a_password_alone_opens_nothing(door: Door, visit: Visit) -> None:
    secret, used, codes = await set_up(await visit())
    async with browsing(door) as client:
        asked = await log_in(client, "administrator0")
        assert (asked.status_code, "ums_session" in client.cookies) == (200, False)
        assert (await client.get("/home")).status_code == 303
        ticket = ticket_of(asked.text)
        for wrong in ("000000", "", "abc", used):
            assert (await answer(client, ticket, wrong)).status_code == 401, wrong
        good = code_of(secret, 1)
        right = await answer(client, ticket, good)
        assert right.headers["location"] == "/users"
        assert (await client.get("/home")).status_code == 200
        again = ticket_of((await _asked(door)).text)
        assert (await answer(client, again, good)).status_code == 401  # it is good once
        assert (await answer(client, again, codes[0])).status_code == 303
        third = ticket_of((await _asked(door)).text)
        assert (await answer(client, third, codes[0])).status_code == 401  # and so is this


async def _asked(door: Door) -> httpx.Response:
    async with browsing(door) as client:
        return await log_in(client, "administrator0")


async def test_codes_cannot_be_guessed(door: Door, visit: Visit) -> None:
    secret, _, _ = await set_up(await visit())
    async with browsing(door) as client:
        ticket = ticket_of((await log_in(client, "administrator0")).text)
        statuses = [(await answer(client, ticket, f"{n:06}")).status_code for n in range(FREE + 1)]
        assert statuses == [401] * FREE + [429]
        assert (await answer(client, ticket, code_of(secret))).status_code == 429
        assert (await answer(client, "made up", "000000")).status_code in (401, 429)


async def test_a_code_opens_once_whatever_its_dashes_and_is_noted(door: Door, visit: Visit) -> None:
    _, _, codes = await set_up(await visit())
    async with browsing(door) as client:
        ticket = ticket_of((await log_in(client, "administrator0")).text)
        spelt = codes[1].replace("-", " ").upper()
        assert (await answer(client, ticket, spelt)).status_code == 303
        assert "9 recovery codes are left" in (await client.get("/account")).text
    token = await door.api_token()
    noted = await door.listed("/api/audit?action=operator.recovery_code", token)
    assert [one["detail"] for one in noted] == ["9 left"]
    assert all(code not in str(noted) for code in codes)


async def test_codes_are_stored_so_that_they_cannot_be_found(door: Door, visit: Visit) -> None:
    _, _, codes = await set_up(await visit())
    async with door.system.database.read() as tx:
        stored = str(await tx.value(select(rows.c.recovery)))
    kept = recovery_codes.read(stored)
    for code in codes:
        plain = code.replace("-", "")
        assert len(plain) * 5 >= 80  # bits
        assert plain not in stored
        assert hashlib.sha256(plain.encode()).hexdigest() not in stored
        assert await recovery_codes.digest(kept, plain) in kept.digests


async def test_new_codes_take_the_place_of_the_old_ones(door: Door, visit: Visit) -> None:
    visitor = await visit()
    assert (await visitor.post("/account/two-factor/codes")).status_code == 409
    _, _, old = await set_up(visitor)
    renewed = await visitor.post("/account/two-factor/codes")
    shown = await visitor.get(renewed.headers["location"])
    new = re.findall(r"<code>([a-z2-7-]{19})</code>", shown.text)
    assert len(new) == 10
    async with browsing(door) as client:
        ticket = ticket_of((await log_in(client, "administrator0")).text)
        assert (await answer(client, ticket, old[0])).status_code == 401
        assert (await answer(client, ticket, new[0])).status_code == 303


async def test_it_is_removed_by_its_operator(door: Door, visit: Visit) -> None:
    visitor = await visit()
    await set_up(visitor)
    await visitor.post("/account/two-factor/remove")
    async with browsing(door) as client:
        entered = await log_in(client, "administrator0")
        assert entered.headers["location"] == "/home"


async def test_a_ticket_ends_with_the_password_it_is_about(door: Door, visit: Visit) -> None:
    secret, _, codes = await set_up(await visit())
    async with browsing(door) as client:
        ticket = ticket_of((await log_in(client, "administrator0")).text)
        await operators.set_password(door.system, "administrator0", "seven grey herons fly")
        for code in (code_of(secret, 1), codes[0]):
            late = await answer(client, ticket, code)
            assert (late.status_code, "Log in again" in late.text) == (401, True)
            assert "ums_session" not in client.cookies
        again = ticket_of((await log_in(client, "administrator0", "seven grey herons fly")).text)
        assert (await answer(client, again, codes[0])).status_code == 303  # nobody has used it


async def test_a_ticket_is_good_for_minutes(door: Door, visit: Visit, time: Time) -> None:
    _, _, codes = await set_up(await visit())
    async with browsing(door) as client:
        ticket = ticket_of((await log_in(client, "administrator0")).text)
        time.at += GOOD_FOR + 1
        late = await answer(client, ticket, codes[0])
        assert (late.status_code, "That took too long" in late.text) == (401, True)


async def test_a_log_in_that_is_overtaken_shows_its_form_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await operators.create(door.system, "li", PASSWORD)
    verify = password_hashing.verify

    async def overtaken(stored: str | None, password: str, **more: Any) -> bool:
        good = await verify(stored, password, **more)
        change = operators.set_password(door.system, "li", "seven grey herons fly")
        await asyncio.create_task(change, context=Context())  # somebody else's
        return good

    monkeypatch.setattr(password_hashing, "verify", overtaken)
    async with browsing(door) as client:
        late = await log_in(client, "li")
        assert (late.status_code, "Meanwhile the password" in late.text) == (401, True)
        assert 'name="password"' in late.text
        assert "ums_session" not in client.cookies


async def test_a_password_whose_code_never_comes_is_noted(door: Door, visit: Visit) -> None:
    await set_up(await visit())
    async with browsing(door) as client:
        for _ in range(4):
            assert (await log_in(client, "administrator0")).status_code == 200
    await audit_gate.flush(door.system, now=True)
    token = await door.api_token()
    noted = await door.listed("/api/audit?action=operator.password_accepted", token)
    assert [one["times"] for one in noted] == [3, 1]  # repeated ones share an entry
    for one in noted:
        told = one["actor"], one["subject"], one["address"]
        assert told == ("anonymous", "administrator0", "127.0.0.1")


async def test_failures_do_not_hide_it(
    door: Door, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_up(await visit())
    monkeypatch.setattr(audit_gate, "MOST", 3)
    async with browsing(door) as client:
        for n in range(6):
            await log_in(client, f"nobody {n}")
        await log_in(client, "administrator0")
    noted = await door.listed(
        "/api/audit?action=operator.password_accepted", await door.api_token()
    )
    assert [one["subject"] for one in noted] == ["administrator0"]
