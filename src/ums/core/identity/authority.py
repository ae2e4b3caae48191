"""What a token, or an invitation, is good for today: what whoever made it could still give.

A token that was made with a token is good while that one is, and an operator's while the operator
may sign in; and neither may do more than its maker.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import select

from ums import clock
from ums.core.identity.grants import ALL, Rights
from ums.core.identity.scopes import OF_ROLE
from ums.core.tables import operators, tokens
from ums.db import Tx

DEEPEST: Final = 8
"""Tokens made with each other, one after the other: each request looks at all of them."""


async def of_token(tx: Tx, row: Any) -> Rights | None:
    """The rights that a token has now; None for one that is over, or whose makers are."""
    found, at = ALL, row
    for _ in range(DEEPEST):
        own = None if at is None else _own(at)
        if at is None or own is None:
            return None
        found = found.shared(own)
        if at.parent_id is None:
            return found if at.operator_id is None else await _within(tx, found, at.operator_id)
        at = await tx.first(select(tokens).where(tokens.c.id == at.parent_id))
    return None


async def of_operator(tx: Tx, id: int) -> Rights | None:
    """The rights of an operator; None for one who may not sign in."""
    row = await tx.first(select(operators).where(operators.c.id == id))
    if row is None or row.disabled:
        return None
    return Rights(OF_ROLE[row.role], _ids(row.channels))


async def depth(tx: Tx, token_id: int | None) -> int:
    """How many tokens stand above what is made with this one."""
    count = 0
    while token_id is not None:
        count += 1
        token_id = await tx.value(select(tokens.c.parent_id).where(tokens.c.id == token_id))
    return count


async def _within(tx: Tx, found: Rights, operator_id: int) -> Rights | None:
    above = await of_operator(tx, operator_id)
    return None if above is None else found.shared(above)


def _own(row: Any) -> Rights | None:
    over = row.expires_at is not None and row.expires_at <= clock.now()
    if over or row.revoked_at is not None:
        return None
    return Rights(frozenset(msgspec.json.decode(row.scopes)), _ids(row.channels))


def _ids(stored: str | None) -> frozenset[int] | None:
    ids: list[int] | None = None if stored is None else msgspec.json.decode(stored)
    return None if ids is None else frozenset(ids)
