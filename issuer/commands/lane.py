"""`claimwright lane`: sender addresses. A paused lane signs nothing new; what is on its way goes on."""

import click

from issuer.chain import store as chain
from issuer.chain.tables import Lane
from issuer.commands.common import as_json, run, show, show_one, store
from issuer.errors import NotFound

BY = "cli"


@click.group()
def lane() -> None:
    """List, pause and resume sender addresses."""


@lane.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Every lane: one sender address on one chain."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await chain.lanes(session)]

    show(run(read()), as_json=as_json, empty="no lanes; the daemon makes its own when it starts")


@lane.command()
@click.argument("lane_id")
@as_json
def pause(lane_id: str, as_json: bool) -> None:
    """Sign nothing new on LANE_ID until it is resumed."""
    show_one(_row(run(_set(lane_id, BY))), as_json=as_json)


@lane.command()
@click.argument("lane_id")
@as_json
def resume(lane_id: str, as_json: bool) -> None:
    """Sign again on LANE_ID."""
    show_one(_row(run(_set(lane_id, None))), as_json=as_json)


async def _set(lane_id: str, paused_by: str | None) -> Lane:
    async with store() as db, db.write() as session:
        row = await session.get(Lane, lane_id)
        if row is None:
            raise NotFound("no such lane; `claimwright lane list` shows them")
        row.paused_by = paused_by
        return row


def _row(row: Lane) -> dict[str, object]:
    return {
        "id": row.id,
        "chain_id": row.chain_id,
        "sender": row.sender,
        "next_nonce": row.next_nonce,
        "leased_until": row.leased_until,
        "held_because": row.held_because,
        "paused_by": row.paused_by,
    }
