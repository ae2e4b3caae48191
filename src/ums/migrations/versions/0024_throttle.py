"""sign-in throttle, recent authentication, the channel of mails in the sandbox

Recovery codes of before are no longer good: they had 40 bits and a bare hash, so whoever has an
old copy of the database could have found them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "throttle",
        sa.Column("key", sa.String(length=50), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle")),
    )
    op.create_index(op.f("ix_throttle_at"), "throttle", ["at"])
    op.add_column(
        "sessions", sa.Column("proved_at", sa.BigInteger(), server_default="0", nullable=False)
    )
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("sandbox_mails", sa.Column("channel_id", id, nullable=True))
    op.create_index(op.f("ix_sandbox_mails_channel_id"), "sandbox_mails", ["channel_id"])
    op.execute(sa.text("UPDATE operators SET recovery = NULL"))
