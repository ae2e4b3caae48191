"""A running UMS as every door sees it: settings, database, key and directory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ums.config import Settings
from ums.core import schema
from ums.core.directory import Directory
from ums.core.guard import parse_networks
from ums.core.lexicon import WordFilter
from ums.core.rates import Rates
from ums.core.recent import Recent
from ums.core.sealing import Seal, load_seal
from ums.core.templates.library import Library
from ums.db import Database, DataLock, open_database
from ums.senders.email import Email, SenderType


class System:
    """What the verbs of `core` need; opened once per process."""

    def __init__(self, settings: Settings, database: Database, seal: Seal) -> None:
        self.settings = settings
        self.database = database
        self.seal = seal
        self.directory = Directory(database)
        self.rates = Rates()
        self.recent = Recent()
        self.words = WordFilter(database)
        self.templates = Library(database)
        self.types: dict[str, SenderType] = {"email": Email()}  # the engine adds the sandbox
        self.wake = asyncio.Event()  # set when there is new work for this process's engine
        self.halted = asyncio.Event()  # the same, when a message was halted or resumed


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncGenerator[System]:
    """Open the data folder and the database, migrated to this version's schema.

    Raises db.HeldError when another process has the SQLite database open, SettingsError or Invalid
    when something in the folder or the settings cannot be used.
    """
    # A wrong one shows now and not at the first attachment or callback.
    parse_networks(settings.fetch_allow)
    parse_networks(settings.callback_allow, "CALLBACK_ALLOW")
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = DataLock(settings.data_dir)
    if settings.is_sqlite:
        lock.take()
    database = open_database(settings.database_url, settings.data_dir)
    try:
        await schema.migrate(database)
        yield System(settings, database, load_seal(settings))
    finally:
        await database.close()
        lock.release()
