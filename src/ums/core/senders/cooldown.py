"""A sender that fails rests for a while instead of burning its recipients' attempts.

The first part of reliability.md 4.4: how long, by what went wrong; every rest has a reason and a
next try. A sender at rest keeps its deliveries waiting.
"""

from sqlalchemy import or_, select, update

from ums import clock
from ums.core.senders.sender_rows import RESTED
from ums.core.tables import senders
from ums.core.transports.webhook_outcomes import GONE
from ums.db import Tx
from ums.mail.outcomes import Outcome, Stage

UNTIL_EDITED = 253_402_300_799_000  # the year 9999: only an edit or a good test ends it

TRANSPORT = tuple(seconds * clock.SECOND for seconds in (30, 60, 120, 300, 600, 900))
QUOTA = tuple(minutes * clock.MINUTE for minutes in (10, 20, 40, 80, 160, 320, 360))
CREDENTIALS = (60 * clock.SECOND,)
CONFIGURATION = (60 * clock.MINUTE,)
MISPLACED = ("tls", "server_unknown", "webhook_moved", "webhook_denied")
"""Reasons that say that the sender is set up wrongly, which takes a person to mend."""
TOO_MUCH = ("rate", "daily_quota")
"""Reasons that say that an account sends too much."""


async def rest(tx: Tx, sender_id: int, outcome: Outcome) -> int:
    """Let the sender rest after this outcome; the moment it may go on."""
    row = await tx.first(
        select(senders.c.failures, senders.c.cooldown_until).where(senders.c.id == sender_id)
    )
    now = clock.now()
    if row.cooldown_until is not None and row.cooldown_until > now:
        return int(row.cooldown_until)  # several sessions fail together; that is one failure
    until = now + _length(outcome, row.failures, now)
    detail = outcome.reply.text if outcome.reply else outcome.detail
    values = {
        "failures": row.failures + 1,
        "cooldown_until": until,
        "cooldown_reason": outcome.reason,
        "cooldown_detail": detail.replace("\x00", "")[:1000],
    }
    if outcome.reason in TOO_MUCH:
        values["warm_up_frozen"] = True  # while it is warmed up, tomorrow is no more
    await tx.run(update(senders).where(senders.c.id == sender_id).values(values))
    return until


async def wake(tx: Tx, sender_id: int) -> None:
    """An operator saw that the sender works: end its rest and forget its failures."""
    mine = update(senders).where(senders.c.id == sender_id, senders.c.failures > 0)
    await tx.run(mine.values(RESTED))


async def worked(tx: Tx, sender_id: int) -> None:
    """Its server took a mail or judged one: forget the failures before that. A rest that lasts
    was ordered meanwhile, over another session, and stays."""
    over = or_(senders.c.cooldown_until.is_(None), senders.c.cooldown_until <= clock.now())
    mine = update(senders).where(senders.c.id == sender_id, senders.c.failures > 0, over)
    await tx.run(mine.values(RESTED))


def _length(outcome: Outcome, failures: int, now: int) -> int:
    if outcome.stage is Stage.AUTH and outcome.wait is None:
        steps = CREDENTIALS
        # The second refusal in a row ends the guessing: a server that counts wrong log-ins
        # would otherwise lock the account (reliability.md 4.1).
        if failures >= len(steps):
            return UNTIL_EDITED - now
    elif outcome.reason in TOO_MUCH and outcome.wait and not failures:
        return max(outcome.wait, TRANSPORT[0])  # the server knows best, unless it was wrong before
    elif outcome.reason in TOO_MUCH:
        steps = QUOTA
    elif outcome.reason == GONE:
        return UNTIL_EDITED - now
    elif outcome.reason in MISPLACED:
        steps = CONFIGURATION
    else:
        steps = TRANSPORT
    return max(outcome.wait or 0, steps[min(failures, len(steps) - 1)])
