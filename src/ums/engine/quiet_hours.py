"""The engine's part in quiet hours: see `core.deliveries.quiet_hours`."""

from ums import clock
from ums.core.context.app_context import AppContext
from ums.core.deliveries.quiet_hours import hush, quiet_channels

POLL = 2.0  # seconds
EARLY = 2 * clock.SECOND  # a window that begins before we look again has begun


async def keep_quiet(system: AppContext) -> bool:
    """Put off what would be claimed in a quiet channel's name; True when any was."""
    snapshot = await system.directory.now()
    now = clock.now()
    until = quiet_channels(snapshot, now, now + EARLY)
    moved = False
    while until and await hush(system.database, until):
        moved = True
    return moved
