"""`claimwright finding`: differences that the daemon's reconciliation left to a person."""

import getpass

import click

from issuer.clock import now
from issuer.commands.common import as_json, limited, reason_of, run, show, show_one, store
from issuer.reconcile import store as findings
from issuer.reconcile.tables import FindingRow


@click.group()
def finding() -> None:
    """List and lift what reconciliation left to a person."""


@finding.command("list")
@click.option("--all", "lifted", is_flag=True, help="Also those that were lifted.")
@limited
@as_json
def list_(lifted: bool, limit: int, as_json: bool) -> None:
    """Findings, newest first. One that blocks stops new issues to its Identity and its subject."""

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await findings.findings(session, lifted=lifted, limit=limit)]

    show(run(read()), as_json=as_json, empty="no findings")


@finding.command()
@click.argument("finding_id")
@click.option("--reason", required=True, help="Kept with the finding; name no person in it.")
@as_json
def lift(finding_id: str, reason: str, as_json: bool) -> None:
    """Say that FINDING_ID was looked at; it blocks no more. It comes back if the difference is seen again."""
    checked = reason_of(reason)

    async def change() -> FindingRow:
        async with store() as db, db.write() as session:
            by = f"cli:{getpass.getuser()}"
            return await findings.lift(session, finding_id, by=by, reason=checked, at=now())

    show_one(_row(run(change())), as_json=as_json)


def _row(row: FindingRow) -> dict[str, object]:
    return {
        "id": row.id,
        "code": row.code,
        "blocks": row.blocks,
        "chain_id": row.chain_id,
        "where": row.identity or row.sender,
        "nonce": row.nonce,
        "claim": row.claim_id,
        "case": row.case_id,
        "last_seen_at": row.last_seen_at,
        "lifted_at": row.lifted_at,
        "detail": row.detail,
    }
