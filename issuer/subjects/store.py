"""Every query on what is kept about a subject, and the writes that erase it. Nothing here commits.

Erasing leaves a tombstone: ids without a wallet, a check, a chain or a word of anybody's. Decisions, rulings and
people's acts stay as they are, since nothing personal is in them and the audit chain is about them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.addresses import ERASED
from issuer.cases import reasons, standing
from issuer.cases import store as case_store
from issuer.cases.challenges import WalletChallenge
from issuer.cases.reasons import Audience
from issuer.cases.rules import OPEN, CaseStatus
from issuer.cases.tables import Case, CaseRequest, Check, Decision, Subject, SubjectWallet
from issuer.chain.rules import TxStatus
from issuer.chain.tables import Attempt, Transaction, TransactionClaim
from issuer.claims.moving import move
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim, ExternalClaim
from issuer.db import for_update
from issuer.errors import NotFound
from issuer.inbox.tables import InboxEvent, Refusal
from issuer.reconcile.tables import FindingRow
from issuer.subjects.rules import LIVE, CaseEnd, ClaimEnd

FINAL_TRANSACTIONS = [TxStatus.FINAL, TxStatus.DEAD]


async def of_wallet(session: AsyncSession, wallet: str, tenant_id: str = "default") -> Subject:
    """Raises `NotFound`."""
    statement = (
        sa.select(Subject)
        .join(SubjectWallet, SubjectWallet.subject_id == Subject.id)
        .where(SubjectWallet.tenant_id == tenant_id, SubjectWallet.wallet == wallet)
    )
    row: Subject | None = await session.scalar(statement)
    if row is None:
        raise NotFound("nothing is known of this wallet")
    return row


async def locked(session: AsyncSession, subject_id: str) -> Subject:
    statement = for_update(sa.select(Subject).where(Subject.id == subject_id), session)
    row: Subject | None = await session.scalar(statement.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("no such subject")
    return row


async def cases_of(session: AsyncSession, subject_id: str) -> list[Case]:
    """Oldest first."""
    return list(await session.scalars(sa.select(Case).where(Case.subject_id == subject_id).order_by(Case.id)))


async def claims_of(session: AsyncSession, subject_id: str) -> list[Claim]:
    """Oldest first, of all wallets and chains."""
    statement = sa.select(Claim).join(Case, Case.id == Claim.case_id).where(Case.subject_id == subject_id)
    return list(await session.scalars(statement.order_by(Claim.id)))


async def ends(session: AsyncSession, subject_id: str) -> tuple[list[CaseEnd], list[ClaimEnd]]:
    cases = [
        CaseEnd(status=CaseStatus(row.status), updated_at=row.updated_at) for row in await cases_of(session, subject_id)
    ]
    claims = [
        ClaimEnd(status=ClaimStatus(row.status), valid_until=row.valid_until, updated_at=row.updated_at)
        for row in await claims_of(session, subject_id)
    ]
    return cases, claims


async def due(session: AsyncSession, *, ended_before: datetime, limit: int, after: str = "") -> list[str]:
    """Subjects whose relationship ended before this, without a legal hold, oldest first."""
    case, claim = sa.orm.aliased(Case), sa.orm.aliased(Claim)
    busy = sa.exists().where(
        case.subject_id == Subject.id, sa.or_(case.updated_at > ended_before, case.status.in_(OPEN))
    )
    run_out = sa.and_(claim.status == ClaimStatus.CONFIRMED, claim.valid_until <= ended_before)
    standing_claim = sa.exists().where(
        case.subject_id == Subject.id,
        claim.case_id == case.id,
        sa.or_(claim.updated_at > ended_before, sa.and_(claim.status.in_(LIVE), sa.not_(run_out))),
    )
    statement = (
        sa.select(Subject.id)
        .where(
            Subject.id > after,
            Subject.erased_at.is_(None),
            Subject.held_at.is_(None),
            Subject.created_at <= ended_before,
            ~busy,
            ~standing_claim,
        )
        .order_by(Subject.id)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def export(session: AsyncSession, subject: Subject, now: datetime) -> dict[str, Any]:
    """Everything that is kept about the person behind a subject, for the person: no code that could tip anybody off."""
    everyone = await case_store.subjects_of_person(session, subject.id)
    cases = [case for one in everyone for case in await cases_of(session, one)]
    claims = [claim for one in everyone for claim in await claims_of(session, one)]
    ids = [case.id for case in cases]
    wallets = await session.scalars(sa.select(SubjectWallet).where(SubjectWallet.subject_id.in_(everyone)))
    decisions = await session.scalars(sa.select(Decision).where(Decision.case_id.in_(ids)).order_by(Decision.id))
    moves = await session.scalars(
        sa.select(history.History).where(history.History.case_id.in_(ids)).order_by(history.History.id)
    )
    events = await session.scalars(sa.select(InboxEvent).where(_is_of(cases)).order_by(InboxEvent.id))
    shown = sorted({case.wallet for case in cases})
    return {
        "subject": {"id": subject.id, "created_at": subject.created_at, "restricted_at": subject.restricted_at},
        "wallets": [{"wallet": row.wallet, "since": row.created_at} for row in wallets],
        "status": [
            {"wallet": wallet, "summary": (await standing.of_wallet(session, subject.tenant_id, wallet, now)).summary}
            for wallet in shown
        ],
        "cases": [
            {
                **_of(case, "id", "status", "level", "wallet", "identity", "reference", "tag", "provider"),
                **_of(case, "environment", "template", "check_ref", "proof_message", "proof_signature", "notice"),
                **_of(case, "created_at", "updated_at", "redacted_at"),
                "reasons": reasons.shown(case.reasons, Audience.SUBJECT),
            }
            for case in cases
        ],
        "decisions": [_of(row, "id", "case_id", "outcome", "decided_at", "read_at") for row in decisions],
        "claims": [
            _of(
                row, "id", "case_id", "topic", "chain_id", "identity", "status", "form", "word", "valid_until",
                "tx_hash", "block_number", "revoked_tx_hash", "created_at", "updated_at",
            )
            for row in claims
        ],
        "provider_events": [_of(row, "name", "status", "received_at") for row in events],
        "timeline": [_of(row, "case_id", "claim_id", "at", "source", "target", "cause") for row in moves],
    }  # fmt: skip


async def erase(session: AsyncSession, subject: Subject, at: datetime) -> None:
    """Leave the tombstone. The caller has seen to it that no claim stands and that the provider's record is gone."""
    cases = await cases_of(session, subject.id)
    case_ids = [case.id for case in cases]
    claims = await claims_of(session, subject.id)
    claim_ids = [claim.id for claim in claims]
    for claim in claims:
        if claim.status == ClaimStatus.CONFIRMED:  # it ran out, and nobody is to look for it on chain any more
            move(session, claim, ClaimStatus.REMOVED, at=at, cause="erasure")
    await session.flush()
    await _erase_transactions(session, claim_ids)
    for statement in (
        sa.delete(InboxEvent).where(_is_of(cases)),
        sa.delete(WalletChallenge).where(WalletChallenge.case_id.in_(case_ids)),
        sa.delete(CaseRequest).where(CaseRequest.case_id.in_(case_ids)),
        sa.delete(Check).where(Check.case_id.in_(case_ids)),
        sa.delete(ExternalClaim).where(ExternalClaim.case_id.in_(case_ids)),
        sa.delete(FindingRow).where(
            sa.or_(
                FindingRow.case_id.in_(case_ids),
                FindingRow.claim_id.in_(claim_ids),
                FindingRow.subject_id == subject.id,
            )
        ),
        sa.delete(SubjectWallet).where(SubjectWallet.subject_id == subject.id),
        sa.update(Claim)
        .where(Claim.id.in_(claim_ids))
        .values(
            wallet=ERASED, identity=ERASED, salt="", word=None, signature=None, tx_hash=None, block_number=None,
            revoked_tx_hash=None, revoke_reason=None, detail=None, renew_at=None,
        ),
        sa.update(Case)
        .where(Case.id.in_(case_ids))
        .values(
            wallet=ERASED, identity=None, reference=None, tag=None, redirect_url=None, check_ref=None,
            proof_message=None, proof_signature=None, reasons=[], hits=None, flag=None, person_hash=None,
        ),
        sa.update(history.History)
        .where(history.History.case_id.in_(case_ids), history.History.cause != history.PERSON)
        .values(detail={}),
    ):  # fmt: skip
        await session.execute(statement)
    subject.erased_at = at


