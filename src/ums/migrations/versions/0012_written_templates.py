"""templates that were written for one message, which no list shows"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    # Not by a batch: that would make the table anew, which others refer to.
    listed = sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.true())
    op.add_column("templates", listed)
