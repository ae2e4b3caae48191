"""An empty database of either kind."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.databases import beside, execute
from ums.config import Settings


@pytest.fixture
def empty(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a database without any table."""
    folder = tmp_path / "empty"
    folder.mkdir()
    if dialect == "sqlite":
        yield Settings(data_dir=folder)
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"ums_empty_{os.getpid()}"
    asyncio.run(execute(server, f"CREATE DATABASE {name}"))
    yield Settings(data_dir=folder, database_url=beside(server, name))
    asyncio.run(execute(server, f"DROP DATABASE {name} WITH (FORCE)"))
