"""Addresses of the bind id `all`, which every channel uses: each change is in the audit log."""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import select

from ums.core.audit import audit_log
from ums.core.tables import addresses, users
from ums.core.users.fields import ALL
from ums.db import Tx

ACTION: Final = "user.shared"
TOLD: Final = 200  # changes that one entry of the log names; it tells how many there were
_GROUP: Final = 20  # the log keeps no longer lists


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
    """Write them down in the transaction that makes them, as one entry for all."""
    if not changes:
        return
    # What was lost comes first: what was only added can be seen at the users.
    told = sorted(changes, key=lambda one: not set(one.before) - set(one.after))[:TOLD]
    subject = changes[0].userid if len(changes) == 1 else f"{len(changes)} addresses"
    detail = ", ".join(part for part in (by, f"{len(changes)} changed", _left_out(changes)) if part)
    await audit_log.note(
        tx,
        ACTION,
        subject,
        detail,
        before=_grouped([_line(one, one.before) for one in told]),
        after=_grouped([_line(one, one.after) for one in told]),
    )


async def note_removed(tx: Tx, ids: Sequence[int]) -> None:
    """The same for users with these ids that are about to be deleted."""
    held = select(users.c.userid, addresses.c.kind, addresses.c.value)
    held = held.join(users, users.c.id == addresses.c.user_id)
    held = held.where(addresses.c.user_id.in_(ids), addresses.c.bind_id == ALL)
    rows = await tx.rows(held.order_by(users.c.userid, addresses.c.kind, addresses.c.value))
    await note(tx, [SharedChange(row.userid, row.kind, [row.value], ()) for row in rows])


def _left_out(changes: Sequence[SharedChange]) -> str:
    return f"the first {TOLD} are told" if len(changes) > TOLD else ""


def _line(change: SharedChange, values: Collection[str]) -> str:
    return f"{change.userid} {change.kind}: {', '.join(sorted(values)[:_GROUP])}"


def _grouped(lines: list[str]) -> dict[str, list[str]]:
    starts = range(0, len(lines), _GROUP)
    return {f"from {start + 1}": lines[start : start + _GROUP] for start in starts}
