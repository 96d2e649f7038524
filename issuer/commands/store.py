"""`claimwright migrate`."""

import click

from issuer import migrations
from issuer.commands.common import run, settings
from issuer.db import Database
from issuer.errors import SettingsError
from issuer.migrations.grants import grant
from issuer.settings import StoreSettings


@click.command()
@click.option(
    "--api-role", help="PostgreSQL role of the API: may do its work and write no decision. With --daemon-role."
)
@click.option("--daemon-role", help="PostgreSQL role of the daemon. With --api-role.")
def migrate(api_role: str | None, daemon_role: str | None) -> None:
    """Bring the database of DATABASE_URL to the newest version. Harmless when it is there already."""
    if (api_role is None) != (daemon_role is None):
        raise SettingsError("--api-role", "goes together with --daemon-role")
    url = settings(StoreSettings).database_url.reveal()
    migrations.upgrade(url)
    click.echo("the store is at the newest version")
    if api_role is not None and daemon_role is not None:
        run(_grant(url, api_role, daemon_role))
        click.echo(f"{api_role} and {daemon_role} may do their own work and nothing more")


async def _grant(url: str, api_role: str, daemon_role: str) -> None:
    db = Database(url)
    try:
        await grant(db, api_role=api_role, daemon_role=daemon_role)
    finally:
        await db.aclose()
