"""`claimwright case`."""

import click
import msgspec

from issuer import history
from issuer.cases import store as cases
from issuer.cases.rules import SUMMARIES, CaseStatus
from issuer.cases.tables import Case
from issuer.claims import store as claims
from issuer.commands.claim import claim_row
from issuer.commands.common import as_json, limited, run, show, show_one, store

TENANT = "default"


@click.group()
def case() -> None:
    """List and show cases."""


@case.command("list")
@click.option("--wallet", help="EIP-55, as a case shows it.")
@click.option("--reference", help="The dapp's own word for it.")
@click.option("--status", type=click.Choice([status.value for status in CaseStatus]))
@limited
@as_json
def list_(wallet: str | None, reference: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """Cases, newest first."""
    wanted = cases.Filter(tenant_id=TENANT, wallet=wallet, reference=reference, status=status, limit=limit)

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            return [_row(row) for row in await cases.page(session, wanted)]

    show(run(read()), as_json=as_json, empty="no cases")


@case.command("show")
@click.argument("case_id")
@as_json
def show_(case_id: str, as_json: bool) -> None:
    """One case with its claims and everything that ever moved it."""

    async def read() -> tuple[dict[str, object], list[dict[str, object]], list[dict[str, object]]]:
        async with store() as db, db.read() as session:
            row = _row(await cases.get(session, case_id, TENANT))
            backed = (await claims.of_cases(session, [case_id]))[case_id]
            moves = await history.of_case(session, case_id)
            return row, [claim_row(one) for one in backed], [_move(move) for move in moves]

    row, backed, moves = run(read())
    if as_json:
        click.echo(msgspec.json.encode({**row, "claims": backed, "timeline": moves}).decode())
        return
    show_one(row, as_json=False)
    click.echo()
    show(backed, as_json=False, empty="no claims")
    click.echo()
    show(moves, as_json=False, empty="no moves")


def _row(row: Case) -> dict[str, object]:
    return {
        "id": row.id,
        "status": str(row.status),
        "summary": SUMMARIES[CaseStatus(row.status)],
        "level": row.level,
        "wallet": row.wallet,
        "reference": row.reference,
        "provider": row.provider,
        "environment": row.environment,
        "check": row.check_ref,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _move(move: history.History) -> dict[str, object]:
    return {"at": move.at, "claim": move.claim_id, "from": move.source, "to": move.target, "cause": move.cause}
