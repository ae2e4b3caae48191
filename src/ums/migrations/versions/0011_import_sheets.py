"""which sheet an import reads, what its header was, and since when it runs"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sheet", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("header", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("started_at", sa.BigInteger(), nullable=True))
