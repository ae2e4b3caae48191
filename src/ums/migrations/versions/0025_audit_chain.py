"""audit log: before and after, address, hash chain; who asked for a message"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

UNSEALED = sa.text("seq IS NULL")


def upgrade() -> None:
    address = sa.Column("address", sa.String(length=45), server_default="", nullable=False)
    op.add_column("audit", address)
    op.add_column("audit", sa.Column("before", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("after", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("times", sa.Integer(), server_default="1", nullable=False))
    op.add_column("audit", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("hash", sa.String(length=64), nullable=True))
    op.create_index("uq_audit_seq", "audit", ["seq"], unique=True)
    op.create_index(
        "ix_audit_unsealed",
        "audit",
        ["id"],
        sqlite_where=UNSEALED,
        postgresql_where=UNSEALED,
    )
    for name, length in (("requested_by", 60), ("requested_from", 45)):
        column = sa.Column(name, sa.String(length=length), server_default="", nullable=False)
        op.add_column("messages", column)
