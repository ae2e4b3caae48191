"""Alembic's entry: runs the revisions on the connection that `ums.migrations.runner` hands over."""

from alembic import context

from ums.core.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
