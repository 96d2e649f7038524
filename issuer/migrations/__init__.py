"""The schema's history, shipped in the wheel: `claimwright migrate` needs no file but these.

A version is written out in full and never imports the tables of today, which will have moved on when it runs again.
"""

import asyncio

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from issuer.db import Database, store_errors


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest version; harmless when it is there already.

    Several processes may call it at once. Not for use inside a running event loop: see `aupgrade`.
    Raises `StoreBusy` if the database did not answer, or another migration held it for a minute.
    """
    asyncio.run(_upgrade(url))


async def aupgrade(db: Database) -> None:
    """`upgrade` for a `Database` that is open already."""
    with store_errors():
        async with db.engine.connect() as connection:
            await connection.run_sync(_to_head)


async def at_head(db: Database) -> bool:
    """Has the database exactly the version that this code was written for? Raises `StoreBusy`."""
    with store_errors():
        async with db.engine.connect() as connection:
            current = await connection.run_sync(_versions)
    return current == set(ScriptDirectory.from_config(_config()).get_heads())


async def _upgrade(url: str) -> None:
    db = Database(url)
    try:
        await aupgrade(db)
    finally:
        await db.aclose()


def _to_head(connection: sa.Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _versions(connection: sa.Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "issuer:migrations")
    config.set_main_option("path_separator", "os")
    return config
