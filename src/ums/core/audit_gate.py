"""The gate of the audit log: what changed something, gave something out or was refused at sign-in
leaves an entry, also where the code that did it wrote none."""

from typing import Final

from msgspec import Struct

from ums import clock
from ums.core import audit, names
from ums.core.audit import Acting
from ums.db import Database, Tx
from ums.networks import client_network

MOST: Final = 100  # different failures with an entry of their own, in a minute and process
MANY: Final = "many"


async def settle(database: Database, by: Acting, action: str, subject: str) -> None:
    """Note `action`, unless what was done has left an entry by itself."""
    if by.notes == 0:
        async with database.write() as tx:
            await audit.note(tx, action, subject)


class _Failure(Struct, frozen=True):
    action: str
    subject: str
    place: str


class Failures:
    """Failed sign-ins and refused credentials, noted without end to nobody's disk.

    The first of a minute is written at once. Others of the same kind from the same place are
    counted, and written as one entry when the minute is over.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._minute = 0
        self._repeats: dict[_Failure, int] = {}

    async def count(self, action: str, subject: str, address: str) -> None:
        await self.flush()
        failure = _Failure(action, subject, client_network(address))
        if failure not in self._repeats and len(self._repeats) >= MOST:
            failure = _Failure(action, MANY, "")
        if failure in self._repeats:
            self._repeats[failure] += 1
            return
        self._repeats[failure] = 0
        await self._write({failure: 1})

    async def flush(self, *, now: bool = False) -> None:
        """Write what was counted in a minute that is over, or in this one as well."""
        minute = clock.now() // clock.MINUTE
        if minute == self._minute and not now:
            return
        found = {failure: count for failure, count in self._repeats.items() if count}
        self._minute, self._repeats = minute, {}
        if found:
            await self._write(found)

    async def _write(self, found: dict[_Failure, int]) -> None:
        async with self._database.write() as tx:
            for failure, times in found.items():
                await _note(tx, failure, times)


async def _note(tx: Tx, failure: _Failure, times: int) -> None:
    subject = failure.subject
    if failure.action.startswith("sign_in."):
        subject = await _known(tx, subject)
    actor = audit.source().actor if times == 1 else audit.ANYBODY
    with audit.acting(actor, failure.place):
        await audit.note(tx, failure.action, subject, times=times)


async def _known(tx: Tx, name: str) -> str:
    """`name` where an operator has it: else it may be a password in the wrong field."""
    if name == MANY or "\x00" in name:
        return MANY
    found = await tx.first(names.meant(name).limit(1))
    return found.name if found else "unknown"
