"""The status of a sender: one answer to whether it sends, for every place that shows or asks it.

It is derived from the columns that others write: by the operator (`open`), `cooldown`,
`quota_ledger`, `warm_up`, `reputation` and `maintenance.restore_guard`.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from ums import clock
from ums.core.senders.cooldown import UNTIL_EDITED


class SenderStatus(StrEnum):
    """Whether a sender sends, and if not, the first reason."""

    READY = "ready"
    PAUSED = "paused"  # an operator closed it
    HELD = "held"  # the database is a restored backup, which nobody has confirmed
    SUSPENDED = "suspended"  # too many bounces or complaints: nothing goes to several people
    COOLDOWN = "cooldown"  # its server refused it or could not be reached
    WARM_UP_LIMIT = "warm_up_limit"  # the day's mails of its warm-up are sent
    CAP_REACHED = "cap_reached"
    THROTTLED = "throttled"  # one session at a time: too many outcomes are unknown


class Standing(Struct, frozen=True):
    """The status of a sender, why, and how long it lasts."""

    status: SenderStatus
    reason: str = ""  # of a cooldown: that of the failed attempt
    until: int | None = None  # None where somebody has to act, or it is ready


def standing_of(row: Any, *, held: bool) -> Standing:
    """Derive the status of a sender's row now. `held`: a restored backup is not confirmed yet."""
    if not row.open:
        return Standing(SenderStatus.PAUSED)
    if held:
        return Standing(SenderStatus.HELD)
    if row.suspended_at is not None:
        return Standing(SenderStatus.SUSPENDED)
    stop = stop_of(row, urgent=False)
    if stop is not None:
        return stop
    if (row.throttled_until or 0) > clock.now():
        return Standing(SenderStatus.THROTTLED, until=row.throttled_until)
    return Standing(SenderStatus.READY)


def stop_of(row: Any, *, urgent: bool) -> Standing | None:
    """Derive what keeps a sender's row from sending anything at all now; None where nothing does.
    `urgent`: any urgent mail, which may use the whole of a cap."""
    now = clock.now()
    if not row.open:
        return Standing(SenderStatus.PAUSED)
    if (row.cooldown_until or 0) > now:
        until = None if row.cooldown_until >= UNTIL_EDITED else row.cooldown_until
        return Standing(SenderStatus.COOLDOWN, row.cooldown_reason or "", until)
    reached = row.urgent_cap_reached_until if urgent else row.cap_reached_until
    if (reached or 0) > now:
        warming = row.warm_up is not None and reached == row.warm_up_day_ends_at
        status = SenderStatus.WARM_UP_LIMIT if warming else SenderStatus.CAP_REACHED
        return Standing(status, until=reached)
    return None
