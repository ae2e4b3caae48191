"""senders, mailboxes, suppressions, imports"""

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Change nothing yet."""
