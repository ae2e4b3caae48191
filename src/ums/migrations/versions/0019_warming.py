"""warming senders up"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("senders", sa.Column("warm_up", sa.Text()))
    count = sa.Column("warm_count", sa.Integer(), nullable=False, server_default="0")
    op.add_column("senders", count)
    op.add_column("senders", sa.Column("warm_until", sa.BigInteger()))
    held = sa.Column("warm_held", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("senders", held)
