"""Fixtures every test may use: a migrated database of either kind, and a system on it."""

import asyncio
import os
import platform
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from argon2 import PasswordHasher

from support import audited as audited_entries
from support import postgres
from support.clocks import Time
from support.databases import Databases
from support.fast import fast_choice, untested_packages
from support.transition_guard import guard_transitions
from ums import clock
from ums.config import Settings
from ums.core.context.app_context import AppContext
from ums.core.identity import password_hashing, password_turns
from ums.core.maintenance.startup import open_system
from ums.db import open_database
from ums.migrations import runner

_shared = pytest.StashKey[ExitStack]()

# A machine that others use as well is slow at times; that is no finding.
hypothesis.settings.register_profile(
    "patient",
    parent=hypothesis.settings(),  # on CI, its profile for that
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")

KILLS = 25  # per database; CI asks for at least 50 in all
# `make faults` asks for many more.
SAMPLES = {"phase-kills": 3, "web-kills": 6, "stops": 3, "power-cuts": 6}
OUTAGE = 6.0  # seconds
REQUESTS = 3_000
TESTS = Path(__file__).parent
FAULTS = TESTS / "faults"


def pytest_addoption(parser: pytest.Parser) -> None:
    help = f"random kills of the engine in tests/faults, per database (default {KILLS})"
    parser.addoption("--kills", type=int, default=KILLS, help=help)
    for name, usual in SAMPLES.items():
        help = f"{name.replace('-', ' ')} in tests/faults (default {usual})"
        parser.addoption(f"--{name}", type=int, default=usual, help=help)
    help = "measure the targets of reliability.md with real leases, and more often"
    parser.addoption("--targets", action="store_true", help=help)
    help = f"seconds for which PostgreSQL is down in tests/faults (default {OUTAGE:g})"
    parser.addoption("--outage", type=float, default=OUTAGE, help=help)
    help = "minutes of faults in tests/faults/test_soak.py, per database (a sample is seconds)"
    parser.addoption("--soak", type=float, default=0.0, help=help)
    parser.addoption("--record", default=None, help="a file for what the fault tests counted")
    help = f"generated requests to the API, in all (default {REQUESTS})"
    parser.addoption("--requests", type=int, default=REQUESTS, help=help)
    help = "few tests of every package: quick ones, on SQLite, one case of each"
    parser.addoption("--fast", action="store_true", help=help)
    help = "a folder for pictures of the console's pages"
    parser.addoption("--screenshots", default=None, help=help)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the fault tests counted; a property of the report crosses from xdist's workers."""
    reports = [r for name in ("passed", "failed") for r in terminalreporter.getreports(name)]
    found = [text for r in reports for name, text in r.user_properties if name == "faults"]
    if found:
        terminalreporter.section("faults")
    for text in sorted(found):
        terminalreporter.write_line(str(text))
    path = terminalreporter.config.getoption("--record")
    if path and found:
        failed = len(terminalreporter.getreports("failed"))
        page = _recorded(sorted(map(str, found)), failed, soak="soak" in Path(path).stem)
        Path(path).write_text(page, "utf-8")


def _recorded(found: list[str], failed: int, *, soak: bool) -> str:
    """The page of a run: when, of what, on what, and what was counted."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    what, command = ("soak", "soak") if soak else ("full run of the fault tests", "faults")
    head = (
        f"# What the last {what} counted\n\n"
        f"`make {command}` writes this page. [Reliability](reliability.md) says what is promised."
        "\n\n"
        f"- {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}\n"
        f"- {platform.system()} {platform.release()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}\n"
        f"- failed: {failed}\n\n"
    )
    return head + "".join(f"- {line}\n" for line in found)


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is slow on purpose would only be slow here."""
    monkeypatch.setattr(password_hashing, "_hasher", PasswordHasher(1, 8, 1))
    monkeypatch.setattr(password_turns, "HELD_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    """A command that runs in this process sets up logs of its own."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


def _option(request: pytest.FixtureRequest, name: str) -> Any:
    return request.config.getoption(name)


@pytest.fixture(autouse=True)
def audited(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the entries lack that UMS writes into the audit log during a test."""
    with audited_entries.holding(monkeypatch) as found:
        yield found
    assert not found, sorted(set(found))


@pytest.fixture
def deep(request: pytest.FixtureRequest) -> bool:
    """Whether more requests are wanted than usual."""
    return _option(request, "--requests") > REQUESTS


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return _option(request, "--kills")


@pytest.fixture
def phase_kills(request: pytest.FixtureRequest) -> int:
    return _option(request, "--phase-kills")


@pytest.fixture
def web_kills(request: pytest.FixtureRequest) -> int:
    return _option(request, "--web-kills")


@pytest.fixture
def power_cuts(request: pytest.FixtureRequest) -> int:
    return _option(request, "--power-cuts")


@pytest.fixture
def outage(request: pytest.FixtureRequest) -> float:
    return _option(request, "--outage")


@pytest.fixture
def stops(request: pytest.FixtureRequest) -> int:
    return _option(request, "--stops")


def pytest_report_header() -> str:
    found = postgres.describe()
    if not found:
        if os.environ.get("CI"):
            raise pytest.UsageError("CI must test on PostgreSQL, and there is none")
        return "databases: SQLite only (no PostgreSQL was found)"
    return f"databases: SQLite and PostgreSQL ({found})"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; tests copy it, which is quicker than migrating each."""
    folder = tmp_path_factory.mktemp("template")

    async def make() -> None:
        database = open_database("", folder)
        await runner.migrate(database)
        await guard_transitions(database)
        await database.close()

    asyncio.run(make())
    return folder / "ums.db"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Mark what needs more than this process, and keep what was asked for."""
    for item in items:
        if FAULTS in item.path.parents:
            item.add_marker("faults")
        if "browser_path" in item.fixturenames:
            item.add_marker("browser")
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if "postgresql" in given or "postgres_server" in item.fixturenames:
            item.add_marker("postgresql")
    if config.getoption("--fast"):
        chosen = set(fast_choice(items))
        if not config.option.file_or_dir and (left := untested_packages(chosen, TESTS)):
            raise pytest.UsageError(f"no fast test is about {', '.join(sorted(left))}")
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = [item for item in items if item in chosen]


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Start one PostgreSQL for all workers of a run, which inherit its address."""
    if postgres.describe() and not os.environ.get(postgres.URL_VARIABLE):
        shared = ExitStack()
        config.stash[_shared] = shared
        os.environ[postgres.URL_VARIABLE] = shared.enter_context(postgres.server())


def pytest_unconfigure(config: pytest.Config) -> None:
    shared = config.stash.get(_shared, None)
    if shared is not None:
        del os.environ[postgres.URL_VARIABLE]
        shared.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if not postgres.describe():
        pytest.skip("no PostgreSQL was found")
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Iterator[Databases]:
    """Migrated databases on `postgres_server`."""
    databases = Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def settings(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh, migrated database of `dialect` in a data folder of its own."""
    if dialect == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "ums.db")
        yield Settings(data_dir=tmp_path, demo=False)
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    with databases.lend(leaks=request.node.get_closest_marker("faults") is not None) as url:
        yield Settings(data_dir=tmp_path, demo=False, database_url=url)


@pytest.fixture
async def system(settings: Settings) -> AsyncIterator[AppContext]:
    async with open_system(settings) as opened:
        yield opened


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock, which stands still until it is set."""
    time = Time()
    monkeypatch.setattr(clock, "now", time)
    return time
