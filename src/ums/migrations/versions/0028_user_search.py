"""users: search by part"""

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Change nothing yet."""
