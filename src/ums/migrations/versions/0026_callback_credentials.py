"""callback endpoints: credentials and their form; approval by a second person"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    # Every address is `signed` from here on, also those that were sent the MasterSecret: a
    # receiver that insists on it refuses with 401 or 403, which is seen and can be replayed.
    form = sa.Column("form", sa.String(length=10), server_default="signed", nullable=False)
    op.add_column("callback_addresses", form)
    user = sa.Column("username", sa.Text(), server_default="", nullable=False)
    op.add_column("callback_addresses", user)
    op.add_column("callback_addresses", sa.Column("password", sa.Text(), nullable=True))
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for name in ("asker_id", "owner_id"):
        op.add_column("messages", sa.Column(name, id, nullable=True))
    by = sa.Column("approved_by", sa.String(length=60), server_default="", nullable=False)
    op.add_column("messages", by)
