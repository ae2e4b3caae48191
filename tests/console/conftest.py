"""The console behind its door: a running UMS, and people in front of browsers."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest

from support.doors import Door, open_door
from ums.config import Settings
from ums.core.identity import operators
from ums.core.identity.operators import Role

PASSWORD = "correct horse battery"
SYSTEMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Visit = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def dialect() -> str:
    """Most pages know no database: one kind is enough."""
    return "sqlite"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module about what goes by locks, counts and what others do meanwhile (sessions, tries,
    approvals) says BOTH_DATABASES = True."""
    both = getattr(metafunc.module, "BOTH_DATABASES", False)
    if both and "dialect" in metafunc.fixturenames:
        metafunc.parametrize("dialect", ["sqlite", "postgresql"])


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[Door]:
    async with open_door(settings) as opened:
        yield opened


@asynccontextmanager
async def browsing(door: Door, language: str = "en") -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who is not signed in; forms come from the console's own pages."""
    base = f"http://127.0.0.1:{door.port}"
    headers = {"Origin": base, "Accept": "text/html", "Accept-Language": language}
    async with httpx.AsyncClient(
        base_url=base, headers=headers, timeout=60, trust_env=False, verify=False
    ) as client:
        yield client


async def log_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/login", data={"name": name, "password": password})


@pytest.fixture
async def visit(door: Door) -> AsyncIterator[Visit]:
    """Signs somebody in: `await visit("viewer")`."""
    opened: list[httpx.AsyncClient] = []

    async def enter(role: Role = "administrator", language: str = "en") -> httpx.AsyncClient:
        name = f"{role}{len(opened)}"
        await operators.create(door.system, name, PASSWORD, role)
        base = f"http://127.0.0.1:{door.port}"
        client = httpx.AsyncClient(
            base_url=base,
            headers={"Origin": base, "Accept": "text/html", "Accept-Language": language},
            timeout=60,
            trust_env=False,
            verify=False,  # loads no authorities, which takes as long as many a test
        )
        opened.append(client)
        answer = await log_in(client, name)
        assert (answer.status_code, answer.headers["location"]) == (303, "/home")
        return client

    yield enter
    for client in opened:
        await client.aclose()


TRY = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    path = sys.argv[1] or None
    playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]).close()
"""


@cache
def chromium() -> str | None:
    """A browser that starts: the system's, else one that is installed now, which is "".

    None where there is neither, or the machine lacks what a browser needs.
    """
    system = _system()
    if system is None and _runs("-m", "playwright", "install", "chromium-headless-shell"):
        return "" if _runs("-c", TRY, "") else None
    system = system or _package()
    return system if system is not None and _runs("-c", TRY, system) else None


def _system() -> str | None:
    return next(filter(None, map(shutil.which, SYSTEMS)), None)


def _package() -> str | None:
    """Debian's own, on CI's machines: nobody else wants tests that install packages."""
    if not os.environ.get("CI") or os.geteuid() or shutil.which("apt-get") is None:
        return None
    with (Path(tempfile.gettempdir()) / "ums-tests-apt").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other test workers want it too
        if _system() is None:
            _does("apt-get", "update")
            _does("apt-get", "install", "-y", "--no-install-recommends", "chromium")
    return _system()


def _runs(*arguments: str) -> bool:
    return _does(sys.executable, *arguments)


def _does(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@pytest.fixture
def browser_path() -> str | None:
    """What playwright is told; None: its own."""
    found = chromium()
    if found is None:
        pytest.skip("there is no Chromium here that starts, and none could be installed")
    return found or None


async def settled(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await check():
            await asyncio.sleep(0.05)
