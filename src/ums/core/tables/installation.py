"""What holds for the whole installation: single values, its workers, and the audit log."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Text, text

from ums.core.tables.base import Id, Time, table

meta = table(
    "meta",
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

workers = table(
    "workers",
    Column("owner", String(40), primary_key=True),
    Column("started_at", Time, nullable=False),
    Column("lease_until", Time, nullable=False),
)

audit = table(
    "audit",
    Column("id", Id, primary_key=True),
    Column("at", Time, nullable=False),
    Column("actor", String(60), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("detail", Text, nullable=False),
    Column("address", String(45), nullable=False, server_default=""),  # where the actor was
    Column("before", Text),  # JSON: what changed, as it was
    Column("after", Text),  # JSON: the same, as it is
    Column("times", Integer, nullable=False, server_default="1"),  # that it happened
    Column("seq", BigInteger),  # its place in the chain; null: not sealed yet
    Column("hash", String(64)),  # covers the entry and the hash before it
    Index("uq_audit_seq", "seq", unique=True),
    Index(
        "ix_audit_unsealed",
        "id",
        sqlite_where=text("seq IS NULL"),
        postgresql_where=text("seq IS NULL"),
    ),
)
