"""What the engine still has to do for messages that were halted or resumed."""

from sqlalchemy import Column, ForeignKey, String

from ums.core.tables.base import Id, Time, table

pending_halts = table(
    "pending_halts",
    Column("message_id", Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "kind", String(12), nullable=False
    ),  # paused | cancelled | retracted | refused | resumed
    Column("created_at", Time, nullable=False),
)
