"""What the audit log says of users that were made, changed or deleted, several at once too."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from ums.core.audit import audit_log
from ums.core.audit.audit_log import Note
from ums.core.audit.long_lists import parts_of
from ums.core.audit.masking import MOST
from ums.core.users.bulk_upsert import Difference
from ums.db import Tx

Fields = Mapping[str, object]
NOBODY: Final[Fields] = {}


class UserChange(Struct, frozen=True):
    """What one user was and is; None where it was, or is, not there."""

    userid: str
    before: Fields | None
    after: Fields | None


def of_difference(found: Difference) -> UserChange:
    """What a batch made different of a user."""
    before: dict[str, Any] = {f"{kind} {bind}": was for kind, bind, was, _ in found.slots}
    after: dict[str, Any] = {f"{kind} {bind}": now for kind, bind, _, now in found.slots}
    if found.attributes:
        before["attributes"] = {name: was for name, was, _ in found.attributes}
        after["attributes"] = {name: now for name, _, now in found.attributes}
    return UserChange(found.userid, None if found.made else before, after)


async def note_users(
    tx: Tx, action: str, asked: Sequence[str], changes: Sequence[UserChange], detail: str = ""
) -> None:
    """Write down what became of users: one with its fields, several as lists in as few entries as
    hold them. Where none changed, who was meant, and that nothing changed."""
    if not changes:
        subject = asked[0] if len(asked) == 1 else f"{len(asked)} users"
        await audit_log.note(tx, action, subject, detail, before=NOBODY, after=NOBODY)
    elif len(changes) == 1:
        [one] = changes
        await audit_log.note(tx, action, one.userid, detail, before=one.before, after=one.after)
    else:
        ordered = sorted(changes, key=lambda one: one.userid)
        await audit_log.note_all(tx, action, _parts(ordered, detail))


def _parts(changes: Sequence[UserChange], detail: str) -> list[Note]:
    by, subject = audit_log.source(), f"{len(changes)} users"
    return [
        Note(
            by,
            subject,
            before=_listed([(one.userid, one.before) for one in part]),
            after=_listed([(one.userid, one.after) for one in part]),
            detail=", ".join(filter(None, (detail, place))),
        )
        for place, part in parts_of(changes, MOST)
    ]


def _listed(held: Sequence[tuple[str, Fields | None]]) -> dict[str, object] | None:
    there = [{"userid": userid, **fields} for userid, fields in held if fields is not None]
    return {"users": there} if there else None
