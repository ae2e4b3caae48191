"""How connections to either database are made."""

import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ums.errors import Detail, Invalid

PING_AFTER = 5.0  # seconds of rest


def postgres_engine(url: str, longest: float | None, pool: dict[str, Any]) -> AsyncEngine:
    """Statements of its connections end after `longest` seconds; `pool` says how they are kept."""
    return create_async_engine(
        url,
        hide_parameters=True,  # they hold texts and addresses, and errors are logged
        connect_args={
            "timeout": 5,
            "command_timeout": longest,
            "server_settings": {
                "application_name": "ums",
                "synchronous_commit": "on",
                # Each statement of a writer sees what was committed before it.
                "default_transaction_isolation": "read committed",
                # A process that was stopped in mid-transaction must not keep its locks.
                "idle_in_transaction_session_timeout": "60s",
            },
        },
        **pool,
    )


def ping_the_rested(engine: Engine) -> None:
    """Ask a connection that has not been used for a while whether it is still alive.

    The pool's own ping does so before each transaction, which takes three round trips more: as
    many as a transaction of one statement itself.
    """

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def _note(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, record: Any, _proxy: object) -> None:
        if time.monotonic() - record.info["rests_since"] < PING_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            raise InvalidatePoolError from error


def sqlite_engine(path: Path, *, reading: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 5.0},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA cache_size=-32768")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA journal_size_limit=134217728")
        if reading:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # IMMEDIATE: a writer knows at its first statement that it may write.
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def async_url(url: str) -> str:
    """The URL for our driver. Raises Invalid where it is not PostgreSQL's."""
    try:
        parsed = make_url(url)
    except (ArgumentError, SQLAlchemyError, ValueError):  # ValueError: a port that is none
        raise Invalid("database_url", detail=Detail("database_no_url")) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise Invalid("database_url", detail=Detail("database_other"))
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
