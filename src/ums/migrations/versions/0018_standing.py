"""how senders stand, and what UMS pauses by itself"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "outcomes",
        sa.Column("sender_id", id, nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("bounced", sa.Integer(), nullable=False),
        sa.Column("doubtful", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["senders.id"],
            name=op.f("fk_outcomes_sender_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sender_id", "slot", name=op.f("pk_outcomes")),
    )
    for name in ("slowed_until", "stopped_at"):
        op.add_column("senders", sa.Column(name, sa.BigInteger()))
    reason = sa.Column("halt_reason", sa.String(length=12), nullable=False, server_default="")
    op.add_column("messages", reason)
    detail = sa.Column("halt_detail", sa.Text(), nullable=False, server_default="")
    op.add_column("messages", detail)
    told = sa.text("halt_reason <> ''")
    op.create_index(
        "ix_messages_paused_by_ums", "messages", ["id"], sqlite_where=told, postgresql_where=told
    )
