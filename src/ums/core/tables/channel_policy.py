"""What a channel may send, to whom, and how much: lists, words, quotas, strategies."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

LIVE = text("deleted_at IS NULL")
EVERYWHERE = text("channel_id IS NULL")

lists = table(
    "lists",
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("kind", String(10), nullable=False),  # block | allow
    Column("name", String(60), nullable=False),
    Column("created_at", Time, nullable=False),
    # Its entries are kept for the messages that were accepted with it; nobody else sees it.
    Column("deleted_at", Time),
    Index(
        "uq_lists_name",
        "channel_id",
        "kind",
        "name",
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    ),
    **NEVER_REUSED,
)

list_entries = table(
    "list_entries",
    Column("list_id", Id, ForeignKey("lists.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(10), primary_key=True),  # userid | address
    Column("value", String(254), primary_key=True),
)

blocked_words = table(
    "blocked_words",
    Column("id", Id, primary_key=True),
    Column("word", String(100), nullable=False),  # as core.channels.content_filter.fold has it
    Column("channel_id", Id, ForeignKey("channels.id")),  # none: of every channel
    Column("exempt", Boolean, nullable=False, server_default=false()),  # allowed to this channel
    Column("created_at", Time, nullable=False),
    UniqueConstraint("channel_id", "word"),
    Index(
        "uq_blocked_words_everywhere",
        "word",
        unique=True,
        sqlite_where=EVERYWHERE,
        postgresql_where=EVERYWHERE,
    ),
)

broadcast_usage = table(
    "broadcast_usage",
    Column("channel_id", Id, ForeignKey("channels.id"), primary_key=True),
    Column("day", String(10), primary_key=True),  # YYYY-MM-DD, in the channel's zone
    Column("broadcasts", Integer, nullable=False),
)

frequency_cap_log = table(
    "frequency_cap_log",
    Column("channel_id", Id, ForeignKey("channels.id"), primary_key=True),
    Column("address", String(254), primary_key=True),
    Column("message_id", Id, primary_key=True),
    Column("at", Time, nullable=False, index=True),
)

strategies = table(
    "strategies",
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("name", String(60), nullable=False),
    Column("steps", Text, nullable=False),  # JSON, list of core.channels.strategies.Step
    Column("valid", Boolean, nullable=False, server_default=true()),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("channel_id", "name"),
    **NEVER_REUSED,
)

# Addresses that a channel does not write to, as nobody is there.
suppressions = table(
    "suppressions",
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("address", String(254), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("reply", Text, nullable=False),
    Column("reply_pattern", String(160), nullable=False),  # the domain, and what replies share
    Column("delivery_id", Id),  # may be gone by now
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time),
    UniqueConstraint("channel_id", "address"),
    Index("ix_suppressions_channel", "channel_id", "id"),
    Index("ix_suppressions_reply_pattern", "channel_id", "reply_pattern", "created_at"),
    **NEVER_REUSED,
)

# Mailboxes that were full (core.deliveries.soft_bounces).
full_mailboxes = table(
    "full_mailboxes",
    Column("channel_id", Id, ForeignKey("channels.id"), primary_key=True),
    Column("address", String(254), primary_key=True),
    Column("count", Integer, nullable=False),  # messages
    Column("first_at", Time, nullable=False),
    Column("last_at", Time, nullable=False),
    Column("message_id", Id, nullable=False),  # the last of them; may be gone by now
)

# What operators say that servers' replies mean; before the table of the sender.
reply_rules = table(
    "reply_rules",
    Column("id", Id, primary_key=True),
    Column("text", String(200), nullable=False),
    Column("code", String(3), nullable=False),  # 550, 5xx; "": any
    Column("reason", String(40), nullable=False),
    Column("created_at", Time, nullable=False),
    **NEVER_REUSED,
)
