"""The gate of the audit log: what changed something, gave something out or was refused at sign-in
leaves an entry, also where the code that did it wrote none."""

from typing import Final

from msgspec import Struct

from ums import clock
from ums.core.audit import audit_log
from ums.core.audit.audit_log import Acting
from ums.core.common import operator_names
from ums.core.context.app_context import AppContext
from ums.db import Database, Tx
from ums.networks import client_network

MOST: Final = 100  # different failures with an entry of their own, in a minute and process
MOST_LISTINGS: Final = 1000  # the same of listings, in an hour and process
MANY: Final = "many"


async def settle(database: Database, by: Acting, action: str, subject: str) -> None:
    """Note `action`, unless what was done has left an entry by itself, or was only a look."""
    if by.notes == 0 and not by.looks:
        async with database.write() as tx:
            await audit_log.note(tx, action, subject, by.detail)


class _Event(Struct, frozen=True):
    actor: str
    action: str
    subject: str
    place: str


class _Repeats(Struct):
    times: int = 0
    given: int = 0


class _Counted:
    """What may happen without end, and is noted without end to nobody's disk.

    The first of a period is written at once. Others of the same kind from the same place are
    counted, and written as one entry when the period is over.
    """

    def __init__(self, database: Database, period: int, most: int) -> None:
        self._database, self._period, self._most = database, period, most
        self._number = 0  # of the period
        self._repeats: dict[_Event, _Repeats] = {}

    async def _count(self, event: _Event, given: int = 0) -> None:
        await self.flush()
        if event not in self._repeats and len(self._repeats) >= self._most:
            event = _Event(event.actor, event.action, MANY, "")
        held = self._repeats.get(event)
        if held is not None:
            held.times += 1
            held.given += given
            return
        self._repeats[event] = _Repeats()
        await self._write({event: _Repeats(1, given)})

    async def flush(self, *, now: bool = False) -> None:
        """Write what was counted in a period that is over, or in this one as well."""
        number = clock.now() // self._period
        if number == self._number and not now:
            return
        found = {event: held for event, held in self._repeats.items() if held.times}
        self._number, self._repeats = number, {}
        if found:
            await self._write(found)

    async def _write(self, found: dict[_Event, _Repeats]) -> None:
        async with self._database.write() as tx:
            for event, held in found.items():
                await self._note(tx, event, held)

    async def _note(self, tx: Tx, event: _Event, held: _Repeats) -> None:
        raise NotImplementedError


class Failures(_Counted):
    """Failed sign-ins and refused credentials."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, clock.MINUTE, MOST)

    async def count(self, action: str, subject: str, address: str) -> None:
        actor = audit_log.source().actor  # of an operator who fails to prove who it is, too
        await self._count(_Event(actor, action, subject, client_network(address)))

    async def _note(self, tx: Tx, event: _Event, held: _Repeats) -> None:
        subject = event.subject
        if event.action.startswith("sign_in."):
            subject = await _known(tx, subject)
        with audit_log.acting(event.actor, event.place):
            await audit_log.note(tx, event.action, subject, times=held.times)


class HalfSignIns(Failures):
    """Passwords that were right and have led to the question for a code. Counted apart, so that
    nobody can hide one among failures."""


class Listings(_Counted):
    """Lists of people and their addresses that programs were given."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, clock.HOUR, MOST_LISTINGS)

    async def count(self, by: Acting, action: str, subject: str) -> None:
        await self._count(_Event(by.actor, action, subject, by.address), by.given)

    async def _note(self, tx: Tx, event: _Event, held: _Repeats) -> None:
        with audit_log.acting(event.actor, event.place):
            after = {"given": held.given}
            await audit_log.note(tx, event.action, event.subject, after=after, times=held.times)


async def flush(system: AppContext, *, now: bool = False) -> None:
    """Write the failures and listings of periods that are over, or of these as well."""
    for kind in (Failures, HalfSignIns, Listings):
        await system.shared(kind).flush(now=now)


async def _known(tx: Tx, name: str) -> str:
    """`name` where an operator has it: else it may be a password in the wrong field."""
    if name == MANY or "\x00" in name:
        return MANY
    found = await tx.first(operator_names.meant(name).limit(1))
    return found.name if found else "unknown"
