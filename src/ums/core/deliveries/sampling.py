"""Finding some of a large message's deliveries without looking at all of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, select, true, union_all

from ums.core.tables import deliveries
from ums.core.tables.messages import REAL
from ums.core.tables.states import DeliveryState


def first_ids(
    wanted: Sequence[ColumnElement[bool] | TextClause],
    states: Sequence[str],
    limit: int,
    *,
    down: bool = False,
) -> Select[Any]:
    """The first ids (`down`: the last) of those in any of the states: the first of each, as the
    index has them in order, where all of a large message would have to be sorted. Partial indexes
    are used where their condition stands in the statement word for word."""
    parts = [
        select(
            select(deliveries.c.id)
            .where(
                *wanted,
                deliveries.c.state == state,
                true() if state == DeliveryState.INVALID else REAL,
            )
            .order_by(deliveries.c.id.desc() if down else deliveries.c.id)
            .limit(limit)
            .subquery()
            .c.id
        )
        for state in states
    ]
    found = union_all(*parts).subquery()
    return select(found.c.id).order_by(found.c.id.desc() if down else found.c.id).limit(limit)
