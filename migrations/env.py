"""How Alembic reaches the database: the cli hands over a connection; nothing is read from an ini file."""

from alembic import context

from migrations.tables import is_compared, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=is_compared,
    compare_server_default=False,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
