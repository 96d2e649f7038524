"""What waits to be signed: the queued claims that a lane is to take now."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from issuer.bulk import among
from issuer.cases.tables import Case
from issuer.chain.rules import ALL, Share
from issuer.claims.rules import IN_FORCE, ClaimStatus
from issuer.claims.store import Key, key_of
from issuer.claims.tables import Claim
from issuer.reconcile import store as findings

# What is read by the thousand is read without the columns that nobody asks for; asking for one of them is an error.
_ISSUED_BY = load_only(
    Claim.case_id, Claim.decision_id, Claim.wallet, Claim.identity, Claim.topic, Claim.chain_id, Claim.foreign,
    Claim.form, Claim.onchain_id, Claim.status, Claim.validity_seconds, Claim.salt, Claim.epoch, Claim.word,
    Claim.signature, Claim.created_at, raiseload=True,
)  # fmt: skip
_BACKED_BY = load_only(
    Case.tenant_id, Case.subject_id, Case.level, Case.wallet, Case.identity, Case.chain_ids, Case.provider,
    Case.environment, Case.template, Case.check_ref, Case.status, Case.person_ruling, Case.redacted_at,
    Case.proof_message, Case.proof_signature, raiseload=True,
)  # fmt: skip


async def ready(
    session: AsyncSession,
    chain_id: int,
    *,
    now: datetime,
    limit: int,
    share: Share = ALL,
    without: Collection[str] = (),
) -> Sequence[tuple[Claim, Case]]:
    """Claims that a lane with this share is to sign now, oldest first: queued, due and still backed.

    Nothing may be in flight for their identity and topic. That keeps the order also when the number of lanes changes:
    whatever lane a claim takes, it waits for the one before it.

    Page by page, each by keys that are indexed: a join over all of it is planned by statistics, which know nothing yet
    of the ten thousand claims that were queued a minute ago.
    """
    found: list[tuple[Claim, Case]] = []
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
) -> list[Claim]:
    statement = (
        sa.select(Claim)
        .where(
            Claim.chain_id == chain_id,
            Claim.status == ClaimStatus.QUEUED,
            Claim.next_try_at <= now,
            Claim.id > after,
        )
        .order_by(Claim.id)
        .limit(limit)
        .options(_ISSUED_BY)
    )
    if share != ALL:
        statement = statement.where(Claim.shard % share.count == share.index)
    if without:
        statement = statement.where(~among(Claim.id, without))
    return list(await session.scalars(statement))


async def _in_flight(session: AsyncSession, claims: Iterable[Claim]) -> set[Key]:
    """The keys of these claims' Identities for which something is on its way."""
    statement = sa.select(Claim.identity, Claim.topic, Claim.chain_id).where(
        among(Claim.identity, {claim.identity for claim in claims}),
        Claim.status.in_(IN_FORCE - {ClaimStatus.CONFIRMED}),
    )
    return {(identity, topic, chain_id) for identity, topic, chain_id in await session.execute(statement)}


async def _backing(session: AsyncSession, claims: Iterable[Claim]) -> dict[str, Case]:
    """By id, the cases of these claims whose approval stands."""
    statement = sa.select(Case).where(among(Case.id, {claim.case_id for claim in claims})).options(_BACKED_BY)
    return {case.id: case for case in await session.scalars(statement) if case.backs_claims}
