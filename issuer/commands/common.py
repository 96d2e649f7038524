"""What the commands share: settings from the environment, an open store, and two ways to print."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import click
import msgspec

from issuer import migrations
from issuer.db import Database
from issuer.errors import InvalidInput, SettingsError
from issuer.settings import StoreSettings, load

S = TypeVar("S", bound=msgspec.Struct)
R = TypeVar("R")
Row = Mapping[str, object]

LONGEST_REASON = 200

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
limited = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most.")


def settings(kind: type[S]) -> S:
    return load(kind, os.environ)


def run(work: Coroutine[None, None, R]) -> R:
    return asyncio.run(work)


@asynccontextmanager
async def store() -> AsyncIterator[Database]:
    """The store of the environment, migrated; `SettingsError` if it is not. Rows are read inside its sessions only."""
    db = Database(settings(StoreSettings).database_url.reveal(), pool_size=1)
    try:
        if not await migrations.at_head(db):
            raise SettingsError("DATABASE_URL", "the store is not migrated; run `claimwright migrate`")
        yield db
    finally:
        await db.aclose()


def reason_of(text: str) -> str:
    """Why a person did something. Raises `InvalidInput`."""
    if not 1 <= len(text) <= LONGEST_REASON or not text.isprintable():
        raise InvalidInput("reason", f"must be 1 to {LONGEST_REASON} printable characters")
    return text


def show(rows: Sequence[Row], *, as_json: bool, empty: str) -> None:
    """Many things: a JSON list, or a table."""
    if as_json:
        click.echo(json.dumps([_plain(row) for row in rows]))
        return
    if not rows:
        click.echo(empty)
        return
    lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_one(row: Row, *, as_json: bool) -> None:
    """One thing: a JSON object, or a line for each of its values."""
    if as_json:
        click.echo(json.dumps(_plain(row)))
        return
    width = max(map(len, row))
    for name, value in row.items():
        click.echo(f"{name.ljust(width)}  {_cell(value)}")


def _plain(row: Row) -> dict[str, object]:
    return {name: _moment(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "-"
    return str(value)


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
