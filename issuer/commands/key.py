"""`claimwright key`: API keys. A key is shown once, when it is made."""

import click

from issuer.access import store as keys
from issuer.access.rules import ADMIN, SCOPES
from issuer.access.tables import ApiKey
from issuer.clock import now
from issuer.commands.common import as_json, run, show, show_one, store
from issuer.secrets import Secret


@click.group()
def key() -> None:
    """Make, list, rotate and revoke API keys."""


@key.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(SCOPES)), help="May be given often.")
@click.option("--admin", is_flag=True, help="Every scope.")
@as_json
def new(name: str, scopes: tuple[str, ...], admin: bool, as_json: bool) -> None:
    """Make a key called NAME. It is shown once and kept only as a hash."""
    if admin == bool(scopes):
        raise click.UsageError("say what the key may do: --scope, once or more, or --admin")

    async def make() -> tuple[ApiKey, Secret]:
        async with store() as db, db.write() as session:
            return await keys.create_key(session, name, [ADMIN] if admin else list(scopes), now())

    _show_new(*run(make()), as_json=as_json)


@key.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Every key, oldest first."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await keys.list_keys(session)]

    show(run(read()), as_json=as_json, empty="no keys; make one with `claimwright key new`")


@key.command()
@click.argument("key_id")
@as_json
def rotate(key_id: str, as_json: bool) -> None:
    """Make a new key with the scopes of KEY_ID, which stops working."""

    async def change() -> tuple[ApiKey, Secret]:
        async with store() as db, db.write() as session:
            return await keys.rotate_key(session, key_id, now())

    _show_new(*run(change()), as_json=as_json)


@key.command()
@click.argument("key_id")
@as_json
def revoke(key_id: str, as_json: bool) -> None:
    """Stop KEY_ID from working, within five seconds."""

    async def change() -> ApiKey:
        async with store() as db, db.write() as session:
            return await keys.revoke_key(session, key_id, now())

    show_one(_row(run(change())), as_json=as_json)


def _show_new(row: ApiKey, plain: Secret, *, as_json: bool) -> None:
    show_one({**_row(row), "key": plain.reveal()}, as_json=as_json)


def _row(row: ApiKey) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
    }
