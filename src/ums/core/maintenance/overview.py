"""The installation in a few figures: what waits, what went out today, what is held back."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ums import __version__, clock
from ums.core.context.app_context import AppContext
from ums.core.maintenance import restore_guard
from ums.core.reporting import statistics
from ums.core.reporting.statistics_sql import Asked
from ums.core.senders import senders
from ums.core.senders.senders import SenderInfo
from ums.core.senders.status import SenderStatus


class Overview(Struct, frozen=True):
    """How the installation is."""

    version: str
    database: str
    waiting: int  # recipients still to be sent to, now or later (deliveries up to MOST)
    sent_today: int  # of what was accepted today, by the days of each channel's zone
    senders_on_hold: dict[str, str]  # by code: why
    restored_from: str | None  # the time of the backup, while sending is held for it


async def overview(system: AppContext) -> Overview:
    snapshot, now = await system.directory.fresh(), clock.now()
    asked = Asked(by="day", since=now, until=now + 1)
    async with system.database.read() as tx:
        waiting = await restore_guard.count_waiting(tx)
        today = (await statistics.own_days(tx, snapshot, asked)).today
    return Overview(
        version=__version__,
        database="SQLite" if system.database.dialect == "sqlite" else "PostgreSQL",
        waiting=waiting,
        sent_today=today.submitted,
        senders_on_hold=on_hold(await senders.list_senders(system)),
        restored_from=(await restore_guard.show(system)).backup_at,
    )


def on_hold(known: Sequence[SenderInfo]) -> dict[str, str]:
    """The senders that send nothing now, or nothing to several people, and why."""
    told = {one.code: _WORDS.get(one.status, "") for one in known}
    reasons = {one.code: f" ({one.status_reason})" for one in known if one.status_reason}
    return {code: why + reasons.get(code, "") for code, why in told.items() if why}


_WORDS: Final = {
    SenderStatus.PAUSED: "paused",
    SenderStatus.HELD: "held until the restored backup is confirmed",
    SenderStatus.SUSPENDED: "suspended until it is confirmed",
    SenderStatus.COOLDOWN: "in a cooldown",
    SenderStatus.CAP_REACHED: "has reached a cap",
    SenderStatus.WARM_UP_LIMIT: "has reached the day's limit of its warm-up",
}
