"""Whom the callers want to be told, what is to be told, and in which batches it is."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    text,
)

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

LISTED = text("state <> 'deleted'")
UNBATCHED = text("batch_id IS NULL")
BATCHED = text("batch_id IS NOT NULL")
OPEN = text("state IN ('waiting', 'claimed')")
ENDED = text("state IN ('done', 'dead')")

callback_addresses = table(
    "callback_addresses",
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("schedule", String(10), nullable=False),  # hosted | standard
    Column("form", String(10), nullable=False, server_default="signed"),  # signed | hosted
    Column("username", Text, nullable=False, server_default=""),  # of Basic, where it wants that
    Column("password", Text),  # sealed; belongs to `username`
    Column("secret", Text, nullable=False),  # sealed; signs what it is sent
    Column("old_secret", Text),  # sealed; signs as well until old_secret_until
    Column("old_secret_until", Time),
    Column("state", String(10), nullable=False),  # verified | disabled | deleted
    Column("state_changed_at", Time, nullable=False),
    Column("failing_since", Time),  # the first failure since it last took something
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("cooldown_until", Time),  # nothing is sent before
    Column("created_at", Time, nullable=False),
    Index(
        "uq_callback_addresses_url",
        "channel_id",
        "url",
        unique=True,
        sqlite_where=LISTED,
        postgresql_where=LISTED,
    ),
    **NEVER_REUSED,  # messages name it without a foreign key
)

callback_batches = table(
    "callback_batches",
    Column("id", Id, primary_key=True),
    Column("address_id", Id, nullable=False),
    Column("webhook_id", String(40), nullable=False, unique=True),  # the same in every try
    Column("state", String(10), nullable=False),  # claimed | waiting | done | dead
    Column("owner", String(40)),  # the worker that is telling it
    Column("size", Integer, nullable=False),  # records
    Column("first_at", Time, nullable=False),  # of its records
    Column("last_at", Time, nullable=False),
    Column("due_at", Time, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("last_status", SmallInteger, nullable=False, server_default="0"),  # 0: no answer
    Column("last_error", Text, nullable=False, server_default=""),
    Column("created_at", Time, nullable=False),
    Column("ended_at", Time),
    Index(
        "ix_callback_batches_open",
        "address_id",
        "id",
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    ),
    Index(
        "ix_callback_batches_ended",
        "state",
        "ended_at",
        sqlite_where=ENDED,
        postgresql_where=ENDED,
    ),
    Index("ix_callback_batches_address", "address_id", "state", "id"),
    **NEVER_REUSED,
)

callback_records = table(
    "callback_records",
    Column("id", Id, primary_key=True),
    # No foreign key: a verdict must be stored also while its address is being deleted.
    Column("address_id", Id, nullable=False),
    Column("message_id", Id, nullable=False),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("type", SmallInteger, nullable=False),  # ums-spec 5.4
    Column("at", Time, nullable=False),
    Column("code", Integer, nullable=False),  # of its error; 0 where the type has none
    Column("error", Text, nullable=False),
    Column("batch_id", Id, ForeignKey("callback_batches.id")),
    Index(
        "ix_callback_records_unbatched",
        "address_id",
        "id",
        sqlite_where=UNBATCHED,
        postgresql_where=UNBATCHED,
    ),
    Index(
        "ix_callback_records_batch_id",
        "batch_id",
        sqlite_where=BATCHED,
        postgresql_where=BATCHED,
    ),
    **NEVER_REUSED,
)
