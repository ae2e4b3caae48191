"""The audit log: who changed what. Never holds a secret."""

from sqlalchemy import insert

from ums import clock
from ums.core.models import audit
from ums.db import Tx

LOCAL = "local"  # somebody with access to the machine: the `ums` command


async def note(tx: Tx, action: str, subject: str, detail: str = "", actor: str = LOCAL) -> None:
    row = {"at": clock.now(), "actor": actor, "action": action}
    await tx.run(insert(audit), {**row, "subject": subject[:120], "detail": detail})
