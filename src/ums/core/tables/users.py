"""The people who can be reached, and how they came in."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint

from ums.core.tables.base import Document, Id, Time, table

users = table(
    "users",
    Column("id", Id, primary_key=True),
    Column("userid", String(64), nullable=False, unique=True),
    Column("attributes", Document, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
)

addresses = table(
    "addresses",
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("bind_id", String(32), primary_key=True),
    Column("value", String(254), primary_key=True),
    Index("ix_addresses_value", "value", "user_id"),
)

tags = table(
    "tags",
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("bind_id", String(32), primary_key=True),
    Column("tag", String(40), primary_key=True),
    Index("ix_tags_tag", "bind_id", "tag", "user_id"),
)

# What users are searched by (search): folded text, indexed by trigrams. The index is made
# by hand in the migration, as each database has its own.
user_search = table(
    "user_search",
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("bind_id", String(32), nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("user_id", "bind_id"),
)

segments = table(
    "segments",
    Column("id", Id, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("conditions", Text, nullable=False),  # JSON; empty = everyone
    Column("created_at", Time, nullable=False),
)

imports = table(
    "imports",
    Column("id", Id, primary_key=True),
    Column("file", Text, nullable=False),  # path of our own copy
    Column("name", Text, nullable=False),  # what the operator called it
    Column("digest", String(64), nullable=False),  # SHA-256: the same file is recognised
    Column("bind_id", String(32), nullable=False),
    # draft | waiting | running | done | failed | undoing | undone; list: recipients of a message
    Column("state", String(12), nullable=False),
    Column("detail", Text, nullable=False),
    Column("cursor", Integer, nullable=False),  # rows read so far
    Column("size", Integer, nullable=False),  # rows in the sheet; 0 while not known
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("mapping", Text),  # JSON: what each column of the file holds; null: as its header says
    Column("sheet", Text),  # of a workbook; null: its first that is shown
    Column("header", Text),  # JSON: what stands above the columns, to know such a file again
    Column("header_row", Integer),  # its number in the sheet; null: the first that is not empty
    Column("undone", Integer, nullable=False, server_default="0"),  # changes taken back
    Column("kept", Integer, nullable=False, server_default="0"),  # not: somebody changed it since
    Column("owner", String(40)),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    Column("dismissed_at", Time),  # since when nobody needs to be told of it
)

import_rejects = table(
    "import_rejects",
    Column("import_id", Id, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("row", Integer, primary_key=True),  # as the spreadsheet program counts
    Column("cells", Text, nullable=False),  # JSON: the row as it was read
    Column("reason", Text, nullable=False),
)

import_batches = table(
    "import_batches",
    Column("import_id", Id, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # the rows that were done before it
    Column("changes", Text, nullable=False),  # JSON, core.imports.undo.Difference
)
