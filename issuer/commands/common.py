"""What the commands share: settings from the environment, an open store, and two ways to print."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

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


on_chain = click.option("--chain-id", type=int, help="Which one, if CLAIMWRIGHT_CHAIN_ID lists several.")


class Moment(click.ParamType[datetime]):
    """RFC 3339, or a day; UTC if it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 - click's own signature
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-11-20 or 2026-11-20T12:00:00Z", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


MOMENT = Moment()


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
