"""Who may ask, and who is signed in: operators, programs, and how often they fail."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Text, false

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

operators = table(
    "operators",
    Column("id", Id, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    # core.common.operator_names.key: names that look alike have one.
    Column("name_key", String(64), nullable=False, server_default="", unique=True, index=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(20), nullable=False),  # administrator | operator | viewer
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("channels", Text),  # JSON, ids of those it may work for; null: every channel
    Column("must_change_password", Boolean, nullable=False, server_default=false()),  # its password
    Column("totp", Text),  # sealed: the secret of its second factor
    Column("totp_step", Id),  # the last one used, which is not good again
    Column("recovery", Text),  # JSON, core.identity.recovery_codes.Codes
    Column("zone", String(60)),  # in which pages show times; null: the browser's
    Column("created_at", Time, nullable=False),
)

sessions = table(
    "sessions",
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the cookie
    Column("operator_id", Id, ForeignKey("operators.id"), nullable=False, index=True),
    Column("address", String(45), nullable=False),  # from where
    Column("user_agent", String(200), nullable=False),  # which browser, as it says
    Column("created_at", Time, nullable=False),
    Column("last_seen_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
    # When password and second factor were last asked for.
    Column("authenticated_at", Time, nullable=False, server_default="0"),
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

# Secrets that a page shows once, sealed, until they are acknowledged or a few minutes are over.
one_time_secrets = table(
    "one_time_secrets",
    Column("id", Id, primary_key=True),
    Column("operator_id", Id, ForeignKey("operators.id"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # core.identity.one_time_secrets.KINDS
    Column("sealed", Text, nullable=False),  # JSON, sealed for this operator
    Column("expires_at", Time, nullable=False, index=True),
    **NEVER_REUSED,
)

access_keys = table(
    "access_keys",
    Column("id", Id, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("secret", Text, nullable=False),  # sealed
    Column("created_at", Time, nullable=False),
)

tokens = table(
    "tokens",
    Column("id", Id, primary_key=True),
    Column("name", String(40), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token
    Column("hint", String(8), nullable=False),  # its last characters
    Column("scopes", Text, nullable=False),  # JSON, names
    Column("channels", Text, nullable=False),  # JSON, ids; null: every channel
    Column("created_by", String(60), nullable=False),
    # Whose rights it was made with, and lasts no longer than: a token's or an operator's.
    Column("parent_id", Id, index=True),
    Column("operator_id", Id),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time),
    Column("last_used_at", Time),
    Column("revoked_at", Time),
    **NEVER_REUSED,
)
