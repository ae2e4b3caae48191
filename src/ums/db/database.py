"""Connections and transactions on SQLite and PostgreSQL, with one face."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Engine, Executable, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from ums.db.engines import async_url, ping_the_rested, postgres_engine, sqlite_engine
from ums.db.statements import Statement
from ums.errors import Conflict, Unavailable

Params = Mapping[str, object] | Sequence[Mapping[str, object]] | None
READERS = 3
LONGEST = 60.0  # seconds
patience: ContextVar[float] = ContextVar("patience", default=LONGEST)
"""For how many seconds a statement, or a group commit, is waited for: a database that says nothing
at all must not hold up its callers for ever."""
T = TypeVar("T")


class Done(Struct):
    """What a statement gave back."""

    rows: Sequence[Any]
    count: int  # rows changed; -1 where the driver does not tell


class Tx(ABC):
    """An open transaction. It commits when its block ends and rolls back when that raises."""

    dialect: str

    @abstractmethod
    async def _execute(self, statement: Executable, params: Params) -> Done: ...

    async def run(self, statement: Executable | Statement, params: Params = None) -> Done:
        if isinstance(statement, Statement):
            statement = statement.on(self.dialect)
        return await self._execute(statement, params)

    async def rows(self, statement: Executable | Statement, params: Params = None) -> Sequence[Any]:
        return (await self.run(statement, params)).rows

    async def first(self, statement: Executable | Statement, params: Params = None) -> Any:
        rows = await self.rows(statement, params)
        return rows[0] if rows else None

    async def value(self, statement: Executable | Statement, params: Params = None) -> Any:
        """The first column of the first row, or None."""
        row = await self.first(statement, params)
        return row[0] if row else None

    @abstractmethod
    async def share(self, lock: int) -> None:
        """Hold the named lock with others who share it until this transaction ends; what its
        holder of `exclude` committed before is seen by the statements that follow.

        On SQLite, where one transaction at a time may write, there is nothing to do.
        """

    @abstractmethod
    async def exclude(self, lock: int) -> None:
        """Wait until nobody shares the lock any more and hold it alone until this transaction
        ends: so at its end, if nobody shall wait for long. Raises Unavailable."""


class Database(ABC):
    """A database: `write()` and `read()` open transactions. Raises Unavailable when it is away."""

    dialect: str

    @abstractmethod
    def write(self) -> AbstractAsyncContextManager[Tx]: ...

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[Tx]: ...

    @abstractmethod
    async def exclusively(self, function: Callable[[Connection], T]) -> T:
        """Run `function` on a plain SQLAlchemy connection in one write transaction."""

    @abstractmethod
    async def close(self) -> None: ...


def _run(connection: Connection, statement: Executable, params: Params) -> Done:
    result = connection.execute(statement, params)  # type: ignore[arg-type]
    return Done(result.fetchall() if result.returns_rows else (), result.rowcount)


class _SqliteTx(Tx):
    dialect = "sqlite"

    def __init__(self, connection: Connection, thread: ThreadPoolExecutor) -> None:
        self.connection, self._thread = connection, thread

    async def _execute(self, statement: Executable, params: Params) -> Done:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _run, self.connection, statement, params)

    async def share(self, lock: int) -> None: ...

    async def exclude(self, lock: int) -> None: ...


class _SqliteLane:
    """One connection in one thread; transactions on it take turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "sqlite")
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None  # only the thread touches it

    async def _call(self, function: Any, *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator["_SqliteTx"]:
        # Whatever a cancelled caller no longer waits for, the thread still does, in order. So the
        # shielded calls below always find the connection where the one before them left it.
        async with self._turn:
            try:
                yield _SqliteTx(await self._call(self._begin), self._thread)
            except BaseException:
                await asyncio.shield(self._call(self._roll_back))
                raise
            await asyncio.shield(self._call(self._commit))

    async def exclusively(self, function: Callable[[Connection], T]) -> T:
        async with self.transaction() as tx:
            return await self._call(function, tx.connection)

    async def close(self) -> None:
        async with self._turn:
            await self._call(self._discard)
            self._thread.shutdown(wait=True)

    # -- in the thread ------------------------------------------------------------------------

    def _begin(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        self._connection.begin()
        return self._connection

    def _commit(self) -> None:
        try:
            self._connection.commit()  # type: ignore[union-attr]
        except BaseException:
            # A commit that failed (disk full) may leave SQLite inside the transaction.
            self._discard()
            raise

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
        except DBAPIError:
            self._discard()

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()


class Sqlite(Database):
    """One writing connection, a few that only read."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self._writing = sqlite_engine(path, reading=False)
        self._reading = sqlite_engine(path, reading=True)
        self._writer = _SqliteLane(self._writing)
        self._lanes = [_SqliteLane(self._reading) for _ in range(READERS)]
        self._readers: asyncio.Queue[_SqliteLane] = asyncio.Queue()
        for lane in self._lanes:
            self._readers.put_nowait(lane)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Tx]:
        with _Told():
            async with self._writer.transaction() as tx:
                yield tx

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Tx]:
        lane = await self._readers.get()
        try:
            with _Told():
                async with lane.transaction() as tx:
                    yield tx
        finally:
            self._readers.put_nowait(lane)

    async def exclusively(self, function: Callable[[Connection], T]) -> T:
        with _Told():
            return await self._writer.exclusively(function)

    async def close(self) -> None:
        for lane in [*self._lanes, self._writer]:
            await lane.close()
        self._writing.dispose()
        self._reading.dispose()


class _PostgresTx(Tx):
    dialect = "postgresql"

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def _execute(self, statement: Executable, params: Params) -> Done:
        async with asyncio.timeout(patience.get()):
            return await self._connection.run_sync(_run, statement, params)

    async def share(self, lock: int) -> None:
        await self.run(_SHARE, {"lock": lock})

    async def exclude(self, lock: int) -> None:
        # Who waits for it makes all others wait who want to share it. A process that was stopped
        # in the middle of its transaction must not stop them all.
        await self.run(_PATIENCE)
        await self.run(_EXCLUDE, {"lock": lock})


_SHARE = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_EXCLUDE = text("SELECT pg_advisory_xact_lock(:lock)")
_PATIENCE = text("SELECT set_config('lock_timeout', '5s', true)")


class Postgres(Database):
    """A pool of connections."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url
        pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 4, "pool_timeout": 5}
        self._engine = postgres_engine(url, LONGEST, pool)
        ping_the_rested(self._engine.sync_engine)
        # One snapshot for all statements of a reading, as SQLite gives it: without it, counts
        # read while a message is being expanded would not add up to its audience.
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Tx]:
        with _Told():
            async with self._engine.begin() as connection:
                yield _PostgresTx(connection)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Tx]:
        with _Told():
            async with self._reading.begin() as connection:
                yield _PostgresTx(connection)

    async def exclusively(self, function: Callable[[Connection], T]) -> T:
        # A connection of its own, where nobody's patience ends: an index may take its time.
        engine = postgres_engine(self._url, None, {"poolclass": NullPool})
        try:
            with _Told():
                async with engine.begin() as connection:
                    return await connection.run_sync(function)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        await self._engine.dispose()


