"""Templates and their versions."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    true,
)

from ums.core.tables.base import NEVER_REUSED, Id, Time, table

templates = table(
    "templates",
    Column("id", Id, primary_key=True),
    Column("channel_id", Id, ForeignKey("channels.id"), nullable=False),
    Column("name", String(60), nullable=False),
    Column("open", Boolean, nullable=False),  # a closed one sends nothing
    # False: written for one message, and shown in no list
    Column("listed", Boolean, nullable=False, server_default=true()),
    Column("version", Integer, nullable=False),  # the newest, which new messages take
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    UniqueConstraint("channel_id", "name"),
    **NEVER_REUSED,
)

template_versions = table(
    "template_versions",
    Column("template_id", Id, ForeignKey("templates.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("html", Text),  # sources as they were given
    Column("text", Text),
    Column("mjml", Text),
    Column("defaults", Text, nullable=False),  # JSON: variable to value
    Column("variables", Text, nullable=False),  # JSON, core.templates.compiler.Variables
    Column("compiled", Text, nullable=False),  # JSON, core.templates.syntax_tree.Compiled
    Column("created_at", Time, nullable=False),
)
