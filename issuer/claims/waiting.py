"""What waits to be signed: the queued claims that a lane is to take now."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among, columns
from issuer.cases.sealing import Backing
from issuer.cases.tables import Case
from issuer.chain.rules import ALL, Share
from issuer.claims.plain import Key, Queued, key_of
from issuer.claims.rules import IN_FORCE, ClaimStatus
from issuer.claims.tables import Claim
from issuer.reconcile import store as findings


async def ready(
    session: AsyncSession,
    chain_id: int,
    *,
    now: datetime,
    limit: int,
    share: Share = ALL,
    without: Collection[str] = (),
) -> Sequence[tuple[Queued, Backing]]:
    """Claims that a lane with this share is to sign now, oldest first: queued, due and still backed.

    Nothing may be in flight for their identity and topic. That keeps the order also when the number of lanes changes:
    whatever lane a claim takes, it waits for the one before it.

    Page by page, each by keys that are indexed: a join over all of it is planned by statistics, which know nothing yet
    of the ten thousand claims that were queued a minute ago.
    """
    found: list[tuple[Queued, Backing]] = []
    blocked = await findings.blocked(session, chain_id)
    page = await _queued(session, chain_id, now=now, limit=limit, share=share, without=without, after="")
    while page:
        cases = await _backing(session, page)
        in_flight = await _in_flight(session, page)
        for claim in page:
            case = cases.get(claim.case_id)
            if case is not None and key_of(claim) not in in_flight and not blocked & {claim.identity, case.subject_id}:
                found.append((claim, case))
        if len(page) < limit or len(found) >= limit:
            break
        page = await _queued(session, chain_id, now=now, limit=limit, share=share, without=without, after=page[-1].id)
    return found[:limit]


async def _queued(
    session: AsyncSession,
    chain_id: int,
    *,
    now: datetime,
    limit: int,
    share: Share,
    without: Collection[str],
    after: str,
) -> list[Queued]:
    statement = (
        sa.select(*columns(Claim, Queued))
        .where(
            Claim.chain_id == chain_id,
            Claim.status == ClaimStatus.QUEUED,
            Claim.next_try_at <= now,
            Claim.id > after,
        )
        .order_by(Claim.id)
        .limit(limit)
    )
    if share != ALL:
        statement = statement.where(Claim.shard % share.count == share.index)
    if without:
        statement = statement.where(~among(Claim.id, without))
    return [Queued(*row) for row in await session.execute(statement)]


async def _in_flight(session: AsyncSession, claims: Iterable[Queued]) -> set[Key]:
    """The keys of these claims' Identities for which something is on its way."""
    statement = sa.select(Claim.identity, Claim.topic, Claim.chain_id).where(
        among(Claim.identity, {claim.identity for claim in claims}),
        Claim.status.in_(IN_FORCE - {ClaimStatus.CONFIRMED}),
    )
    return {(identity, topic, chain_id) for identity, topic, chain_id in await session.execute(statement)}


async def _backing(session: AsyncSession, claims: Iterable[Queued]) -> dict[str, Backing]:
    """By id, the cases of these claims whose approval stands."""
    statement = sa.select(Case.backs_claims, *columns(Case, Backing)).where(
        among(Case.id, {claim.case_id for claim in claims})
    )
    cases = [Backing(*row) for backs_claims, *row in await session.execute(statement) if backs_claims]
    return {case.id: case for case in cases}
