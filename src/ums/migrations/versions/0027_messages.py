"""half-written drafts, zones of operators, secrets that are shown once"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("drafts", sa.Column("form", sa.Text(), nullable=True))
    op.add_column("operators", sa.Column("zone", sa.String(length=60), nullable=True))
    op.create_table(
        "shown_once",
        sa.Column("id", id, nullable=False),
        sa.Column("operator_id", id, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_shown_once_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shown_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_shown_once_operator_id"), "shown_once", ["operator_id"])
    op.create_index(op.f("ix_shown_once_expires_at"), "shown_once", ["expires_at"])
