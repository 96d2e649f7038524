"""`claimwright lane`: sender addresses, and what is on its way from them.

The process that holds a lane does what is asked here when it looks at its lane next, within seconds.
"""

import click
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.chain import rules
from issuer.chain import store as chain
from issuer.chain.rules import Hold, TxStatus
from issuer.chain.tables import Lane
from issuer.commands.common import as_json, run, show, show_one, store
from issuer.errors import Conflict, NotFound

BY = "cli"

of_nonce = click.option("--nonce", type=click.IntRange(min=0), help="Which one; the lowest unmined if it is not said.")


@click.group()
def lane() -> None:
    """Look after sender addresses: what holds them, and what of them is stuck."""


@lane.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Every lane: one sender address on one chain, what is unmined there, and why it is held, if it is."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [await _row(session, row) for row in await chain.lanes(session)]

    show(run(read()), as_json=as_json, empty="no lanes; the daemon makes its own when it starts")


@lane.command()
@click.argument("lane_id")
@as_json
def pause(lane_id: str, as_json: bool) -> None:
    """Sign nothing new on LANE_ID until it is resumed; what is on its way goes on."""
    show_one(run(_pause(lane_id)), as_json=as_json)


@lane.command()
@click.argument("lane_id")
@click.option("--adopt-nonce", is_flag=True, help="Go on at the chain's nonce, if the chain is ahead of us.")
@as_json
def resume(lane_id: str, adopt_nonce: bool, as_json: bool) -> None:
    """Sign again on LANE_ID."""
    show_one(run(_resume(lane_id, adopt_nonce)), as_json=as_json)


@lane.command("speed-up")
@click.argument("lane_id")
@of_nonce
@as_json
def speed_up(lane_id: str, nonce: int | None, as_json: bool) -> None:
    """Offer more for an unmined transaction of LANE_ID, at the same nonce."""
    show_one(run(_want(lane_id, nonce, rules.SPEED_UP)), as_json=as_json)


@lane.command()
@click.argument("lane_id")
@of_nonce
@as_json
def cancel(lane_id: str, nonce: int | None, as_json: bool) -> None:
    """Replace an unmined transaction of LANE_ID by one that does nothing; its claims wait and go again later."""
    show_one(run(_want(lane_id, nonce, rules.CANCEL)), as_json=as_json)


async def _pause(lane_id: str) -> dict[str, object]:
    async with store() as db, db.write() as session:
        row = await _lane(session, lane_id)
        row.paused_by = BY
        return await _row(session, row)


async def _resume(lane_id: str, adopt_nonce: bool) -> dict[str, object]:
    async with store() as db, db.write() as session:
        row = await _lane(session, lane_id)
        if adopt_nonce and row.hold != Hold.NONCE_AHEAD:
            raise Conflict("the lane is not held because the chain is ahead of it; resume it without --adopt-nonce")
        row.paused_by = None
        row.adopt_nonce = adopt_nonce
        return await _row(session, row)


async def _want(lane_id: str, nonce: int | None, wanted: str) -> dict[str, object]:
    async with store() as db, db.write() as session:
        row = await _lane(session, lane_id)
        unmined = await chain.transactions(session, row.id, TxStatus.SIGNED)
        found = next((one for one in unmined if nonce in (None, one.nonce)), None)
        if found is None:
            which = "transaction" if nonce is None else f"transaction with nonce {nonce}"
            raise NotFound(f"the lane has no unmined {which}; `claimwright lane list` counts them")
        found.wanted = wanted
        return {"lane": row.id, "nonce": found.nonce, "purpose": found.purpose, "wanted": wanted}


async def _lane(session: AsyncSession, lane_id: str) -> Lane:
    row = await session.get(Lane, lane_id)
    if row is None:
        raise NotFound("no such lane; `claimwright lane list` shows them")
    return row


async def _row(session: AsyncSession, row: Lane) -> dict[str, object]:
    unmined = await chain.transactions(session, row.id, TxStatus.SIGNED)
    return {
        "id": row.id,
        "chain_id": row.chain_id,
        "sender": row.sender,
        "next_nonce": row.next_nonce,
        "unmined": len(unmined),
        "lowest_unmined": unmined[0].nonce if unmined else None,
        "leased_until": row.leased_until,
        "hold": row.hold,
        "held_because": row.held_because,
        "held_since": row.held_since,
        "paused_by": row.paused_by,
    }
