"""Channels, and by which senders each sends."""

from sqlalchemy import Boolean, Column, ForeignKey, SmallInteger, String, Text

from ums.core.tables.base import Id, Time, table

channels = table(
    "channels",
    Column("id", Id, primary_key=True),
    Column("name", String(30), nullable=False, unique=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("secret", Text, nullable=False),  # sealed
    Column("old_secret", Text),  # sealed; still good until old_secret_until
    Column("old_secret_until", Time),
    Column("open", Boolean, nullable=False),
    Column(
        "rules", Text, nullable=False, server_default="{}"
    ),  # JSON, core.context.channel_policy.ChannelPolicy
    Column("created_at", Time, nullable=False),
)

channel_senders = table(
    "channel_senders",
    Column("channel_id", Id, ForeignKey("channels.id"), primary_key=True),
    Column("sender_id", Id, ForeignKey("senders.id"), primary_key=True),
    Column("is_default", Boolean, nullable=False),
    # Its place in the channel's route; 0: none but the default's, which is 1 (routing).
    Column("rank", SmallInteger, nullable=False, server_default="0"),
    Column("weight", SmallInteger, nullable=False, server_default="1"),
)
