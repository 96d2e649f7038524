"""The schema's history, shipped in the wheel: `claimwright migrate` needs no file but these.

A version is written out in full and never imports the tables of today, which will have moved on when it runs again.

Only what upgrades loads Alembic: every command and daemon asks for the version first, and would start later by it.
"""

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING

import sqlalchemy as sa

from issuer.db import Database, store_errors

if TYPE_CHECKING:
    from alembic.config import Config


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
            return await connection.run_sync(_versions) == [newest_version()]


def newest_version() -> str:
    """Version files are named by number: `v0015_groups.py` is 0015."""
    names = (file.name for file in files("issuer.migrations").joinpath("versions").iterdir())
    return max(name[1:5] for name in names if name.startswith("v"))


async def _upgrade(url: str) -> None:
    db = Database(url)
    try:
        await aupgrade(db)
    finally:
        await db.aclose()


def _to_head(connection: sa.Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "issuer:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _versions(connection: sa.Connection) -> list[str]:
    """Where Alembic writes down what it has done: one row, or no table."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
