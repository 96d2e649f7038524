"""`claimwright policy`: look before a levels file is changed."""

from collections import Counter
from pathlib import Path

import click
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among
from issuer.cases import dryrun, levels
from issuer.cases.dryrun import Change, PastCase
from issuer.cases.rules import CaseStatus
from issuer.cases.sealing import policy_of
from issuer.cases.tables import Case, Check
from issuer.claims import store as claims
from issuer.commands.common import MOMENT, as_json, run, show, store
from issuer.providers.protocol import CheckOutcome
from issuer.reviews.rules import Act, RulingStatus
from issuer.reviews.tables import Ruling

PAGE = 500


@click.group()
def policy() -> None:
    """Check a levels file, and see what it would have changed."""


@policy.command("dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--since", type=MOMENT, help="Only cases opened from then on.")
@as_json
def dry_run(file: Path, since: object, as_json: bool) -> None:
    """What the levels of FILE would have changed about the approvals that stand. Changes nothing."""
    candidate = levels.read(file.read_text(encoding="utf-8"))

    async def count() -> Counter[tuple[str, Change]]:
        found: Counter[tuple[str, Change]] = Counter()
        last = ""
        async with store() as db:
            while True:
                async with db.read() as session:
                    page = await _approvals(session, after=last, since=since)
                if not page:
                    return found
                for case_id, past in page:
                    found.update((past.level, change) for change in dryrun.compare(past, candidate))
                    last = case_id

    rows = [
        {"level": level, "what": str(change), "cases": number}
        for (level, change), number in sorted(run(count()).items())
    ]
    show(rows, as_json=as_json, empty="no approval stands")


async def _approvals(session: AsyncSession, *, after: str, since: object) -> list[tuple[str, PastCase]]:
    statement = sa.select(Case).where(Case.status == CaseStatus.APPROVED, Case.id > after).order_by(Case.id)
    if since is not None:
        statement = statement.where(Case.created_at >= since)
    cases = list(await session.scalars(statement.limit(PAGE)))
    ids = [case.id for case in cases]
    decisions = await claims.newest_decisions(session, ids)
    approvals = sa.select(Ruling).where(
        among(Ruling.case_id, ids), Ruling.act == Act.APPROVE, Ruling.status == RulingStatus.APPLIED
    )
    people = {row.case_id: 1 if row.seconded_by is None else 2 for row in await session.scalars(approvals)}
    checks = sa.select(Check.case_id, Check.kind).where(among(Check.case_id, ids), Check.outcome == CheckOutcome.PASSED)
    passed: dict[str, set[str]] = {}
    for case_id, kind in await session.execute(checks):
        passed.setdefault(case_id, set()).add(kind)
    return [
        (
            case.id,
            PastCase(
                level=case.level,
                policy=None if (decision := decisions.get(case.id)) is None else policy_of(case, decision),
                chain_ids=tuple(case.chain_ids),
                had_hits=bool(case.hits),
                approved_by=people.get(case.id, 0),
                provider=case.provider,
                passed=frozenset(passed.get(case.id, ())),
            ),
        )
        for case in cases
    ]
