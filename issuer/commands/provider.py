"""`claimwright provider persona`: what is set up at Persona itself."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing as closing
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import click
import msgspec

from issuer.cases import sweep
from issuer.clock import now
from issuer.commands.common import MOMENT, as_json, run, show, show_one, store
from issuer.db import Database
from issuer.errors import SettingsError
from issuer.inbox import store as inbox
from issuer.providers.http import checked_base
from issuer.providers.persona_setup import PersonaSetup, Webhook, open_setup
from issuer.providers.protocol import Event
from issuer.providers.vendors import ENVIRONMENTS
from issuer.queue.open import open_queue
from issuer.queue.port import INBOX, Queue
from issuer.settings import ProviderAccess, load

PAGE = 500
SINCE = timedelta(days=3)

in_environment = click.option(
    "--environment", type=click.Choice(ENVIRONMENTS), help="Which one, if both are configured."
)
to_url = click.option("--url", required=True, help="Where Persona is to ring: https://your-host/webhooks/persona.")


@click.group()
def provider() -> None:
    """Set up a provider's webhook, list its templates, catch up on its events."""


@provider.group()
def persona() -> None:
    """At Persona."""


@persona.command()
@to_url
@in_environment
@as_json
def setup(url: str, environment: str | None, as_json: bool) -> None:
    """Have one webhook there that rings --url and carries no personal data; repeat it to mend what was changed.

    The secret is printed once, when the webhook is made: it belongs into PERSONA_WEBHOOK_SECRET.
    """
    checked_base("url", url)

    async def work() -> Webhook:
        async with _persona(environment) as (_, there):
            return await there.webhook(url)

    _show(run(work()), as_json)


@persona.command("rotate-secret")
@to_url
@click.option("--overlap", type=click.IntRange(60, 604_800), default=86_400, show_default=True, help="Seconds.")
@in_environment
@as_json
def rotate_secret(url: str, overlap: int, environment: str | None, as_json: bool) -> None:
    """A new secret for the webhook; for --overlap seconds both sign. Put both into PERSONA_WEBHOOK_SECRET, then one."""

    async def work() -> Webhook:
        async with _persona(environment) as (_, there):
            return await there.rotate(url, overlap)

    _show(run(work()), as_json)


@persona.command()
@in_environment
@as_json
def templates(environment: str | None, as_json: bool) -> None:
    """Inquiry templates. Persona lists them to a production key only."""

    async def work() -> list[dict[str, object]]:
        async with _persona(environment) as (_, there):
            return [msgspec.structs.asdict(one) for one in await there.templates()]

    show(run(work()), as_json=as_json, empty="no templates")


@persona.command("catch-up")
@click.option("--since", type=MOMENT, help="Look at inquiries created from then on; left out: of the last three days.")
@in_environment
@as_json
def catch_up(since: datetime | None, environment: str | None, as_json: bool) -> None:
    """Fetch the events that no webhook brought, then list inquiries and have read again what stands otherwise here.

    Handling twice does nothing twice.
    """

    async def work() -> dict[str, int]:
        async with _persona(environment) as (name, there), store() as db, closing(open_queue(db)) as queue:
            async with db.read() as session:
                known = await inbox.newest_keys(session, "persona", name)
            missed = await there.missed(known)
            added = await _ring(db, queue, name, missed)
            behind = [found async for found in _behind(db, there, name, since or now() - SINCE)]
            return {"added": added, "to_read": await _ring(db, queue, name, behind)}

    show_one(run(work()), as_json=as_json)


async def _ring(db: Database, queue: Queue, environment: str, events: Sequence[tuple[Event, bytes]]) -> int:
    rows = [inbox.row_of("persona", environment, event, body=body, at=now()) for event, body in events]
    for start in range(0, len(rows), PAGE):
        async with db.write() as session:
            added = await inbox.add_events(session, rows[start : start + PAGE])
            await queue.enqueue(session, INBOX, added)
    return len(rows)


async def _behind(
    db: Database, there: PersonaSetup, environment: str, since: datetime
) -> AsyncIterator[tuple[Event, bytes]]:
    """For each case of ours that has seen less than Persona shows, an event of our own making: it has it read again."""
    async for check_ref, changed_at in there.listed(since):
        async with db.read() as session:
            case = await sweep.case_of_check(session, "persona", environment, check_ref)
        if case is not None and (case.evidence_at is None or case.evidence_at < changed_at):
            yield inbox.look_again(check_ref, changed_at), b""


@asynccontextmanager
async def _persona(environment: str | None) -> AsyncIterator[tuple[str, PersonaSetup]]:
    listed = [one for one in load(ProviderAccess, os.environ).providers if one.vendor == "persona"]
    chosen = [one for one in listed if environment in (None, one.environment)]
    if len(chosen) != 1:
        raise SettingsError("PERSONA_ENVIRONMENT", "say with --environment which of the configured ones")
    there = open_setup(chosen[0])
    try:
        yield chosen[0].environment, there
    finally:
        await there.aclose()


def _show(webhook: Webhook, as_json: bool) -> None:
    row = {"id": webhook.id, "status": webhook.status, "changed": list(webhook.changed)}
    show_one(row if webhook.secret is None else {**row, "secret": webhook.secret}, as_json=as_json)
