"""`claimwright retention`: remove what need not be kept any longer. For a timer; it may run beside everything else."""

import os

import click

from issuer.clock import now
from issuer.commands.common import as_json, run, show_one, store
from issuer.providers import registry
from issuer.settings import RetentionSettings, load
from issuer.subjects.work import Done, Retention


@click.command()
@click.option("--dry-run", is_flag=True, help="Count, and change nothing.")
@as_json
def retention(dry_run: bool, as_json: bool) -> None:
    """Erase subjects whose time is over, at the provider too, and drop old technical logs."""
    here = load(RetentionSettings, os.environ)

    async def work() -> Done:
        providers = registry.providers(here)
        try:
            async with store() as db:
                job = Retention(db, providers, here.periods, now=now())
                return await (job.preview() if dry_run else job.run())
        finally:
            for provider in providers.values():
                await provider.aclose()

    done = run(work())
    row = {"subjects_erased": done.erased, "put_off": done.put_off, **done.dropped}
    show_one({"would_be": True, **row} if dry_run else row, as_json=as_json)
