"""Alembic's environment: one connection, given by `baseload.store.upgrade`, already in its transaction."""

from __future__ import annotations

from alembic import context

from baseload.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite too: the transaction is ours, begun before the first statement
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
