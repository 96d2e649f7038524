"""`claimwright event`: what the provider sent, as far as it is kept."""

import click

from issuer.clock import now
from issuer.commands.common import as_json, limited, run, show, show_one, store
from issuer.inbox import store as inbox
from issuer.inbox.tables import InboxEvent
from issuer.queue.open import open_queue


@click.group()
def event() -> None:
    """List provider events, or handle one again."""


@event.command("list")
@click.option("--unhandled", is_flag=True, help="Only those that nothing came of yet.")
@limited
@as_json
def list_(unhandled: bool, limit: int, as_json: bool) -> None:
    """Events, newest first."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await inbox.list_events(session, limit=limit, unhandled=unhandled)]

    show(run(read()), as_json=as_json, empty="no events")


@event.command()
@click.argument("event_id")
@as_json
def replay(event_id: str, as_json: bool) -> None:
    """Have EVENT_ID handled once more. Handling twice does nothing twice."""

    async def again() -> InboxEvent:
        async with store() as db:
            queue = open_queue(db)
            try:
                async with db.write() as session:
                    return await inbox.replay(session, event_id, now(), queue)
            finally:
                await queue.aclose()

    show_one(_row(run(again())), as_json=as_json)


def _row(row: InboxEvent) -> dict[str, object]:
    return {
        "id": row.id,
        "provider": row.provider,
        "environment": row.environment,
        "name": row.name,
        "check": row.check_ref,
        "received_at": row.received_at,
        "attempts": row.attempts,
        "outcome": row.outcome,
        "case": row.case_id,
    }
