"""Queries of reconciliation. Nothing here commits."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.chain.tables import Attempt, Lane, Transaction, TransactionClaim
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import for_update
from issuer.errors import NotFound
from issuer.ids import new_id
from issuer.reconcile.rules import BLOCKING, Finding, Judged, Key, Stored
from issuer.reconcile.tables import FindingRow, ReadTo

IDENTITIES = 500  # in one question
_IS_PENDING = sa.exists().where(TransactionClaim.claim_id == Claim.id, TransactionClaim.resolved_at.is_(None))
_OVER = frozenset({ClaimStatus.CANCELLED, ClaimStatus.REVOKING, ClaimStatus.REVOKED, ClaimStatus.SUPERSEDED})


async def keys(session: AsyncSession, chain_id: int) -> set[Key]:
    """Every key that a claim was ever signed for."""
    statement = sa.select(Claim.identity, Claim.topic).where(Claim.chain_id == chain_id, Claim.word.is_not(None))
    return {(identity, topic) for identity, topic in await session.execute(statement.distinct())}


async def stored(session: AsyncSession, chain_id: int, asked: Collection[Key]) -> list[Stored]:
    """Our claims of these keys."""
    found = []
    for identities in _some_identities(asked):
        found += await _stored(session, chain_id, identities)
    return [row for row in found if (row.identity, row.topic) in asked]


async def pending(session: AsyncSession, chain_id: int, asked: Collection[Key]) -> set[Key]:
    """Those keys of which a claim has a transaction on its way."""
    found: set[Key] = set()
    for identities in _some_identities(asked):
        statement = sa.select(Claim.identity, Claim.topic).where(*_ours(chain_id, identities), _IS_PENDING)
        found |= {(identity, topic) for identity, topic in await session.execute(statement)}
    return found.intersection(asked)


def _some_identities(asked: Collection[Key]) -> Iterator[list[str]]:
    identities = sorted({identity for identity, _ in asked})
    for start in range(0, len(identities), IDENTITIES):
        yield identities[start : start + IDENTITIES]


def _ours(chain_id: int, identities: Collection[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return Claim.chain_id == chain_id, among(Claim.identity, identities)


async def _stored(session: AsyncSession, chain_id: int, identities: Collection[str]) -> list[Stored]:
    statement = sa.select(
        Claim.id, Claim.case_id, Claim.identity, Claim.topic, Claim.status, Claim.word, Claim.epoch, Claim.valid_until,
        _IS_PENDING,
    ).where(*_ours(chain_id, identities))  # fmt: skip
    return [
        Stored(
            id=claim_id,
            case_id=case_id,
            identity=identity,
            topic=topic,
            status=ClaimStatus(status),
            word=word,
            epoch=epoch,
            valid_until=None if valid_until is None else int(valid_until.timestamp()),
            pending=bool(is_pending),
        )
        for claim_id, case_id, identity, topic, status, word, epoch, valid_until, is_pending in await session.execute(
            statement
        )
    ]


async def cases(session: AsyncSession, chain_id: int) -> list[tuple[Case, bool]]:
    """Decided cases, oldest first; with each whether it is served: a claim of its wallet stands or is on its way.

    So is one that a newer decision on the same wallet outranks: nobody is owed a claim by it.
    """
    decided = (CaseStatus.APPROVED, CaseStatus.DECLINED, CaseStatus.REVOKED)
    newer = sa.orm.aliased(Case)
    outranked = sa.exists().where(
        newer.tenant_id == Case.tenant_id,
        newer.wallet == Case.wallet,
        newer.id > Case.id,
        newer.status.in_((CaseStatus.DECLINED, CaseStatus.REVOKED)),
    )
    claimed = sa.exists().where(
        Claim.tenant_id == Case.tenant_id,
        Claim.wallet == Case.wallet,
        Claim.chain_id == chain_id,
        Claim.status.not_in(_OVER),
    )
    statement = sa.select(Case, sa.or_(claimed, outranked)).where(Case.status.in_(decided)).order_by(Case.id)
    return [
        (case, bool(is_served)) for case, is_served in await session.execute(statement) if chain_id in case.chain_ids
    ]


def judged(case: Case, served: bool, provider: bool | None) -> Judged:
    """A person's word and a redaction stand whatever the provider says."""
    free = case.person_ruling is None and case.redacted_at is None
    return Judged(
        case_id=case.id,
        approved=free and case.status == CaseStatus.APPROVED,
        served=served,
        provider=provider if free else None,
    )


