"""`claimwright stop`: no new claims, at once and everywhere, until it is lifted. Revocations and fees go on."""

import getpass
from contextlib import aclosing as closing

import click

from issuer.claims import store as claims
from issuer.clock import now
from issuer.commands.common import as_json, limited, reason_of, run, show, show_one, store
from issuer.queue.open import open_queue
from issuer.queue.port import LANE
from issuer.stops import store as stops
from issuer.stops.tables import Lift, Stop

_EVERY = "every chain"


@click.group()
def stop() -> None:
    """Stop issuing in an emergency, and lift that again."""


@stop.command()
@click.option("--reason", required=True, help="Kept for ever; name no person in it.")
@click.option("--chain", "chain_id", type=int, help="On this chain alone; on every one if not said.")
@as_json
def issue(reason: str, chain_id: int | None, as_json: bool) -> None:
    """Sign no claims and issue none, from now on and in every daemon. Revocations and fee rises go on."""

    checked = reason_of(reason)

    async def make() -> Stop:
        async with store() as db, db.write() as session:
            return await stops.stop(session, chain_id=chain_id, reason=checked, actor=_actor(), at=now())

    show_one(_row(run(make()), None), as_json=as_json)


@stop.command("list")
@click.option("--all", "every", is_flag=True, help="Lifted ones too.")
@limited
@as_json
def list_(every: bool, limit: int, as_json: bool) -> None:
    """Stops that stand, newest first."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            found = await stops.newest(session, limit)
        return [_row(row, lifted) for row, lifted in found if every or lifted is None]

    show(run(read()), as_json=as_json, empty="nothing is stopped")


@stop.command()
@click.argument("stop_id")
@click.option("--reason", required=True, help="Kept for ever; name no person in it.")
@as_json
def lift(stop_id: str, reason: str, as_json: bool) -> None:
    """Issue again, as far as no other stop stands. What waited goes out at once."""

    checked = reason_of(reason)

    async def change() -> dict[str, object]:
        async with store() as db, closing(open_queue(db)) as queue, db.write() as session:
            lifted = await stops.lift(session, stop_id, reason=checked, actor=_actor(), at=now())
            row = await session.get_one(Stop, stop_id)
            waiting = await claims.chains_waiting(session) if row.chain_id is None else [row.chain_id]
            await queue.enqueue(session, LANE, [str(chain_id) for chain_id in waiting])
            return _row(row, lifted)

    show_one(run(change()), as_json=as_json)


def _actor() -> str:
    return f"cli:{getpass.getuser()}"[:64]


def _row(row: Stop, lifted: Lift | None) -> dict[str, object]:
    return {
        "id": row.id,
        "chain": _EVERY if row.chain_id is None else row.chain_id,
        "reason": row.reason,
        "by": row.actor,
        "at": row.at,
        "lifted_by": lifted.actor if lifted else None,
        "lifted_at": lifted.at if lifted else None,
        "lift_reason": lifted.reason if lifted else None,
    }
