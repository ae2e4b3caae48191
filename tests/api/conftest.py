"""A running UMS for the tests of its HTTP doors: one of one's own, or one shared by a module.

Starting one takes longer than most of these tests, so tests that make a channel of their own and
look at nothing else share one per module and database. That needs one event loop per module.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import copy

import pytest
import pytest_asyncio

from support.databases import Databases
from support.doors import Basic, Door, OneChannel, open_door
from ums.config import Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(loop_scope="module")
async def door(settings: Settings) -> AsyncIterator[Door]:
    """A fresh UMS."""
    async with open_door(settings) as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("shared")
    if request.param == "sqlite":
        copy(request.getfixturevalue("sqlite_template"), folder / "ums.db")
        yield Settings(data_dir=folder, demo=False)
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    with databases.lend() as url:
        yield Settings(data_dir=folder, demo=False, database_url=url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_settings: Settings) -> AsyncIterator[Door]:
    """A UMS that the module's tests share."""
    async with open_door(shared_settings) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(shared: Door) -> OneChannel:
    """A channel that the module's tests share."""
    return await shared.channel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def master(shared: Door) -> Basic:
    """The credentials of an access key."""
    return await shared.access_key()
