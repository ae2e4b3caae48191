"""release addresses that a server's routing trouble suppressed; where an import's header stands"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    release()
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.add_column(sa.Column("header_row", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("dismissed_at", sa.BigInteger(), nullable=True))


def release() -> None:
    """Until now a relay that found no route suppressed the address for good. What the domain itself
    said (RFC 7504) stays."""
    table = sa.table("suppressions", sa.column("reason"), sa.column("reply"))
    said = sa.func.lower(table.c.reply)
    own = said.like("%null mx%") | said.like("%nullmx%") | said.like("%556%")
    routed = (table.c.reason == "no_such_domain") & sa.not_(own)
    unknown = (table.c.reason == "no_such_mailbox") & said.like("%unroutable%")
    exim = (table.c.reason == "no_such_mailbox") & said.like("%unrouteable%")
    op.execute(sa.delete(table).where(routed | unknown | exim))
