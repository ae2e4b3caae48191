"""What the management API keeps: tokens, answers given, and what an import changed."""

from sqlalchemy import Column, ForeignKey, Integer, String, Text

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

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
    Column("used_at", Time),
    Column("revoked_at", Time),
    **NEVER_REUSED,
)

answers = table(
    "answers",
    Column("caller", String(60), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # of method, path and body
    Column("answer", Text),  # sealed; null while the request is being answered
    Column("until", Time, nullable=False),  # when it is taken for abandoned
    Column("created_at", Time, nullable=False, index=True),
)

import_batches = table(
    "import_batches",
    Column("import_id", Id, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # the rows that were done before it
    Column("changes", Text, nullable=False),  # JSON, core.imports.undo.Difference
)
