"""What the console keeps: who is signed in, who guesses, and who is invited."""

from sqlalchemy import Column, ForeignKey, Integer, String, Text

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

sessions = table(
    "sessions",
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the cookie
    Column("operator_id", Id, ForeignKey("operators.id"), nullable=False, index=True),
    Column("address", String(45), nullable=False),  # from where
    Column("agent", String(200), nullable=False),  # which browser, as it says
    Column("created_at", Time, nullable=False),
    Column("seen_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    # When password and second factor were last asked for.
    Column("proved_at", Time, nullable=False, server_default="0"),
    **NEVER_REUSED,
)

# Tries that were not good, or are being looked at (core.identity.throttle).
throttle = table(
    "throttle",
    Column("key", String(50), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("at", Time, nullable=False, index=True),  # of the last one
    Column("until", Time, nullable=False),  # no other before this moment
)

invitations = table(
    "invitations",
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of what the link holds
    Column("role", String(20), nullable=False),
    Column("channels", Text),  # JSON, ids; null: every channel
    Column("created_by", String(60), nullable=False),
    Column("operator_id", Id),  # who invited; null: somebody at the machine
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("used_by", String(60)),
    Column("used_at", Time),
    **NEVER_REUSED,
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

# Secrets that a page shows once, sealed, until they are acknowledged or a few minutes are over.
shown_once = table(
    "shown_once",
    Column("id", Id, primary_key=True),
    Column("operator_id", Id, ForeignKey("operators.id"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # core.identity.one_time_secrets.KINDS
    Column("sealed", Text, nullable=False),  # JSON, sealed for this operator
    Column("expires_at", Time, nullable=False, index=True),
    **NEVER_REUSED,
)
