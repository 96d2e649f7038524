"""`claimwright claim`."""

import getpass

import click

from issuer.cases import store as cases
from issuer.cases.people import revoke_claim
from issuer.claims import store as claims
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.commands.common import as_json, limited, reason_of, run, show, show_one, store
from issuer.errors import NotFound
from issuer.queue.open import open_queue
from issuer.queue.port import LANE

TENANT = "default"


@click.group()
def claim() -> None:
    """List, show and revoke claims."""


@claim.command("list")
@click.option("--case", "case_id", help="Only those of one case.")
@click.option("--wallet", help="EIP-55, as a case shows it.")
@click.option("--status", type=click.Choice([status.value for status in ClaimStatus]))
@limited
@as_json
def list_(case_id: str | None, wallet: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """Claims, newest first."""
    wanted = cases.Filter(tenant_id=TENANT, wallet=wallet, status=status, limit=limit)

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [claim_row(row) for row in await cases.claim_page(session, wanted, case_id=case_id)]

    show(run(read()), as_json=as_json, empty="no claims")


@claim.command("show")
@click.argument("claim_id")
@as_json
def show_(claim_id: str, as_json: bool) -> None:
    """One claim, as it stands here and on chain."""

    async def read() -> dict[str, object]:
        async with store() as db, db.read() as session:
            row = await claims.get(session, claim_id, TENANT)
            if row is None:
                raise NotFound("no such claim; `claimwright claim list` shows them")
            more = {"revoke_reason": row.revoke_reason, "failures": row.failures, "created_at": row.created_at}
            return {**claim_row(row), **more, "updated_at": row.updated_at}

    show_one(run(read()), as_json=as_json)


@claim.command()
@click.argument("claim_id")
@click.option("--reason", required=True, help="Kept with the claim; name no person in it.")
@as_json
def revoke(claim_id: str, reason: str, as_json: bool) -> None:
    """Take CLAIM_ID back. The daemon revokes it on chain at once; it stands against later approvals."""
    checked = reason_of(reason)

    async def change() -> Claim:
        async with store() as db:
            queue = open_queue(db)
            try:
                async with db.write() as session:
                    actor = f"cli:{getpass.getuser()}"
                    row = await revoke_claim(session, claim_id=claim_id, reason=checked, actor=actor, at=now())
                    await queue.enqueue(session, LANE, [str(row.chain_id)])
                    return row
            finally:
                await queue.aclose()

    show_one(claim_row(run(change())), as_json=as_json)


def claim_row(row: Claim) -> dict[str, object]:
    return {
        "id": row.id,
        "case": row.case_id,
        "status": str(row.status),
        "topic": row.topic,
        "chain_id": row.chain_id,
        "identity": row.identity,
        "claim_id": row.onchain_id,
        "tx_hash": row.tx_hash,
        "valid_until": row.valid_until,
        "revoked_tx_hash": row.revoked_tx_hash,
    }
