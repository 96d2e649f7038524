"""Alembic runs this file for each command, on the connection that `issuer.migrations` hands over."""

import sqlalchemy as sa
from alembic import context

from issuer.migrations.tables import metadata

# Any constant will do, as long as it is always the same: two processes that migrate at once queue up here.
LOCK = 0x0C1A1B
LOCK_WAIT = "60s"  # for the other process to finish its migration
TABLE_WAIT = "5s"  # for a table; a migration that waits longer would make every query queue up behind it


def migrate(connection: sa.Connection) -> None:
    """All pending versions in one transaction, or none of them: both stores can undo DDL."""
    with connection.begin():
        if connection.dialect.name == "postgresql":
            _queue_up(connection)
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transactional_ddl=True,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()


def _queue_up(connection: sa.Connection) -> None:
    # SQLite needs none of this: the transaction took its one write lock when it began.
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{TABLE_WAIT}'")


migrate(context.config.attributes["connection"])
