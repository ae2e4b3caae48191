"""Messages, their deliveries and attempts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    false,
    text,
)

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

messages = table(
    "messages",
    Column("id", Id, primary_key=True),
    Column("msgid", String(80), nullable=False, unique=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("sender_id", Id, ForeignKey("senders.id"), nullable=False),
    Column("audience", Text, nullable=False),  # JSON, core.users.audience.Audience
    Column("content", Text, nullable=False),  # JSON, core.content.message_content.Content
    Column("options", Text, nullable=False),  # JSON: option and callback as given
    # The operators who asked for it and whom the request names, where a second has to approve it.
    Column("asker_id", Id),
    Column("owner_id", Id),
    Column("approved_by", String(60), nullable=False, server_default=""),
    Column("broadcast", Boolean, nullable=False, server_default=false()),
    Column("origin", String(10), nullable=False, server_default="v1"),  # v1 | api | console | cli
    # Who asked for it, as the audit log names actors, and from which address.
    Column("requested_by", String(60), nullable=False, server_default=""),
    Column("requested_from", String(45), nullable=False, server_default=""),
    Column("template_id", Id),
    Column("template_version", Integer),
    Column("black_id", Id),
    Column("white_id", Id),
    Column("callback_id", Id),  # the address that is told of it
    Column("event_mask", Integer, nullable=False, server_default="0"),  # bit n: records of type n
    Column("priority", SmallInteger, nullable=False),
    Column(
        "failover_allowed", Boolean, nullable=False, server_default=false()
    ),  # by any of the route
    Column("on_unknown", String(10), nullable=False),  # hold | resend, when the outcome is unknown
    Column("state", String(12), nullable=False),  # accepted | expanded
    # What keeps it from being sent: approval | paused | cancelled | retracted | refused
    Column("halt", String(12), nullable=False, server_default=""),
    Column("halted_at", Time),
    # Why UMS itself paused it last (core.deliveries.holds.Why); "" where a person did.
    Column("halt_reason", String(12), nullable=False, server_default=""),
    Column("halt_detail", Text, nullable=False, server_default=""),
    Column("starts_at", Time, nullable=False, server_default="0"),  # not expanded before
    Column("cursor", BigInteger, nullable=False),  # how far the expansion has come
    Column(
        "plan", Text
    ),  # JSON, core.deliveries.expansion.Plan: what the expansion found at its start
    Column("audience_size", BigInteger, nullable=False),
    Column("accepted_at", Time, nullable=False, index=True),
    Column("expires_at", Time, nullable=False, index=True),
    Index("ix_messages_channel", "channel_id", "id"),
    Index(
        "ix_messages_paused_by_ums",
        "id",
        sqlite_where=text("halt_reason <> ''"),
        postgresql_where=text("halt_reason <> ''"),
    ),
    Index(
        "ix_messages_unexpanded",
        "id",
        sqlite_where=text("state <> 'expanded'"),
        postgresql_where=text("state <> 'expanded'"),
    ),
    **NEVER_REUSED,
)

files = table(
    "files",
    Column("message_id", Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("data", LargeBinary),  # or it is that of the material, which may be gone by now
    Column("material_id", Id, ForeignKey("materials.id", ondelete="SET NULL"), index=True),
    Column("cid", String(100), nullable=False, server_default=""),  # by what the HTML shows it
)

idempotency = table(
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
KNOWN = text("userid <> ''")
IN_DOUBT = text(  # handed over, and nobody knows whether it was taken
    "(state = 'unknown' OR (state IN ('deferred', 'paused')"
    " AND reason IN ('unknown_outcome', 'no_answer')))"
)

deliveries = table(
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
    Column("counted_tries", SmallInteger, nullable=False),  # attempts that count for the schedule
    Column("tries", SmallInteger, nullable=False),  # all attempts
    Column(
        "unknown_count", SmallInteger, nullable=False
    ),  # times it was resent after an unknown outcome
    Column("variables", Text),  # JSON: its recipient's own, for a template
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
    Index(
        "ix_deliveries_userid",
        "userid",
        "id",
        sqlite_where=KNOWN,
        postgresql_where=KNOWN,
    ),
    Index("ix_deliveries_owner", "owner", sqlite_where=HELD, postgresql_where=HELD),
    Index(
        "ix_deliveries_in_doubt",
        "sender_id",
        "updated_at",
        sqlite_where=IN_DOUBT,
        postgresql_where=IN_DOUBT,
    ),
    **NEVER_REUSED,
)

# Workers that died while they made the mail of a delivery (core.deliveries.quarantine).
worker_crashes = table(
    "worker_crashes",
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("at", Time, nullable=False),
)

attempts = table(
    "attempts",
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("number", SmallInteger, nullable=False),
    Column("sender_id", Id, ForeignKey("senders.id"), nullable=False),
    Column("started_at", Time, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("stage", String(10), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("code", SmallInteger, nullable=False),  # 0 where the server did not answer
    Column("enhanced", String(16), nullable=False),
    Column("reply", Text, nullable=False),
)

# Letters about deliveries that were read (core.deliveries.feedback), so that none counts twice.
feedback_reports = table(
    "feedback_reports",
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(32), primary_key=True),
    Column("at", Time, nullable=False),
)

sandbox_mails = table(
    "sandbox_mails",
    Column("id", Id, primary_key=True),
    Column("received_at", Time, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("rcpt_to", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("channel_id", Id, index=True),  # null: of none, such as a test of a sender
    **NEVER_REUSED,
)

idempotent_responses = table(
    "idempotent_responses",
    Column("caller", String(60), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # of method, path and body
    Column("response", Text),  # sealed; null while the request is being answered
    Column("until", Time, nullable=False),  # when it is taken for abandoned
    Column("created_at", Time, nullable=False, index=True),
)

drafts = table(
    "drafts",
    Column("id", Id, primary_key=True),
    Column("operator_id", Id, ForeignKey("operators.id"), nullable=False, index=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("content", Text, nullable=False),  # JSON, core.messages.new_message.MessageRequest
    Column("form", Text),  # JSON: what was typed since, which may not be a message yet
    Column("updated_at", Time, nullable=False),
    Column("msgid", String(80)),  # of the message it became
    **NEVER_REUSED,
)
