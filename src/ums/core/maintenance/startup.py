"""Opening the data folder and the database: the start of every process of UMS."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from ums import trust
from ums.config import Settings, SettingsError
from ums.core.common import metadata
from ums.core.common.data_folder import secure
from ums.core.common.encryption import DERIVATION_ROOT, ROOT_CONTEXT, load_seal
from ums.core.context.app_context import AppContext
from ums.core.context.directory import SEALING_KEY
from ums.core.maintenance import restore_guard
from ums.core.net.ssrf_guard import parse_networks
from ums.db import DataLock, open_database
from ums.errors import Invalid
from ums.mail.email_account import read_ports
from ums.migrations import runner


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
        raise SettingsError(
            f"UMS_SENDER_PORTS={text!r} cannot be used: ports are 1 to 65535"
        ) from None


def _check_schema(settings: Settings, lock: DataLock) -> None:
    try:
        runner.check_file(settings.data_dir / "ums.db")
    except Invalid:
        lock.release()
        raise


async def _load_root(system: AppContext) -> None:
    """Derive keys as before the sealing key was rotated, where it was."""
    async with system.database.read() as tx:
        stored = await metadata.value(tx, DERIVATION_ROOT)
    if stored is not None:
        with suppress(Invalid):  # `ums doctor` says which secrets cannot be read
            system.seal.keep_root(bytes.fromhex(system.seal.open(stored, ROOT_CONTEXT)))


async def _name_sealing_key(system: AppContext) -> None:
    """Write down once which key seals. A folder without that key may have made one of its own:
    what it sealed, no other machine could read, so that it seals nothing."""
    if (await system.directory.now()).sealing_key:
        return
    async with system.directory.change() as tx:
        await metadata.put_first(tx, SEALING_KEY, system.seal.fingerprint)
    await system.directory.fresh()


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncGenerator[AppContext]:
    """Open the data folder and the database, migrated to this version's schema.

    Raises db.HeldError when another process has the SQLite database open, SettingsError or Invalid
    when something in the folder or the settings cannot be used.
    """
    # A wrong one shows now and not at the first attachment or callback.
    parse_networks(settings.fetch_allow)
    parse_networks(settings.callback_allow, "CALLBACK_ALLOW")
    _check_ports(settings.sender_ports)
    _trust(settings)
    secure(settings.data_dir)
    lock = DataLock(settings.data_dir)
    if settings.is_sqlite:
        lock.take()
        _check_schema(settings, lock)
    database = open_database(settings.database_url, settings.data_dir)
    try:
        await runner.migrate(database)
        await restore_guard.check(database, settings)
        system = AppContext(settings, database, load_seal(settings))
        await _name_sealing_key(system)
        await _load_root(system)
        try:
            yield system
        finally:
            await system.recent.close()
    finally:
        await database.close()
        lock.release()
