"""`claimwright migrate`."""

import click

from issuer import migrations
from issuer.commands.common import settings
from issuer.settings import StoreSettings


@click.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to the newest version. Harmless when it is there already."""
    migrations.upgrade(settings(StoreSettings).database_url.reveal())
    click.echo("the store is at the newest version")
