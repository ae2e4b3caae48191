"""Which users are searched for, as conditions on their table."""

from typing import Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, TextClause, exists, func, select, text

from ums import clock
from ums.core.common.pagination import plain
from ums.core.context.directory import Channel
from ums.core.identity.principals import Principal
from ums.core.tables import addresses, tags
from ums.core.tables import users as table
from ums.core.users import search as user_search
from ums.core.users.fields import ALL, read_value
from ums.core.users.search import Few, Match
from ums.core.users.segment_conditions import read
from ums.core.users.segment_sql import compile_conditions
from ums.core.users.segments import conditions_of
from ums.db import Tx
from ums.errors import Invalid

Condition = ColumnElement[bool] | TextClause


class Found(Struct, frozen=True, kw_only=True):
    """Which users are searched for; what is None does not matter."""

    search: str | None = None  # any part of what is known of a user (core.users.search)
    prefix: str | None = None  # how the userid begins
    address: str | None = None
    tag: str | None = None
    # The channel that can write to them; "nowhere": without any email address that is seen.
    reach: Channel | Literal["nowhere"] | None = None
    segment: int | None = None


class Where(Struct, frozen=True):
    """What holds of the users that are found."""

    others: list[Condition]
    match: Match | None  # of what is searched for
    many: bool = False  # more than user_search.FEW, for sure
    few: bool = False  # one of the conditions holds of FEW at most

    @property
    def conditions(self) -> list[Condition]:
        return self.others if self.match is None else [*self.others, self.match.condition]


async def where_of(tx: Tx, caller: Principal, found: Found) -> Where:
    """What holds of the users that are found. Raises as `search` does."""
    others, seen, match = list[Condition](), list[Few](), None
    if found.prefix is not None:
        others.append(_begins(tx, plain(found.prefix, "prefix")))
    if found.address is not None:
        others.append(_has_address(plain(found.address, "address"), caller))
    if found.tag is not None:
        condition, tagged = await _has_tag(tx, plain(found.tag, "tag"), caller)
        others.append(condition)
        seen.append(tagged)
    if found.reach is not None:
        others.append(_reached(found.reach, caller))
    if found.segment is not None:
        others.append(await _in_segment(tx, found.segment, caller))
    if found.search and (sought := plain(found.search, "search").strip()):
        match = await user_search.matching(tx, sought, caller.bind_ids())
        seen.append(match.found)
    is_alone = len(others) + (match is not None) == 1
    return Where(
        others,
        match,
        many=is_alone and any(one.many for one in seen),
        few=any(one.ids is not None for one in seen),
    )


async def count(tx: Tx, where: Where, *, most: int) -> int:
    """How many users are found; at most `most`, which is no more than one more than FEW."""
    if where.many:
        return most
    few = select(table.c.id).where(*where.conditions).limit(most).subquery()
    return int(await tx.value(select(func.count()).select_from(few)) or 0)


def _begins(tx: Tx, prefix: str) -> ColumnElement[bool]:
    if tx.dialect == "postgresql" or not prefix:
        return table.c.userid.startswith(prefix, autoescape=True)
    # SQLite's LIKE knows no case and no index; userids hold nothing above this character.
    return (table.c.userid >= prefix) & (table.c.userid < prefix + "\U0010ffff")


def _has_address(given: str, caller: Principal) -> ColumnElement[bool]:
    try:
        value = read_value("email", given, "address") if "@" in given else given
    except Invalid:
        value = given
    # Not by `exists`: SQLite would look at every user instead of at the index of addresses.
    own = select(addresses.c.user_id).where(addresses.c.value == value)
    visible = caller.bind_ids()
    seen = own if visible is None else own.where(addresses.c.bind_id.in_(sorted(visible)))
    return table.c.id.in_(seen)


def _reached(reach: Channel | Literal["nowhere"], caller: Principal) -> ColumnElement[bool]:
    mine = exists().where(addresses.c.user_id == table.c.id, addresses.c.kind == "email")
    if reach != "nowhere":
        return mine.where(addresses.c.bind_id.in_((ALL, reach.key)))
    visible = caller.bind_ids()
    seen = mine if visible is None else mine.where(addresses.c.bind_id.in_(sorted(visible)))
    return ~seen


async def _in_segment(tx: Tx, segment: int, caller: Principal) -> TextClause:
    caller.unbound()
    conditions = await conditions_of(tx, segment)
    if conditions is None:
        raise Invalid("segment_unknown", id=segment)
    compiled = compile_conditions(read(conditions), tx.dialect, clock.now())
    inside = f"EXISTS (SELECT 1 FROM users u WHERE u.id = users.id AND {compiled.sql})"
    return text(inside).bindparams(**compiled.params)


async def _has_tag(tx: Tx, tag: str, caller: Principal) -> tuple[Condition, Few]:
    """The condition, and who has the tag."""
    # Every bind id, for the index of tags begins with it.
    visible = caller.bind_ids() or {ALL, *caller.snapshot.channels}
    held = tags.c.bind_id.in_(sorted(visible)), tags.c.tag == tag
    found = await user_search.few_of(tx, select(tags.c.user_id).where(*held))
    if found.ids is not None:
        return user_search.among(tx, found.ids, "tagged"), found
    return exists().where(tags.c.user_id == table.c.id, *held), found
