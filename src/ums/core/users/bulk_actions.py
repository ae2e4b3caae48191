"""One change to many users: those that are named, or all that a search finds."""

from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import select

from ums.core.context.app_context import AppContext
from ums.core.identity.principals import Principal
from ums.core.tables import users as table
from ums.core.users import filters, users
from ums.core.users.administration import rights_of
from ums.core.users.bulk_upsert import Difference, apply
from ums.core.users.change_log import note_users, of_difference
from ums.core.users.entry_parser import Entry, parse
from ums.core.users.fields import ALL
from ums.core.users.filters import Found
from ums.errors import Invalid

MOST: Final = 10_000
SLICE: Final = 500  # users in one transaction


class TagChange(Struct, frozen=True):
    """A tag for all channels that users get or lose."""

    op: Literal["add", "del"]
    tag: str


async def find(system: AppContext, caller: Principal, found: Found) -> list[str]:
    """The userids of all that `found` finds. Raises Invalid where they are more than MOST."""
    async with system.database.read() as tx:
        where = await filters.where_of(tx, caller, found)
        if await filters.count(tx, where, most=MOST + 1) > MOST:
            raise Invalid("too_many_users", limit=MOST)
        query = select(table.c.userid).where(*where.conditions).order_by(table.c.id).limit(MOST)
        return [row.userid for row in await tx.rows(query)]


async def tag(system: AppContext, caller: Principal, userids: list[str], change: TagChange) -> int:
    """Change a tag of those that are there; how many. Raises Invalid for what is no tag."""
    rights, done = rights_of(caller), 0
    for part in _slices(userids):
        async with system.database.write() as tx:
            held = select(table.c.userid).where(table.c.userid.in_(part)).order_by(table.c.userid)
            there = [row.userid for row in await tx.rows(held.with_for_update())]
            entries: list[Entry] = [parse(_raw(userid, change), rights) for userid in there]
            changed: list[Difference] = []
            outcomes = await apply(tx, entries, changed)
            done += sum(not isinstance(one, Invalid) for one in outcomes)
            told = f"{change.op} tag {change.tag}"
            await note_users(tx, "user.bulk", there, [of_difference(one) for one in changed], told)
    return done


async def delete(system: AppContext, caller: Principal, userids: list[str]) -> int:
    """Delete those that are there; how many. Raises Forbidden for a bound caller."""
    caller.unbound()
    done = 0
    for part in _slices(userids):
        async with system.database.write() as tx:
            done += len(await users.remove(tx, set(part)))
    return done


def _raw(userid: str, change: TagChange) -> dict[str, Any]:
    return {"userid": userid, change.op: {"tag": {ALL: [change.tag]}}}


def _slices(userids: list[str]) -> list[list[str]]:
    return [userids[start : start + SLICE] for start in range(0, len(userids), SLICE)]
