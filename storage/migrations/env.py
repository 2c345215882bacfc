"""The entry of Alembic: it runs the migrations on the connection that `storage/database/sqlite.py` passes."""

from alembic import context

from storage.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
