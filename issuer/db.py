"""The store: SQLite or PostgreSQL from the same code, with defaults one would trust with money.

A step of work is `async with db.write() as session:`, one SQL transaction that commits at the end of the block or
not at all. Nothing deeper commits, and nothing inside the block speaks to a network.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVarTuple

import asyncpg  # type: ignore[import-untyped]  # it ships without types
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.util.concurrency import await_only

from issuer.errors import StoreBusy

Row = TypeVarTuple("Row")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BUSY_TIMEOUT_MS = 10_000
BUSY_PAUSE_SECONDS = 0.001

# Answers that another try may change; a missing table or a broken constraint is not one of them.
_SQLITE_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL")
# SQLSTATE, Appendix A of the PostgreSQL manual: connection, rollback, resources, intervention, system, and a lock,
# an idle transaction or a statement that ran out of time.
_POSTGRESQL_PASSING = ("08", "40", "53", "57", "58", "55P03", "25P03")

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, stored as whole microseconds since 1970: the same order and value in both stores."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Base(DeclarativeBase):
    """Every table. `tenant_id` is on each row from the first migration, so that many can share one service later."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain class attribute
        datetime: Instant(),
        dict[str, Any]: sa.JSON(),
        list[str]: sa.JSON(),
        list[int]: sa.JSON(),
    }

    tenant_id: Mapped[str] = mapped_column(sa.String(64), default="default", server_default="default", sort_order=-1)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what passes by waiting into `StoreBusy`; every other database error stays what it is."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy("the database is busy: no free connection") from error
    except (DBAPIError, asyncpg.PostgresError) as error:
        if passing(error):
            raise StoreBusy(f"the database did not answer: {type(error).__name__}") from error
        raise


def passing(error: DBAPIError | asyncpg.PostgresError) -> bool:
    """Does waiting help?"""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, InterfaceError)):
        return True
    name = getattr(cause, "sqlite_errorname", None) or ""
    state = getattr(cause, "sqlstate", None) or ""
    return name.startswith(_SQLITE_PASSING) or state.startswith(_POSTGRESQL_PASSING)


def normalise_url(url: str) -> sa.URL:
    """`sqlite:///file` and `postgresql://…` mean their async drivers; libpq's `sslmode` is `ssl` for asyncpg."""
    parsed = make_url(url)
    if "sslmode" in parsed.query:
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": parsed.query["sslmode"]})
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


class Database:
    """One engine. `read()` and `write()` are the only ways to a session."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = normalise_url(url)
        self.dialect = self.url.get_backend_name()
        self._writer = asyncio.Lock()
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql(pool_size)

    @property
    def is_sqlite(self) -> bool:
        return self.dialect == "sqlite"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for looking; whatever it changed is rolled back."""
        async with self._session() as session:
            try:
                yield session
            finally:
                session.expunge_all()  # a rollback would empty the rows that were read
                await session.rollback()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """One transaction that takes the write lock at once on SQLite, so that it cannot fail half-way for it."""
        async with self._session(writes=True) as session:
            try:
                yield session
                await session.commit()
            except BaseException:
                await session.rollback()
                raise

    @asynccontextmanager
    async def _session(self, *, writes: bool = False) -> AsyncIterator[AsyncSession]:
        with store_errors():
            async with self._turn(writes), AsyncSession(self.engine, expire_on_commit=False) as session:
                try:
                    await session.connection(execution_options={"claimwright_writes": writes})
                except OSError as error:  # no connection at all; a time-out is one of these too
                    raise StoreBusy(f"the database cannot be reached: {type(error).__name__}") from error
                yield session

    @asynccontextmanager
    async def _turn(self, writes: bool) -> AsyncIterator[None]:
        """Writers of this process take turns on SQLite: its own way of waiting is to sleep and try again."""
        if not (writes and self.is_sqlite):
            yield
            return
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
                await self._writer.acquire()
        except TimeoutError:
            raise StoreBusy("the database is busy: other writers of this process held it too long") from None
        try:
            yield
        finally:
            self._writer.release()

    async def aclose(self) -> None:
        await self.engine.dispose()

    def _sqlite(self) -> AsyncEngine:
        engine = create_async_engine(self.url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine.sync_engine, "connect", _sqlite_settings)
        event.listen(engine.sync_engine, "begin", _sqlite_begin)
        return engine

    def _postgresql(self, pool_size: int) -> AsyncEngine:
        settings = {
            "statement_timeout": "15000",
            "lock_timeout": "10000",
            "idle_in_transaction_session_timeout": "30000",
            "application_name": "claimwright",
            "jit": "off",  # compiling a plan takes longer than any of our queries
        }
        engine = create_async_engine(
            self.url,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            connect_args={"server_settings": settings, "timeout": 5},
        )
        event.listen(engine.sync_engine, "handle_error", _without_values)
        return engine


def _without_values(context: sa.ExceptionContext) -> None:
    """PostgreSQL quotes the row in DETAIL, and a traceback would show it."""
    error: BaseException | None = context.original_exception
    while error is not None:
        if hasattr(error, "detail"):
            error.detail = None
        error = error.__cause__


def _sqlite_settings(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no common type
    # The driver's own transaction guessing is switched off: `_sqlite_begin` says what each transaction is.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    if not connection.get_execution_options().get("claimwright_writes", True):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite's own waiting sleeps longer with every try, up to a tenth of a second: among processes that write all the
    # time it hardly ever looks when the lock is free. Ours looks every millisecond.
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        _begin_immediate(connection, monotonic() + BUSY_TIMEOUT_MS / 1000)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _begin_immediate(connection: sa.Connection, deadline: float) -> None:
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", None) != "SQLITE_BUSY" or monotonic() > deadline:
                raise
        await_only(asyncio.sleep(BUSY_PAUSE_SECONDS))


def for_update(statement: sa.Select[*Row], session: AsyncSession, *, skip_locked: bool = False) -> sa.Select[*Row]:
    """Lock the selected rows where rows can be locked; on SQLite the write transaction already holds everything."""
    if session.get_bind().dialect.name == "sqlite":
        return statement
    return statement.with_for_update(skip_locked=skip_locked)


async def store_time(session: AsyncSession) -> datetime:
    """The database's clock, which all replicas share: leases are measured by it, never by a host's."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)  # one host, one clock
    time: datetime = (await session.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return time
