"""mailboxes of senders, reports that came back, complaints"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

IN_DOUBT = sa.text(
    "(state = 'unknown' OR (state IN ('deferred', 'paused')"
    " AND reason IN ('unknown_outcome', 'no_answer')))"
)


def upgrade() -> None:
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "mailboxes",
        sa.Column("sender_id", id, nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("uidvalidity", id, server_default="0", nullable=False),
        sa.Column("uid", id, server_default="0", nullable=False),
        sa.Column("found_sent_folder", sa.Text(), server_default="", nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.String(length=60), server_default="", nullable=False),
        sa.Column("problem_detail", sa.Text(), server_default="", nullable=False),
        sa.Column("arrived", sa.Integer(), server_default="0", nullable=False),
        sa.Column("returned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("complained", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["senders.id"],
            name=op.f("fk_mailboxes_sender_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sender_id", name=op.f("pk_mailboxes")),
    )
    op.create_table(
        "reports",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "digest", name=op.f("pk_reports")),
    )
    op.add_column(
        "outcomes", sa.Column("complained", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_index(
        "ix_deliveries_in_doubt",
        "deliveries",
        ["sender_id", "updated_at"],
        sqlite_where=IN_DOUBT,
        postgresql_where=IN_DOUBT,
    )
