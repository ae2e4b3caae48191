"""Bringing a database to the schema this version of UMS knows."""

from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

import ums.migrations
from ums.db import Database
from ums.errors import Invalid

# Any constant will do; it only has to be the same in every process.
MIGRATION_LOCK = 7_726_193_344


@cache
def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(ums.migrations.__file__).parent))
    return config


def head() -> str:
    """The newest revision this version of UMS knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def migrate(database: Database) -> bool:
    """Bring the database up to date; True when something changed.

    All steps run in one transaction on either database, so a crash leaves the old schema or the
    new one. Raises Invalid when the database is newer than this program.
    """
    return await database.exclusively(_upgrade)


async def revision(database: Database) -> str | None:
    """The database's present revision; None when it is empty."""
    return await database.exclusively(_current)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> bool:
    current = _current(connection)
    if current == head():
        return False
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        current = _current(connection)
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Invalid("newer_schema", revision=current) from error
    return _current(connection) != current


def draft(connection: Connection, title: str) -> Any:
    """Write a new revision from the difference to `core.tables` (for developers)."""
    config = _config()
    config.attributes["connection"] = connection
    return command.revision(config, title, autogenerate=True)
