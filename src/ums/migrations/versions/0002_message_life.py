"""what a message's life and a channel's rules need"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("channels", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rules", sa.Text(), server_default="{}", nullable=False))

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("variables", sa.Text(), nullable=True))

    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("broadcast", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("origin", sa.String(length=10), server_default="v1", nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "template_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(sa.Column("template_version", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "black_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "white_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "callback_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(sa.Column("tells", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(
            sa.Column("halt", sa.String(length=12), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("halted_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(
            sa.Column("starts_at", sa.BigInteger(), server_default="0", nullable=False)
        )
