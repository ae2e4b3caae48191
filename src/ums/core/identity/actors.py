"""Who is behind an actor of the audit log: the operator, also where a token of its acts."""

from typing import Final

from msgspec import Struct
from sqlalchemy import func, select

from ums.core.identity.authority import DEEPEST
from ums.core.tables import operators, tokens
from ums.db import Tx

_OPERATOR: Final = "operator:"
_TOKEN: Final = "token:"  # noqa: S105 - the kind of an actor
_KEPT: Final = 60 - len(_OPERATOR)  # characters of an operator's name in an actor


class Identity(Struct, frozen=True):
    """The same person has the same operator; where there is none, the same key."""

    key: str
    operator_id: int | None = None


async def of(tx: Tx, actor: str) -> Identity:
    """A token is whoever made it, and one that was made with a token is that token."""
    for _ in range(DEEPEST + 1):
        if not actor.startswith(_TOKEN):
            break
        id = actor.split(":")[1]
        row = await tx.first(select(tokens).where(tokens.c.id == int(id or 0)))
        if row is not None and row.operator_id is not None:
            return Identity(key_of(actor), row.operator_id)
        if row is None or row.parent_id is None:
            break
        actor = f"{_TOKEN}{row.parent_id}"
    if not actor.startswith(_OPERATOR):
        return Identity(key_of(actor))
    return Identity(actor, await operator_id(tx, actor.removeprefix(_OPERATOR)))


async def operator_id(tx: Tx, name: str) -> int | None:
    """The operator called `name`, which may be as long as an actor's name can be."""
    exact = operators.c.name == name
    begins = func.substr(operators.c.name, 1, _KEPT) == name
    same = exact if len(name) != _KEPT else begins
    return await tx.value(select(operators.c.id).where(same).order_by(operators.c.id).limit(1))


def key_of(actor: str) -> str:
    """An actor without the parts that anybody may choose anew: of a token its id counts."""
    return ":".join(actor.split(":")[:2]) if actor.startswith(_TOKEN) else actor
