"""Addresses of the bind id `all`, which every channel uses: each change is in the audit log."""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import select

from ums.core.audit import audit_log
from ums.core.audit.audit_log import Note
from ums.core.audit.long_lists import grouped, parts_of
from ums.core.audit.masking import LONGEST
from ums.core.tables import addresses, users
from ums.core.users.fields import ALL
from ums.db import Tx

ACTION: Final = "user.shared"
_LONGEST: Final = LONGEST - 100  # characters of values in a line, beside who they are of


class SharedChange(Struct, frozen=True, gc=False):
    """What one user had under `all`, and has now; empty: nothing."""

    userid: str
    kind: str
    before: Collection[str]
    after: Collection[str]


def is_shared(slot: tuple[str, str]) -> bool:
    """Whether the values of a slot (kind, bind id) are addresses that every channel uses."""
    return slot[1] == ALL and slot[0] != "tag"


async def note(tx: Tx, changes: Sequence[SharedChange], by: str = "") -> None:
    """Write all of them down in the transaction that makes them, in as few entries as hold them."""
    # What was lost comes first: what was only added can be seen at the users.
    told = sorted(changes, key=lambda one: not set(one.before) - set(one.after))
    subject = changes[0].userid if len(changes) == 1 else f"{len(changes)} addresses"
    lines = [each for one in told for each in _lines(one)]
    notes = [
        Note(
            audit_log.source(),
            subject,
            before=grouped([before for before, _ in part]),
            after=grouped([after for _, after in part]),
            detail=", ".join(filter(None, (by, f"{len(changes)} changed", place))),
        )
        for place, part in parts_of(lines)
    ]
    await audit_log.note_all(tx, ACTION, notes)


async def note_removed(tx: Tx, ids: Sequence[int]) -> None:
    """The same for users with these ids that are about to be deleted."""
    held = select(users.c.userid, addresses.c.kind, addresses.c.value)
    held = held.join(users, users.c.id == addresses.c.user_id)
    held = held.where(addresses.c.user_id.in_(ids), addresses.c.bind_id == ALL)
    rows = await tx.rows(held.order_by(users.c.userid, addresses.c.kind, addresses.c.value))
    await note(tx, [SharedChange(row.userid, row.kind, [row.value], ()) for row in rows])


def _lines(change: SharedChange) -> list[tuple[str, str]]:
    """What was and is there, as pairs of lines: of much, a pair for each value that differs."""
    before, after = set(change.before), set(change.after)
    if max(len(", ".join(values)) for values in (before, after)) <= _LONGEST:
        return [(_line(change, before), _line(change, after))]
    return [
        (_line(change, before & {value}), _line(change, after & {value}))
        for value in sorted(before ^ after)
    ]


def _line(change: SharedChange, values: Collection[str]) -> str:
    return f"{change.userid} {change.kind}: {', '.join(sorted(values))}"
