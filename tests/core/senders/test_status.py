"""The status of a sender: one answer, whatever several columns say."""

from typing import Any

import pytest

from support.flow import Flow, open_flow
from ums import clock
from ums.core.common import metadata
from ums.core.context.app_context import AppContext
from ums.core.senders import senders
from ums.core.senders.cooldown import UNTIL_EDITED
from ums.core.senders.status import SenderStatus, stop_of
from ums.core.tables import senders as rows

LATER, PAST = 4_000_000_000_000, 1
END = clock.iso(LATER)
RESTING = {"cooldown_until": LATER, "cooldown_reason": "connect"}
CAPPED = {"cap_reached_until": LATER}
WARMED = {**CAPPED, "warm_up": "{}", "warm_up_day_ends_at": LATER}
THROTTLED = {"throttled_until": LATER}
SUSPENDED = {"suspended_at": 1}


@pytest.fixture
async def flow(system: AppContext) -> Flow:
    return await open_flow(system, 25)


async def change(flow: Flow, values: dict[str, Any]) -> None:
    async with flow.system.database.write() as tx:
        await tx.run(rows.update().values(values))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"failures": 0}, ("ready", "", None)),
        ({"cooldown_until": PAST, "cooldown_reason": "connect"}, ("ready", "", None)),
        ({"cap_reached_until": PAST, "throttled_until": PAST}, ("ready", "", None)),
        (THROTTLED, ("throttled", "", END)),
        ({**CAPPED, **THROTTLED}, ("cap_reached", "", END)),
        (WARMED, ("warm_up_limit", "", END)),
        ({**WARMED, "warm_up_day_ends_at": LATER - 1}, ("cap_reached", "", END)),
        ({**RESTING, **CAPPED}, ("cooldown", "connect", END)),
        ({**RESTING, "cooldown_until": UNTIL_EDITED}, ("cooldown", "connect", None)),
        ({**SUSPENDED, **RESTING, **THROTTLED}, ("suspended", "", None)),
        ({**SUSPENDED, **RESTING, "open": False}, ("paused", "", None)),
    ],
)
async def test_the_first_reason_counts(
    flow: Flow, values: dict[str, Any], wanted: tuple[object, ...]
) -> None:
    await change(flow, values)
    shown = await senders.show(flow.system, "main")
    assert (shown.status, shown.status_reason, shown.status_until) == wanted


async def test_a_restored_backup_holds_every_sender(flow: Flow) -> None:
    await change(flow, {**RESTING, **SUSPENDED})
    async with flow.system.database.write() as tx:
        await metadata.put(tx, metadata.HELD, "1")
    assert (await senders.show(flow.system, "main")).status == SenderStatus.HELD
    await change(flow, {"open": False})
    assert (await senders.show(flow.system, "main")).status == SenderStatus.PAUSED


async def test_urgent_mail_may_use_the_whole_of_a_cap(flow: Flow) -> None:
    await change(flow, {**CAPPED, **SUSPENDED, **THROTTLED})
    row = await flow.sender()
    assert stop_of(row, urgent=True) is None
    usual = stop_of(row, urgent=False)
    assert usual is not None
    assert usual.status == SenderStatus.CAP_REACHED
    await change(flow, {"urgent_cap_reached_until": LATER})
    whole = stop_of(await flow.sender(), urgent=True)
    assert whole is not None
    assert (whole.status, whole.until) == (SenderStatus.CAP_REACHED, LATER)
