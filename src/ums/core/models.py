"""The tables. Times are milliseconds since 1970 (UTC); JSON that SQL never looks into is text."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts only INTEGER PRIMARY KEY columns by itself.
Id = BigInteger().with_variant(Integer, "sqlite")
Time = BigInteger
Document = JSON().with_variant(JSONB, "postgresql")
NEVER_REUSED = {"sqlite_autoincrement": True}


def _table(name: str, *parts: SchemaItem, **options: Any) -> Table:
    return Table(name, metadata, *parts, **options)


meta = _table(
    "meta",
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

operators = _table(
    "operators",
    Column("id", Id, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("created_at", Time, nullable=False),
)

channels = _table(
    "channels",
    Column("id", Id, primary_key=True),
    Column("name", String(30), nullable=False, unique=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("secret", Text, nullable=False),  # sealed
    Column("old_secret", Text),  # sealed; still good until old_secret_until
    Column("old_secret_until", Time),
    Column("open", Boolean, nullable=False),
    Column("created_at", Time, nullable=False),
)

access_keys = _table(
    "access_keys",
    Column("id", Id, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("secret", Text, nullable=False),  # sealed
    Column("created_at", Time, nullable=False),
)

senders = _table(
    "senders",
    Column("id", Id, primary_key=True),
    Column("code", String(30), nullable=False, unique=True),
    Column("name", String(30), nullable=False, unique=True),
    Column("type", String(20), nullable=False),
    Column("settings", Text, nullable=False),  # JSON; its shape is the sender type's
    Column("secret", Text),  # sealed, bound to where it may be sent
    Column("open", Boolean, nullable=False),
    Column("rest_until", Time),  # no new session before this moment
    Column("rest_reason", String(60)),
    Column("rest_detail", Text),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("created_at", Time, nullable=False),
)

channel_senders = _table(
    "channel_senders",
    Column("channel_id", Id, ForeignKey("channels.id"), primary_key=True),
    Column("sender_id", Id, ForeignKey("senders.id"), primary_key=True),
    Column("is_default", Boolean, nullable=False),
)

audit = _table(
    "audit",
    Column("id", Id, primary_key=True),
    Column("at", Time, nullable=False),
    Column("actor", String(60), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("detail", Text, nullable=False),
)

users = _table(
    "users",
    Column("id", Id, primary_key=True),
    Column("userid", String(64), nullable=False, unique=True),
    Column("attributes", Document, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
)

addresses = _table(
    "addresses",
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("bind_id", String(32), primary_key=True),
    Column("value", String(254), primary_key=True),
)

tags = _table(
    "tags",
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("bind_id", String(32), primary_key=True),
    Column("tag", String(40), primary_key=True),
    Index("ix_tags_tag", "bind_id", "tag", "user_id"),
)

segments = _table(
    "segments",
    Column("id", Id, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("conditions", Text, nullable=False),  # JSON; empty = everyone
    Column("created_at", Time, nullable=False),
)

messages = _table(
    "messages",
    Column("id", Id, primary_key=True),
    Column("msgid", String(80), nullable=False, unique=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("sender_id", Id, ForeignKey("senders.id"), nullable=False),
    Column("audience", Text, nullable=False),  # JSON, core.audience.Audience
    Column("content", Text, nullable=False),  # JSON, core.messages.Content
    Column("options", Text, nullable=False),  # JSON: option and callback as given
    Column("priority", SmallInteger, nullable=False),
    Column("on_doubt", String(10), nullable=False),  # hold | resend, when the outcome is unknown
    Column("state", String(12), nullable=False),  # accepted | expanded
    Column("cursor", BigInteger, nullable=False),  # how far the expansion has come
    Column("plan", Text),  # JSON, core.expansion.Plan: what the expansion found at its start
    Column("size", BigInteger, nullable=False),  # of the audience
    Column("accepted_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    Index("ix_messages_channel", "channel_id", "id"),
    Index(
        "ix_messages_unexpanded",
        "id",
        sqlite_where=text("state <> 'expanded'"),
        postgresql_where=text("state <> 'expanded'"),
    ),
    **NEVER_REUSED,
)

files = _table(
    "files",
    Column("message_id", Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

idempotency = _table(
    "idempotency",
    Column("channel_id", Id, ForeignKey("channels.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("msgid", String(80), nullable=False),
    Column("created_at", Time, nullable=False, index=True),
)

WAITING = text("state IN ('queued', 'deferred')")
HELD = text("state IN ('claimed', 'at_dot')")
REAL = text("state <> 'invalid'")

deliveries = _table(
    "deliveries",
    Column("id", Id, primary_key=True),
    Column("message_id", Id, ForeignKey("messages.id"), nullable=False),
    Column("sender_id", Id, ForeignKey("senders.id"), nullable=False),
    Column("userid", String(64), nullable=False),  # "" with a direct address
    Column("address", String(254), nullable=False),  # "" where none was found
    Column("state", String(10), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("due_at", Time, nullable=False),
    Column("owner", String(40)),  # the worker that holds it
    Column("epoch", Integer, nullable=False),  # grows with each claim: the fence against zombies
    Column("charged", SmallInteger, nullable=False),  # attempts that count for the schedule
    Column("tries", SmallInteger, nullable=False),  # all attempts
    Column("doubts", SmallInteger, nullable=False),  # times it was resent after an unknown outcome
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Index("ix_deliveries_message_state", "message_id", "state", "id"),
    Index(
        "uq_deliveries_message_address",
        "message_id",
        "address",
        unique=True,
        sqlite_where=REAL,
        postgresql_where=REAL,
    ),
    Index(
        "ix_deliveries_due",
        "sender_id",
        "priority",
        "due_at",
        "id",
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    ),
    Index("ix_deliveries_owner", "owner", sqlite_where=HELD, postgresql_where=HELD),
    **NEVER_REUSED,
)

attempts = _table(
    "attempts",
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("number", SmallInteger, nullable=False),
    Column("sender_id", Id, ForeignKey("senders.id"), nullable=False),
    Column("started_at", Time, nullable=False),
    Column("duration", Integer, nullable=False),  # ms
    Column("stage", String(10), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("code", SmallInteger, nullable=False),  # 0 where the server did not answer
    Column("enhanced", String(16), nullable=False),
    Column("reply", Text, nullable=False),
)

workers = _table(
    "workers",
    Column("owner", String(40), primary_key=True),
    Column("started_at", Time, nullable=False),
    Column("lease_until", Time, nullable=False),
)

sandbox_mails = _table(
    "sandbox_mails",
    Column("id", Id, primary_key=True),
    Column("received_at", Time, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("rcpt_to", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("source", LargeBinary, nullable=False),
    **NEVER_REUSED,
)

imports = _table(
    "imports",
    Column("id", Id, primary_key=True),
    Column("file", Text, nullable=False),  # path of our own copy
    Column("name", Text, nullable=False),  # what the operator called it
    Column("digest", String(64), nullable=False),  # SHA-256: the same file is recognised
    Column("bind_id", String(32), nullable=False),
    Column("state", String(12), nullable=False),  # waiting | running | done | failed
    Column("detail", Text, nullable=False),
    Column("cursor", Integer, nullable=False),  # rows read so far
    Column("size", Integer, nullable=False),  # rows in the sheet; 0 while not known
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("owner", String(40)),
    Column("created_at", Time, nullable=False),
    Column("finished_at", Time),
)

import_rejects = _table(
    "import_rejects",
    Column("import_id", Id, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("row", Integer, primary_key=True),  # as the spreadsheet program counts
    Column("cells", Text, nullable=False),  # JSON: the row as it was read
    Column("reason", Text, nullable=False),
)
