"""A guard in the databases of tests: no delivery changes its state but by a legal transition.

`src/ums/core/deliveries/transitions.py` has the table; its statements are checked by what they say,
and this checks what they do, in every test.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import delete, insert, text

from ums.core.deliveries.transitions import LEGAL
from ums.core.tables import meta
from ums.core.tables.states import sql_list
from ums.db import Database, Tx

_LIFTED = "test_any_transition"
_EDGES = sql_list(sorted(f"{source}>{target}" for source, target in LEGAL))
_ILLEGAL = (
    f"OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ({_EDGES})"
    f" AND NOT EXISTS (SELECT 1 FROM meta WHERE name = '{_LIFTED}')"
)
_SQLITE = (
    "CREATE TRIGGER legal_transitions BEFORE UPDATE OF state ON deliveries"
    f" WHEN {_ILLEGAL} BEGIN SELECT RAISE(ABORT, 'illegal transition'); END",
)
_POSTGRESQL = (
    "CREATE FUNCTION legal_transitions() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    f" IF {_ILLEGAL} THEN"
    " RAISE EXCEPTION 'illegal transition of a delivery: % > %', OLD.state, NEW.state;"
    " END IF; RETURN NEW; END $$",
    "CREATE TRIGGER legal_transitions BEFORE UPDATE OF state ON deliveries"
    " FOR EACH ROW EXECUTE FUNCTION legal_transitions()",
)


async def guard_transitions(database: Database) -> None:
    """Refuse illegal changes of a delivery's state from now on."""
    statements = _SQLITE if database.dialect == "sqlite" else _POSTGRESQL
    async with database.write() as tx:
        for statement in statements:
            await tx.run(text(statement))


@asynccontextmanager
async def any_transition(tx: Tx) -> AsyncGenerator[None]:
    """Lift the guard in the block, which puts deliveries into states by hand."""
    await tx.run(insert(meta).values(name=_LIFTED, value=""))
    yield
    await tx.run(delete(meta).where(meta.c.name == _LIFTED))
