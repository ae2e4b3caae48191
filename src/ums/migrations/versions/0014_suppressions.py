"""addresses that a channel does not write to"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "suppressions",
        sa.Column("id", id, nullable=False),
        sa.Column("channel_id", id, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("wording", sa.String(length=160), nullable=False),
        sa.Column("delivery_id", id, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_suppressions_channel_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint("channel_id", "address", name=op.f("uq_suppressions_channel_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_suppressions_channel", "suppressions", ["channel_id", "id"])
    op.create_index(
        "ix_suppressions_wording", "suppressions", ["channel_id", "wording", "created_at"]
    )
