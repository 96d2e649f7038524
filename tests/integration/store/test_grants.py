"""The API's database role cannot write what makes a claim true."""

import os
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from issuer.db import Base, Database
from issuer.errors import SettingsError
from issuer.migrations import grants
from issuer.migrations import tables as _every_table  # noqa: F401 - fills Base.metadata


@pytest.fixture
async def roles(db: Database) -> AsyncIterator[dict[str, Database]]:
    """Two login roles with nothing but what `grant` gives them."""
    mark = f"{os.getpid()}_{os.urandom(3).hex()}"
    names = {"api": f"cw_api_{mark}", "daemon": f"cw_daemon_{mark}"}
    async with db.engine.begin() as connection:
        for name in names.values():
            await connection.exec_driver_sql(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'fixture-only'")
    await grants.grant(db, api_role=names["api"], daemon_role=names["daemon"])
    url = make_url(db.url).set(password="fixture-only")
    opened = {
        who: Database(url.set(username=name).render_as_string(hide_password=False)) for who, name in names.items()
    }
    yield opened
    for database in opened.values():
        await database.aclose()
    async with db.engine.begin() as connection:
        for name in names.values():
            await connection.exec_driver_sql(f'DROP OWNED BY "{name}"')
            await connection.exec_driver_sql(f'DROP ROLE "{name}"')


async def allowed(database: Database, statement: str) -> bool:
    try:
        async with database.engine.begin() as connection:
            await connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        if "permission denied" not in str(error.orig):
            raise
        return False
    return True


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_the_api_cannot_write_what_makes_a_claim_true(roles: dict[str, Database]) -> None:
    for table in ("decisions", "lanes", "transactions", "attempts", "transaction_claims"):
        assert not await allowed(roles["api"], f"DELETE FROM {table}")
        assert not await allowed(roles["api"], f"UPDATE {table} SET tenant_id = 'x'")
        assert not await allowed(roles["api"], f"INSERT INTO {table} (tenant_id) VALUES ('x')")


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_nobody_rewrites_history_or_reads_keys_it_does_not_need(roles: dict[str, Database]) -> None:
    for database in roles.values():
        assert not await allowed(database, "UPDATE history SET cause = 'x'")
        assert not await allowed(database, "DELETE FROM history")
    assert not await allowed(roles["daemon"], "SELECT hash FROM api_keys")
    assert not await allowed(roles["api"], "UPDATE api_keys SET scopes = '[]'")


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_each_role_can_do_its_own_work(roles: dict[str, Database]) -> None:
    assert await allowed(roles["api"], "UPDATE cases SET status = status WHERE false")
    assert await allowed(roles["api"], "UPDATE claims SET status = status WHERE false")
    assert await allowed(roles["api"], "DELETE FROM refusals WHERE false")
    assert await allowed(roles["daemon"], "UPDATE transactions SET status = status WHERE false")
    assert await allowed(roles["daemon"], "SELECT * FROM decisions")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_sqlite_has_no_roles_and_says_so(db: Database) -> None:
    with pytest.raises(SettingsError, match="PostgreSQL"):
        await grants.grant(db, api_role="a", daemon_role="b")


def test_every_table_has_its_rights_written_down() -> None:
    assert set(grants.TABLES) == set(Base.metadata.tables) | {"alembic_version"}


def test_a_role_name_cannot_carry_sql() -> None:
    assert not grants._ROLE.fullmatch('x"; DROP TABLE cases; --')
