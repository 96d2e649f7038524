"""Many claims at once: which ones an operator means, counted before anything is done to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among
from issuer.cases.tables import Case
from issuer.claims.rules import IN_FORCE, ClaimStatus
from issuer.claims.tables import Claim

T = TypeVar("T")

# What a revocation still changes.
REVOCABLE = (IN_FORCE - {ClaimStatus.REVOKING}) | {ClaimStatus.QUEUED, ClaimStatus.FAILED, ClaimStatus.REMOVED}


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Claims that can still be revoked; None leaves a condition out. `before`, `after`: when they were queued.

    `tag`: of their cases. `signer`: who has signed them (EIP-55).
    """

    tenant_id: str
    level: str | None = None
    topic: str | None = None
    chain_id: int | None = None
    provider: str | None = None
    tag: str | None = None
    signer: str | None = None
    before: datetime | None = None
    after: datetime | None = None

    @property
    def is_everything(self) -> bool:
        return self == Selection(tenant_id=self.tenant_id)


async def count(session: AsyncSession, wanted: Selection) -> int:
    return int(await session.scalar(_selected(wanted, sa.select(sa.func.count()))) or 0)


async def page(session: AsyncSession, wanted: Selection, *, after_id: str, limit: int) -> Sequence[str]:
    """Claim ids in order, the next after `after_id`."""
    statement = _selected(wanted, sa.select(Claim.id)).where(Claim.id > after_id).order_by(Claim.id).limit(limit)
    return list(await session.scalars(statement))


async def rows(session: AsyncSession, wanted: Selection, *, after_id: str, limit: int) -> list[tuple[Claim, Case]]:
    """The claims themselves with their cases, in the order of `page`."""
    ids = await page(session, wanted, after_id=after_id, limit=limit)
    statement = (
        sa.select(Claim, Case).join(Case, Case.id == Claim.case_id).where(among(Claim.id, ids)).order_by(Claim.id)
    )
    return [(claim, case) for claim, case in await session.execute(statement)]


def _selected(wanted: Selection, statement: sa.Select[T]) -> sa.Select[T]:
    statement = (
        statement.select_from(Claim)
        .join(Case, Case.id == Claim.case_id)
        .where(Claim.tenant_id == wanted.tenant_id, Claim.status.in_(REVOCABLE))
    )
    same = {
        Case.level: wanted.level,
        Case.provider: wanted.provider,
        Case.tag: wanted.tag,
        Claim.topic: wanted.topic,
        Claim.chain_id: wanted.chain_id,
        Claim.signer: wanted.signer,
    }
    for column, value in same.items():
        if value is not None:
            statement = statement.where(column == value)
    if wanted.before is not None:
        statement = statement.where(Claim.created_at < wanted.before)
    if wanted.after is not None:
        statement = statement.where(Claim.created_at >= wanted.after)
    return statement
