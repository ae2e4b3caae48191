"""What a browser keeps of an operator: how random it is, and when it ends."""

import secrets
from base64 import urlsafe_b64decode

import pytest

from support.clocks import Time
from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.identity import known_devices, login, operators, sessions
from ums.core.identity.login import Client

PASSWORD = "correct horse battery"
HERE = Client("192.0.2.1")
HOURS = 12
DAYS = 14


async def sign_in(system: AppContext) -> str:
    operator = await login.check_password(system, "li", PASSWORD, HERE)
    return (await login.sign_in(system, operator, HERE)).session


@pytest.fixture
async def cookie(system: AppContext, time: Time) -> str:
    await operators.create(system, "li", PASSWORD)
    return await sign_in(system)


async def test_a_session_ends_without_requests(system: AppContext, time: Time, cookie: str) -> None:
    for _ in range(3):  # each request begins the hours anew
        time.at += HOURS * clock.HOUR
        found = await sessions.find(system, cookie)
        assert found is not None
    time.at += HOURS * clock.HOUR + 1
    assert not await sessions.again(system, found)
    assert await sessions.find(system, cookie) is None
    assert await sessions.list_sessions(system, found.operator_id) == []


async def test_a_session_ends_in_the_end_whatever_is_asked(
    system: AppContext, time: Time, cookie: str
) -> None:
    end = time.at + DAYS * clock.DAY
    while time.at < end - HOURS * clock.HOUR:
        time.at += HOURS * clock.HOUR
        assert await sessions.find(system, cookie) is not None
    time.at = end - 1
    found = await sessions.find(system, cookie)
    assert found is not None
    time.at = end
    assert not await sessions.again(system, found)
    assert await sessions.find(system, cookie) is None


async def test_a_session_has_256_bits_of_the_systems_randomness(
    system: AppContext, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bytes] = []
    token_bytes = secrets.token_bytes

    def noted(count: int | None = None) -> bytes:
        drawn.append(token_bytes(count))
        return drawn[-1]

    monkeypatch.setattr(secrets, "token_bytes", noted)
    cookies = [await sign_in(system) for _ in range(3)]
    read = [urlsafe_b64decode(one + "=") for one in cookies]
    assert [len(one) * 8 for one in read] == [256] * 3
    assert len({*read}) == 3
    assert set(read) <= set(drawn)


async def test_a_browser_is_known_for_180_days(system: AppContext, time: Time) -> None:
    cookie = known_devices.issue(system.seal, 7)
    time.at += 180 * clock.DAY - 1
    assert known_devices.read(system.seal, cookie, 7)
    time.at += 1
    assert known_devices.read(system.seal, cookie, 7) is None
