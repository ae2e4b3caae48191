"""callback endpoints: credentials and their form; approval by a second person"""

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Change nothing yet."""
