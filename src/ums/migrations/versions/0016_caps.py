"""caps of senders, and what was sent against them"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("senders", sa.Column("caps", sa.Text(), nullable=False, server_default="[]"))
    op.add_column(
        "senders",
        sa.Column("urgent_share", sa.SmallInteger(), nullable=False, server_default="10"),
    )
    op.add_column("senders", sa.Column("spent_until", sa.BigInteger(), nullable=True))
    op.add_column("senders", sa.Column("urgent_spent_until", sa.BigInteger(), nullable=True))
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "spending",
        sa.Column("sender_id", id, nullable=False),
        sa.Column("cap", sa.String(length=80), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["senders.id"],
            name=op.f("fk_spending_sender_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sender_id", "cap", "start", name=op.f("pk_spending")),
    )
