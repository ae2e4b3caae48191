"""audit log: before and after, address, hash chain; who asked for a message"""

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Change nothing yet."""
