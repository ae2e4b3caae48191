"""What has to be done now and then."""

from sqlalchemy import delete

from ums import clock
from ums.core import answers, import_drafts, import_undo, imports, queue
from ums.core.messages import KEY_LIFE
from ums.core.models import idempotency
from ums.core.system import System


async def tidy(system: System, since: int) -> bool:
    """End expired deliveries; forget idempotency keys and answers that are over, and
    uploads that nothing wants any more."""
    async with system.database.write() as tx:
        await queue.expire(tx, since)
        over = idempotency.c.created_at < clock.now() - KEY_LIFE
        await tx.run(delete(idempotency).where(over))
    await answers.forget(system)
    await import_drafts.forget(system)
    await import_undo.forget(system)
    await imports.sweep(system)
    return True
