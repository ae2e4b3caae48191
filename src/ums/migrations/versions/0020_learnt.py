"""what is learnt of senders' servers"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("senders", sa.Column("sessions", sa.Integer()))
    op.add_column("senders", sa.Column("sessions_until", sa.BigInteger()))
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "paces",
        sa.Column("sender_id", id, nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("open_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["senders.id"], name=op.f("fk_paces_sender_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sender_id", "domain", name=op.f("pk_paces")),
    )