async def lanes(session: AsyncSession, chain_id: int) -> list[Lane]:
    return list(await session.scalars(sa.select(Lane).where(Lane.chain_id == chain_id).order_by(Lane.sender)))


async def attempts(session: AsyncSession, lane_id: str) -> dict[int, list[str]]:
    """Hashes of all attempts by nonce."""
    found: dict[int, list[str]] = {}
    statement = (
        sa.select(Transaction.nonce, Attempt.hash)
        .join(Attempt, Attempt.transaction_id == Transaction.id)
        .where(Transaction.lane_id == lane_id)
    )
    for nonce, tx_hash in await session.execute(statement):
        found.setdefault(nonce, []).append(tx_hash)
    return found


async def read_to(session: AsyncSession, chain_id: int) -> int | None:
    found = await session.get(ReadTo, chain_id)
    return None if found is None else found.block_number


async def note_read_to(session: AsyncSession, chain_id: int, block_number: int) -> None:
    await session.merge(ReadTo(chain_id=chain_id, block_number=block_number))


async def record(
    session: AsyncSession, chain_id: int, findings: Iterable[Finding], *, at: datetime
) -> list[FindingRow]:
    """Keep what needs a person, once while it is open. Returns the rows that are new."""
    new = []
    for finding in findings:
        mark = _fingerprint(finding)
        statement = sa.select(FindingRow).where(
            FindingRow.chain_id == chain_id, FindingRow.fingerprint == mark, FindingRow.lifted_at.is_(None)
        )
        known: FindingRow | None = await session.scalar(for_update(statement, session))
        if known is not None:
            known.last_seen_at = at
            continue
        row = FindingRow(
            id=new_id("fnd"),
            chain_id=chain_id,
            fingerprint=mark,
            code=finding.code,
            detail=finding.detail,
            identity=finding.identity,
            topic=finding.topic,
            claim_id=finding.claim_id,
            case_id=finding.case_id,
            subject_id=await _subject_of(session, finding),
            sender=finding.sender,
            nonce=finding.nonce,
            blocks=finding.code in BLOCKING,
            first_seen_at=at,
            last_seen_at=at,
        )
        session.add(row)
        await session.flush()
        new.append(row)
    return new


async def findings(session: AsyncSession, *, lifted: bool = False, limit: int = 50) -> list[FindingRow]:
    """Newest first; open ones unless `lifted`."""
    statement = sa.select(FindingRow).order_by(FindingRow.id.desc()).limit(limit)
    if not lifted:
        statement = statement.where(FindingRow.lifted_at.is_(None))
    return list(await session.scalars(statement))


async def open_counts(session: AsyncSession) -> dict[tuple[int, str], int]:
    """How many are open, by chain id and code."""
    statement = (
        sa.select(FindingRow.chain_id, FindingRow.code, sa.func.count())
        .where(FindingRow.lifted_at.is_(None))
        .group_by(FindingRow.chain_id, FindingRow.code)
    )
    return {(chain_id, code): count for chain_id, code, count in await session.execute(statement)}


async def lift(session: AsyncSession, finding_id: str, *, by: str, reason: str, at: datetime) -> FindingRow:
    """A person has looked at it: it blocks no more. Lifting it twice changes nothing. Raises `NotFound`."""
    row = await session.get(FindingRow, finding_id)
    if row is None:
        raise NotFound("no such finding; `claimwright finding list` shows them")
    if row.lifted_at is None:
        row.lifted_at, row.lifted_by, row.lift_reason = at, by, reason
    return row


async def blocked(session: AsyncSession, chain_id: int) -> set[str]:
    """Identities and subjects to whom open findings forbid new issues."""
    statement = sa.select(FindingRow.identity, FindingRow.subject_id).where(
        FindingRow.chain_id == chain_id, FindingRow.blocks, FindingRow.lifted_at.is_(None)
    )
    return {name for names in await session.execute(statement) for name in names if name is not None}


async def _subject_of(session: AsyncSession, finding: Finding) -> str | None:
    """The person behind the Identity, if we ever issued to it."""
    if finding.identity is None:
        return None
    statement = (
        sa.select(Case.subject_id)
        .join(Claim, Claim.case_id == Case.id)
        .where(Claim.identity == finding.identity)
        .order_by(Claim.id.desc())
        .limit(1)
    )
    return await session.scalar(statement)


def _fingerprint(finding: Finding) -> str:
    parts = (finding.code, finding.identity, finding.topic, finding.claim_id, finding.case_id, finding.sender)
    text = "|".join(str(part or "") for part in (*parts, "" if finding.nonce is None else str(finding.nonce)))
    return hashlib.sha256(text.encode()).hexdigest()
