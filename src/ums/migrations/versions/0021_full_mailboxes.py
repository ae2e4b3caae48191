"""mailboxes that are full again and again"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "full_mailboxes",
        sa.Column("channel_id", id, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("message_id", id, nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_full_mailboxes_channel_id")
        ),
        sa.PrimaryKeyConstraint("channel_id", "address", name=op.f("pk_full_mailboxes")),
    )
