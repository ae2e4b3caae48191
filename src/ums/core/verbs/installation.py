"""Verbs of the installation itself."""

from ums import __version__
from ums.core.context.app_context import AppContext
from ums.core.maintenance import health_checks, key_rotation, overview, restore_guard
from ums.core.messages.intake import Intake
from ums.core.verbs.base import Nothing, Verb
from ums.migrations import runner


async def _version(_system: AppContext, _: Intake, _p: Nothing) -> object:
    return {"version": __version__}


async def _status(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await overview.overview(system)


async def _migrate(system: AppContext, _: Intake, _p: Nothing) -> object:
    # Whoever has the database open has migrated it.
    return {"revision": await runner.revision(system.database)}


async def _doctor(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await health_checks.examine(system)


async def _restored(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await restore_guard.show(system)


async def _confirm(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await restore_guard.confirm(system)


async def _key_show(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await key_rotation.show(system)


async def _key_add(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await key_rotation.add(system)


async def _key_rotate(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await key_rotation.rotate(system)


async def _key_adopt(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await key_rotation.adopt(system)


async def _key_retire(system: AppContext, _: Intake, _p: Nothing) -> object:
    return await key_rotation.retire(system)


VERBS = {
    "version": Verb(Nothing, _version),
    "status": Verb(Nothing, _status),
    "migrate": Verb(Nothing, _migrate),
    "doctor": Verb(Nothing, _doctor),
    "key.show": Verb(Nothing, _key_show),
    "key.add": Verb(Nothing, _key_add),
    "key.rotate": Verb(Nothing, _key_rotate),
    "key.adopt": Verb(Nothing, _key_adopt),
    "key.retire": Verb(Nothing, _key_retire),
    "restored.show": Verb(Nothing, _restored),
    "restored.confirm": Verb(Nothing, _confirm),
}
