"""Bringing a database to the schema this version of UMS knows."""

from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import ums.migrations
from ums import __version__
from ums.db import Database, read_untouched
from ums.errors import Invalid

# Any constant will do; it only has to be the same in every process.
MIGRATION_LOCK = 7_726_193_344
BEFORE_RELEASE = "0030"
"""The last revision of before 0.2.0, the first release; there is no way on from those."""


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
    new one. Raises Invalid, and changes nothing, when the database is newer than this program or
    from before the first release.
    """
    return await database.exclusively(_upgrade)


def check_file(path: Path) -> None:
    """Raises Invalid where `migrate` would refuse this SQLite file, which is not touched: opening
    it to write would already move its write-ahead log into it."""
    for row in read_untouched(path, "SELECT version_num FROM alembic_version"):
        _check(str(row[0]))


async def revision(database: Database) -> str | None:
    """The database's present revision; None when it is empty."""
    return await database.exclusively(_current)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _check(found: str | None) -> None:
    known = {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is None or found in known:
        return
    if found <= BEFORE_RELEASE:
        raise Invalid("older_schema", revision=found, version=__version__)
    raise Invalid("newer_schema", revision=found)


def _upgrade(connection: Connection) -> bool:
    current = _current(connection)
    _check(current)
    if current == head():
        return False
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        current = _current(connection)
        _check(current)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return _current(connection) != current


def draft(connection: Connection, title: str) -> Any:
    """Write a new revision from the difference to `core.tables` (for developers)."""
    config = _config()
    config.attributes["connection"] = connection
    return command.revision(config, title, autogenerate=True)
