"""Uploaded attachments, in pieces that every machine can read."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
)

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

materials = table(
    "materials",
    Column("id", Id, primary_key=True),
    Column("token", String(43), nullable=False, unique=True),  # the end of its URL
    Column("channel_id", Id, ForeignKey("channels.id")),  # that uploaded it
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes, as far as they have come
    Column("created_at", Time, nullable=False),
    Column("stored_at", Time),  # when it was complete; before that nobody sees it
    # When no message may refer to it any more; of one that is not complete, when it is given up.
    Column("expires_at", Time, nullable=False, index=True),
    **NEVER_REUSED,
)

material_chunks = table(
    "material_chunks",
    Column("material_id", Id, ForeignKey("materials.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
