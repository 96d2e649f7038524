"""Claims that an outside issuer made: told to us with a transaction, and recorded once the chain has shown them.

The process that faces the internet keeps what it was told as `pending`; the daemon asks the chain (`witness.py`).
"""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases.tables import Case
from issuer.claims.tables import ExternalClaim
from issuer.db import for_update
from issuer.errors import Conflict
from issuer.ids import new_id


class ExternalStatus(StrEnum):
    PENDING = "pending"
    RECORDED = "recorded"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why an outside issuer's claim is not recorded; stable names."""

    OWN_ISSUER = "own_issuer"
    TX_NOT_FOUND = "tx_not_found"
    TX_FAILED = "tx_failed"
    CLAIM_NOT_IN_TX = "claim_not_in_tx"
    IDENTITY_NOT_CONTROLLED = "identity_not_controlled"
    CLAIM_GONE = "claim_gone"
    ISSUER_DENIES = "issuer_denies"


async def put(
    session: AsyncSession, case: Case, *, topic: str, chain_id: int, issuer: str, tx_hash: str, at: datetime
) -> ExternalClaim:
    """The claim of this case, topic, chain and issuer, as it is told now. Repeating it changes nothing.

    What was refused is tried again. Raises `Conflict` if another transaction is recorded for it already.
    """
    row = await _locked(session, case.id, topic, chain_id, issuer)
    if row is None:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        await session.execute(
            insert(ExternalClaim)
            .values(
                id=new_id("ext"),
                tenant_id=case.tenant_id,
                case_id=case.id,
                topic=topic,
                chain_id=chain_id,
                issuer=issuer,
                tx_hash=tx_hash,
                status=ExternalStatus.PENDING,
                next_try_at=at,
                created_at=at,
                updated_at=at,
            )
            .on_conflict_do_nothing(index_elements=["case_id", "topic", "chain_id", "issuer"])
        )
        row = await _locked(session, case.id, topic, chain_id, issuer)
        assert row is not None  # ours, or that of whoever was first
    if row.status == ExternalStatus.RECORDED and row.tx_hash != tx_hash:
        raise Conflict("this claim is recorded with another transaction")
    if row.status == ExternalStatus.REFUSED or row.tx_hash != tx_hash:
        row.tx_hash, row.status, row.reason = tx_hash, ExternalStatus.PENDING, None
        row.created_at = row.updated_at = row.next_try_at = at
    return row


async def of_case(session: AsyncSession, case_id: str) -> list[ExternalClaim]:
    """Oldest first."""
    statement = sa.select(ExternalClaim).where(ExternalClaim.case_id == case_id).order_by(ExternalClaim.id)
    return list(await session.scalars(statement))


async def pending(
    session: AsyncSession, chain_id: int, *, now: datetime, limit: int
) -> list[tuple[ExternalClaim, Case]]:
    """Those to ask the chain about now, the longest waiting first."""
    statement = (
        sa.select(ExternalClaim, Case)
        .join(Case, Case.id == ExternalClaim.case_id)
        .where(
            ExternalClaim.chain_id == chain_id,
            ExternalClaim.status == ExternalStatus.PENDING,
            ExternalClaim.next_try_at <= now,
        )
        .order_by(ExternalClaim.next_try_at)
        .limit(limit)
    )
    return [(row, case) for row, case in await session.execute(statement)]


async def _locked(session: AsyncSession, case_id: str, topic: str, chain_id: int, issuer: str) -> ExternalClaim | None:
    statement = sa.select(ExternalClaim).where(
        ExternalClaim.case_id == case_id,
        ExternalClaim.topic == topic,
        ExternalClaim.chain_id == chain_id,
        ExternalClaim.issuer == issuer,
    )
    row: ExternalClaim | None = await session.scalar(for_update(statement, session))
    return row
