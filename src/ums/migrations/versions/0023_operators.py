"""operators: names, invitations, tokens, second factor required"""

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Change nothing yet."""