class _Told:
    """Turns the driver's "cannot reach the database" into Unavailable, and what two did at the same
    moment, each seeing nothing of the other, into Conflict; other errors are ours."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError | PoolTimeout) or _is_away(error):
            raise Unavailable("unavailable") from error
        if isinstance(error, IntegrityError) and _state(error).startswith(_AT_ONCE):
            raise Conflict("at_once") from error


# Another one made it first (unique), or took away what it belongs to (foreign key).
_AT_ONCE = ("23505", "23503")
# 08: connection; 53: resources (disk, memory, too many connections); 57: shutdown, cancelled by
# the operator; 40: deadlock; 55000, 3D000: the database takes no connections or is not there;
# 55P03: a lock was not to be had in time; 25P03: the transaction was idle for too long.
_AWAY = ("08", "53", "57", "40", "55000", "3D000", "55P03", "25P03")


def _is_away(error: BaseException | None) -> bool:
    """Whether `error` says that the database cannot be had at the moment."""
    if not isinstance(error, DBAPIError):
        # While it connects, the driver's own errors come through unwrapped.
        return str(getattr(error, "sqlstate", None) or "-").startswith(_AWAY)
    state, text = _state(error), str(error.orig)
    busy = "database is locked" in text or "disk is full" in text or "disk I/O" in text
    return error.connection_invalidated or state.startswith(_AWAY) or busy


def _state(error: DBAPIError) -> str:
    """PostgreSQL's code of it; SQLite, where one writes at a time, has none."""
    return str(getattr(error.orig, "sqlstate", None) or "-")


def open_database(url: str, data_dir: Path) -> Database:
    """The database of `url` (PostgreSQL), or the data folder's SQLite where `url` is empty.

    Raises Invalid for a URL that is not PostgreSQL's.
    """
    if not url:
        return Sqlite(data_dir / "ums.db")
    return Postgres(async_url(url))
