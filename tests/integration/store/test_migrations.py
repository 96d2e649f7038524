"""The schema that the migrations make is the schema that the code was written for, on both stores."""

import asyncio
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from issuer.db import Database
from issuer.migrations import alembic_config, at_head, aupgrade, newest_version, upgrade
from issuer.migrations.tables import metadata

ROOT = Path(__file__).parents[3]


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
        await connection.exec_driver_sql("DROP INDEX uq_claims_standing")
    async with db.engine.connect() as connection:
        assert [difference[0] for difference in await connection.run_sync(_differences)] == ["add_index"]


async def test_postgresql_packs_the_bytes_of_transactions_with_lz4(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite packs nothing")
    packed = sa.text("""
        SELECT attrelid::regclass::text, attname FROM pg_attribute
        WHERE attcompression = 'l' AND attrelid IN ('transactions'::regclass, 'attempts'::regclass)""")
    async with db.engine.connect() as connection:
        found = {(table, column) for table, column in await connection.execute(packed)}
    assert found == {("transactions", "calldata"), ("attempts", "raw")}


def test_the_newest_version_by_name_is_the_last_that_alembic_would_run() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [newest_version()]


async def test_upgrading_again_changes_nothing(db: Database) -> None:
    await aupgrade(db)
    assert await at_head(db)


def test_the_synchronous_entry_is_harmless_on_a_current_database(store_url: str) -> None:
    upgrade(store_url)


async def test_a_new_database_is_not_at_head(unmigrated_url: str) -> None:
    db = Database(unmigrated_url)
    assert not await at_head(db)
    await db.aclose()


async def test_processes_that_migrate_at_once_do_no_harm(unmigrated_url: str) -> None:
    program = "import sys; from issuer.migrations import upgrade; upgrade(sys.argv[1])"
    others = [
        await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", program, unmigrated_url, cwd=ROOT)
        for _ in range(3)
    ]
    assert [await other.wait() for other in others] == [0, 0, 0]
    db = Database(unmigrated_url)
    assert await at_head(db)
    async with db.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await db.aclose()


async def test_a_migration_that_fails_half_way_leaves_nothing(unmigrated_url: str) -> None:
    db = Database(unmigrated_url)
    async with db.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE transaction_claims (in_the_way INTEGER)")
    with pytest.raises(DBAPIError):
        await aupgrade(db)
    async with db.engine.connect() as connection:
        assert await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()) == ["transaction_claims"]
    await db.aclose()
