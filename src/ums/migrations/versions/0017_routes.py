"""several senders of a channel"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for name, default in (("rank", "0"), ("weight", "1")):
        column = sa.Column(name, sa.SmallInteger(), nullable=False, server_default=default)
        op.add_column("channel_senders", column)
    spills = sa.Column("spills", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("messages", spills)
