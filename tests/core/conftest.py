"""Fixtures of the core's tests: web servers, and a name service of our own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.web import Resolver, Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
async def sentinel() -> AsyncIterator[Server]:
    """Something inside, that is not allowed: nobody must ever connect to it."""
    async with serving("127.0.0.2") as inside:
        yield inside
        await asyncio.sleep(0.01)
        assert inside.connects == 0


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Name -> the answers it gives in turn; odd spellings of addresses go to the C library."""
    names: Resolver = {}

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host in names:
            return [(0, 0, 6, "", (address, port)) for address in names[host].pop(0)]
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return names
