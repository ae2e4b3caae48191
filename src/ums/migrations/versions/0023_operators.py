"""operators: names, invitations, tokens, second factor required"""

import sqlalchemy as sa
from alembic import op

from ums.core.common import operator_names

revision = "0023"
down_revision = "0022"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPERATORS = sa.table(
    "operators", sa.column("id"), sa.column("name"), sa.column("name_key", sa.String)
)
_TOKENS = sa.table(
    "tokens",
    sa.column("id"),
    sa.column("created_by"),
    sa.column("parent_id"),
    sa.column("operator_id"),
)
_INVITATIONS = sa.table("invitations", sa.column("created_by"), sa.column("operator_id"))


def upgrade() -> None:
    key = sa.Column("name_key", sa.String(length=64), server_default="", nullable=False)
    op.add_column("operators", key)
    op.add_column("tokens", sa.Column("parent_id", _ID, nullable=True))
    op.add_column("tokens", sa.Column("operator_id", _ID, nullable=True))
    op.add_column("invitations", sa.Column("operator_id", _ID, nullable=True))
    _fill_keys()
    _fill_makers()
    op.create_index("ix_operators_name_key", "operators", ["name_key"], unique=True)
    op.create_index("ix_tokens_parent_id", "tokens", ["parent_id"], unique=False)


def _fill_keys() -> None:
    """Where two names look alike already, both stay: the older has the key that keeps further ones
    out, and the other a key that no name has, with the `/` that none may hold."""
    connection, taken = op.get_bind(), set[str]()
    rows = connection.execute(sa.select(_OPERATORS.c.id, _OPERATORS.c.name).order_by("id"))
    for id, name in rows.all():
        key = operator_names.key(name)
        key = operator_names.key(f"{name}/{id}") if key in taken else key
        taken.add(key)
        mine = _OPERATORS.c.id == id
        connection.execute(sa.update(_OPERATORS).where(mine).values(name_key=key))


def _fill_makers() -> None:
    """Who made what, as it was written down: `operator:NAME`, `token:ID:NAME`."""
    connection = op.get_bind()
    rows = connection.execute(sa.select(_OPERATORS.c.id, _OPERATORS.c.name).order_by("id")).all()
    # The oldest last, which has it where two long names were cut off to the same.
    for id, name in reversed(rows):
        for made in (_TOKENS, _INVITATIONS):
            mine = made.c.created_by == f"operator:{name}"[:60]
            connection.execute(sa.update(made).where(mine).values(operator_id=id))
    made_by = connection.execute(sa.select(_TOKENS.c.id, _TOKENS.c.created_by)).all()
    known = {id for id, _ in made_by}
    for id, by in made_by:
        parts = by.split(":")
        if parts[0] == "token" and parts[1:2] and parts[1].isdigit() and int(parts[1]) in known:
            mine = _TOKENS.c.id == id
            connection.execute(sa.update(_TOKENS).where(mine).values(parent_id=int(parts[1])))
