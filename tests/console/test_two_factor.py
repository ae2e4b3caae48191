"""The second factor: set up, asked for, good once, and got around by recovery codes alone."""

import html
import re
import time
from base64 import b32decode

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from console.conftest import PASSWORD, Visit, browsing, log_in
from doors import Door
from ums.core.signing_in import FREE

HIDDEN = re.compile(r'name="ticket" value="([^"]+)"')


def code_of(secret: str, steps: int = 0) -> str:
    key = b32decode(secret)
    return TOTP(key, 6, SHA1(), 30).generate(time.time() + 30 * steps).decode()


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
    codes = re.findall(r"<code>([0-9a-f]{10})</code>", shown.text)
    assert len(codes) == 10
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


async def test_it_is_removed_with_the_password_alone(door: Door, visit: Visit) -> None:
    visitor = await visit()
    await set_up(visitor)
    refused = await visitor.post("/account/two-factor/remove", data={"password": "not this"})
    assert refused.status_code == 401
    await visitor.post("/account/two-factor/remove", data={"password": PASSWORD})
    async with browsing(door) as client:
        entered = await log_in(client, "administrator0")
        assert entered.headers["location"] == "/home"
