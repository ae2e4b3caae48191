"""users: search by part"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Make the table; 0030 fills it and makes its index."""
    id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "user_search",
        sa.Column("id", id, nullable=False),
        sa.Column("user_id", id, nullable=False),
        sa.Column("bind_id", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_user_search_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_search")),
        sa.UniqueConstraint("user_id", "bind_id", name=op.f("uq_user_search_user_id_bind_id")),
    )
