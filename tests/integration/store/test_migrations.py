"""The schema that the migrations make is the schema that the code was written for, on both stores."""

import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from issuer.db import Database
from issuer.migrations import at_head, aupgrade, upgrade
from issuer.migrations.tables import metadata
from tests.stores import PostgresqlStores, SqliteStores


def _differences(connection: sa.Connection) -> list[object]:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return not (kind == "table" and name is not None and name.startswith("pgqueuer"))

    options = {"compare_type": True, "compare_server_default": True, "include_name": ours}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


async def test_the_migrated_schema_is_the_one_the_tables_describe(db: Database) -> None:
    async with db.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_a_difference_would_be_seen(db: Database) -> None:
    async with db.engine.begin() as connection:
        await connection.exec_driver_sql("DROP INDEX uq_claims_in_force")
    async with db.engine.connect() as connection:
        assert [difference[0] for difference in await connection.run_sync(_differences)] == ["add_index"]


async def test_upgrading_again_changes_nothing(db: Database) -> None:
    await aupgrade(db)
    assert await at_head(db)


def test_the_synchronous_entry_is_harmless_on_a_current_database(store_url: str) -> None:
    upgrade(store_url)


async def test_an_empty_database_is_not_at_head() -> None:
    db = Database("sqlite://")
    assert not await at_head(db)
    await db.aclose()
