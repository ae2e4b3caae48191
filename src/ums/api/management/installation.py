"""The installation itself: whether it was restored from a backup."""

from litestar import get, post

from ums.api.management.dependencies import Caller, System
from ums.core.maintenance import restore_guard
from ums.core.maintenance.restore_guard import Restored


@get("/api/restored", scope="operators:read", channels="all")
async def show_restored(system: System) -> Restored:
    """Whether sending is held because the database is a restored backup."""
    return await restore_guard.show(system)


@post("/api/restored/confirm", scope="operators:write", channels="all", status_code=200)
async def confirm_restored(system: System, caller: Caller) -> Restored:
    """Send what waits after all, though some of it may have been sent after the backup."""
    return await restore_guard.confirm(system, actor=caller.name)


handlers = [show_restored, confirm_restored]
