"""What every test may ask for. A test names the store it needs; most run on both."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest

from issuer.db import Database
from tests.stores import PostgresqlStores, SqliteStores, postgresql_server


@pytest.fixture(scope="session")
def sqlite_stores(tmp_path_factory: pytest.TempPathFactory) -> SqliteStores:
    return SqliteStores(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_stores() -> Iterator[PostgresqlStores]:
    with postgresql_server() as server, closing(PostgresqlStores(server)) as stores:
        yield stores


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database of the test's own, once on each store.

    A test for one store says `@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)`.
    """
    with request.getfixturevalue(f"{request.param}_stores").fresh() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def unmigrated_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without a single table, once on each store."""
    with request.getfixturevalue(f"{request.param}_stores").unmigrated() as url:
        yield url


@pytest.fixture
async def db(store_url: str) -> AsyncIterator[Database]:
    database = Database(store_url)
    yield database
    await database.aclose()