async def _erase_transactions(session: AsyncSession, claim_ids: Sequence[str]) -> None:
    """A transaction carries many people's claims; once it is final, nobody's need its bytes or its name.

    What stays is the sender's own ledger: nonce, fee, block.
    """
    carried = sa.select(TransactionClaim.transaction_id).where(TransactionClaim.claim_id.in_(claim_ids))
    final = sa.select(Transaction.id).where(Transaction.id.in_(carried), Transaction.status.in_(FINAL_TRANSACTIONS))
    ids = list(await session.scalars(final))
    await session.execute(
        sa.update(Attempt).where(Attempt.transaction_id.in_(ids)).values(raw=b"", hash=ERASED + "_" + Attempt.id)
    )
    await session.execute(
        sa.update(Transaction).where(Transaction.id.in_(ids)).values(calldata=b"", mined_hash=None, block_hash=None)
    )
    await session.execute(sa.delete(TransactionClaim).where(TransactionClaim.claim_id.in_(claim_ids)))


async def unsettled(session: AsyncSession, claim_ids: Sequence[str]) -> int:
    """How many of their transactions the chain has not settled for good."""
    statement = (
        sa.select(sa.func.count())
        .select_from(TransactionClaim)
        .join(Transaction, Transaction.id == TransactionClaim.transaction_id)
        .where(TransactionClaim.claim_id.in_(claim_ids), Transaction.status.not_in(FINAL_TRANSACTIONS))
    )
    return int(await session.scalar(statement) or 0)


async def old_logs(session: AsyncSession, before: datetime) -> dict[str, int]:
    """How many technical rows are older, by table."""
    counts = {}
    for table, old in _logs(before).items():
        counts[table.__tablename__] = int(await session.scalar(sa.select(sa.func.count()).where(old)) or 0)
    return counts


async def drop_logs(session: AsyncSession, before: datetime) -> dict[str, int]:
    """Remove them; how many it were."""
    dropped = await old_logs(session, before)
    for table, old in _logs(before).items():
        await session.execute(sa.delete(table).where(old))
    return dropped


def _logs(before: datetime) -> dict[Any, sa.ColumnElement[bool]]:
    return {
        InboxEvent: InboxEvent.handled_at <= before,
        Refusal: Refusal.at <= before,
        WalletChallenge: sa.and_(WalletChallenge.case_id.is_(None), WalletChallenge.ends_at <= before),
    }


def _is_of(cases: Sequence[Case]) -> sa.ColumnElement[bool]:
    """Events about these cases, those from before we knew their checks included."""
    checks = [(case.provider, case.environment, case.check_ref) for case in cases if case.check_ref is not None]
    return sa.or_(
        InboxEvent.case_id.in_([case.id for case in cases]),
        sa.tuple_(InboxEvent.provider, InboxEvent.environment, InboxEvent.check_ref).in_(checks),
    )


def _of(row: Any, *names: str) -> dict[str, Any]:  # noqa: ANN401 - any table row
    return {name: getattr(row, name) for name in names}
