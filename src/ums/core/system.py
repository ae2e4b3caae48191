"""A running UMS as every door sees it: settings, database, key and directory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from ums import trust
from ums.config import Settings, SettingsError
from ums.core import installation, restoring, schema
from ums.core.api_throttle import ApiThrottle
from ums.core.audit_gate import Failures, Listings
from ums.core.data_folder import secure
from ums.core.directory import Directory
from ums.core.guard import parse_networks
from ums.core.lexicon import WordFilter
from ums.core.rates import Rates
from ums.core.recent import Recent
from ums.core.sealing import DERIVATION_ROOT, ROOT_CONTEXT, Seal, load_seal
from ums.core.templates.library import Library
from ums.db import Database, DataLock, open_database
from ums.errors import Invalid
from ums.senders.email import Email, SenderType, read_ports


class System:
    """What the verbs of `core` need; opened once per process."""

    def __init__(self, settings: Settings, database: Database, seal: Seal) -> None:
        self.settings = settings
        self.default_settings = Settings()
        self.database = database
        self.seal = seal
        self.directory = Directory(database)
        seal.follow(lambda: self.directory.sealing_key)
        self.rates = Rates()
        self.api_throttle = ApiThrottle(database)
        self.recent = Recent()
        self.failures, self.listings = Failures(database), Listings(database)
        self.words = WordFilter(database)
        self.templates = Library(database)
        # The engine adds the sandbox.
        self.types: dict[str, SenderType] = {"email": Email(settings.ehlo_name)}
        self.wake = asyncio.Event()  # set when there is new work for this process's engine
        self.halted = asyncio.Event()  # the same, when a message was halted or resumed

    @property
    def settings(self) -> Settings:
        """As this process was started with, and where the environment says nothing, as they were
        changed while UMS runs."""
        changed = self.directory.settings
        if changed is not self._changed:
            own = {
                name: value for name, value in changed.items() if name not in self.fixed_settings
            }
            self._settings, self._changed = msgspec.structs.replace(self._started, **own), changed
        return self._settings

    @settings.setter
    def settings(self, started: Settings) -> None:
        self._started = self._settings = started
        self._changed: dict[str, Any] = {}

    @property
    def fixed_settings(self) -> set[str]:
        """The ones that the environment sets to something else than their default."""
        given, usual = self._started, self.default_settings
        names = Settings.__struct_fields__
        return {name for name in names if getattr(given, name) != getattr(usual, name)}


def _trust(settings: Settings) -> None:
    try:
        trust.use(settings.ca_file)
    except OSError as error:
        told = f"UMS_CA_FILE={settings.ca_file!r} cannot be used: {error.strerror or 'no PEM'}"
        raise SettingsError(told) from None


def _check_ports(text: str) -> None:
    try:
        read_ports(text)
    except ValueError:
        raise SettingsError(f"UMS_PORTS={text!r} cannot be used: ports are 1 to 65535") from None


async def _load_root(system: System) -> None:
    """Derive keys as before the sealing key was rotated, where it was."""
    async with system.database.read() as tx:
        stored = await installation.value(tx, DERIVATION_ROOT)
    if stored is not None:
        with suppress(Invalid):  # `ums doctor` says which secrets cannot be read
            system.seal.keep_root(bytes.fromhex(system.seal.open(stored, ROOT_CONTEXT)))


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncGenerator[System]:
    """Open the data folder and the database, migrated to this version's schema.

    Raises db.HeldError when another process has the SQLite database open, SettingsError or Invalid
    when something in the folder or the settings cannot be used.
    """
    # A wrong one shows now and not at the first attachment or callback.
    parse_networks(settings.fetch_allow)
    parse_networks(settings.callback_allow, "CALLBACK_ALLOW")
    _check_ports(settings.ports)
    _trust(settings)
    secure(settings.data_dir)
    lock = DataLock(settings.data_dir)
    if settings.is_sqlite:
        lock.take()
    database = open_database(settings.database_url, settings.data_dir)
    try:
        await schema.migrate(database)
        await restoring.check(database, settings)
        system = System(settings, database, load_seal(settings))
        await system.directory.now()
        await _load_root(system)
        try:
            yield system
        finally:
            await system.recent.close()
    finally:
        await database.close()
        lock.release()
