"""What has to be done now and then."""

from sqlalchemy import delete

from ums import clock
from ums.core.audit import audit_chain, audit_gate
from ums.core.channels import access_lists, broadcast_quota
from ums.core.common import idempotency as answers
from ums.core.common.idempotency import KEY_LIFE
from ums.core.content import materials
from ums.core.context.app_context import AppContext
from ums.core.deliveries import (
    feedback,
    frequency_cap,
    quarantine,
    queue,
    soft_bounces,
    suppressions,
)
from ums.core.identity import throttle
from ums.core.imports import drafts, runner, undo
from ums.core.maintenance import restore_guard, retention
from ums.core.senders import learned_limits, warm_up
from ums.core.tables import idempotency
from ums.core.webhooks import cleanup

_OTHERS = (quarantine, broadcast_quota, suppressions, throttle)


async def tidy(system: AppContext, since: int) -> bool:
    """End expired deliveries; forget idempotency keys, answers and suppressions that are over,
    what quotas and caps no longer count, deleted lists, and uploads, materials, callbacks and
    messages that nothing wants any more; turn the day of senders that are warmed up."""
    async with system.database.write() as tx:
        await queue.expire(tx, since)
        over = idempotency.c.created_at < clock.now() - KEY_LIFE
        await tx.run(delete(idempotency).where(over))
        for part in (frequency_cap, feedback, soft_bounces, learned_limits, access_lists, *_OTHERS):
            await part.forget(tx)
    await audit_gate.flush(system)
    await audit_chain.seal(system)
    await restore_guard.see(system)
    await warm_up.grow(system)
    await answers.forget(system.database)
    await drafts.forget(system)
    await undo.forget(system)
    await runner.sweep(system)
    await materials.sweep(system)
    await cleanup.sweep(system)
    await retention.sweep(system)
    return True
