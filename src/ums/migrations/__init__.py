"""The schema's history: Alembic revisions, one after the other."""
