"""What Alembic runs; the connection is handed in by `store.schema`."""

from alembic import context

from relay.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
