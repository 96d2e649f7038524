"""The queries on claims but for a lane's (`waiting.py`). Nothing here commits."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from issuer import bulk, history
from issuer.bulk import among
from issuer.cases.sealing import Sealed
from issuer.cases.tables import Case, Decision
from issuer.chain.tables import TransactionClaim
from issuer.claims import rules
from issuer.claims.plain import Carried, Key, Keyed, Queued, key_of
from issuer.claims.rules import IN_FORCE, ON_ITS_WAY, ClaimStatus
from issuer.claims.tables import IS_RENEWABLE, Claim
from issuer.db import for_update


async def link_all(session: AsyncSession, links: Sequence[tuple[str, str]], purpose: str) -> None:
    """(transaction id, claim id): which claims a transaction carries, for what."""
    rows = [
        {"transaction_id": transaction_id, "claim_id": claim_id, "purpose": purpose}
        for transaction_id, claim_id in links
    ]
    await bulk.insert_all(session, TransactionClaim, rows)


async def get(session: AsyncSession, claim_id: str, tenant_id: str = "default") -> Claim | None:
    return await session.scalar(sa.select(Claim).where(Claim.id == claim_id, Claim.tenant_id == tenant_id))


async def locked(session: AsyncSession, claim_ids: Collection[str]) -> list[Claim]:
    """The rows, locked in one order for all callers, so that two transactions cannot wait for each other."""
    statement = sa.select(Claim).where(among(Claim.id, claim_ids)).order_by(Claim.id)
    rows = await session.scalars(for_update(statement, session).execution_options(populate_existing=True))
    return list(rows)


async def locked_to_settle(session: AsyncSession, claim_ids: Collection[str]) -> dict[str, Carried]:
    """By id, locked in the order of `locked`. What is changed of them is written by a `Moves` that knows them."""
    statement = sa.select(*bulk.columns(Claim, Carried)).where(among(Claim.id, claim_ids)).order_by(Claim.id)
    rows = await session.execute(for_update(statement, session))
    return {claim.id: claim for claim in (Carried(*row) for row in rows)}


async def lock_unchanged(session: AsyncSession, claims: Iterable[Queued]) -> bool:
    """Lock the rows, in the order of `locked`. Are their statuses and keys still as they were read?"""
    read = {claim.id: (claim.status, key_of(claim)) for claim in claims}
    columns = (Claim.id, Claim.status, Claim.identity, Claim.topic, Claim.chain_id)
    statement = sa.select(*columns).where(among(Claim.id, list(read))).order_by(Claim.id)
    found = await session.execute(for_update(statement, session))
    return read == {claim_id: (status, (identity, *rest)) for claim_id, status, identity, *rest in found}


async def of_cases(session: AsyncSession, case_ids: Collection[str]) -> dict[str, list[Claim]]:
    """Claims by case, oldest first; every asked case has an entry."""
    found: dict[str, list[Claim]] = defaultdict(list)
    statement = sa.select(Claim).where(among(Claim.case_id, case_ids)).order_by(Claim.id)
    for claim in await session.scalars(statement):
        found[claim.case_id].append(claim)
    return {case_id: found[case_id] for case_id in case_ids}


async def of_case_locked(session: AsyncSession, case_id: str) -> list[Claim]:
    statement = sa.select(Claim).where(Claim.case_id == case_id).order_by(Claim.id)
    return list(await session.scalars(for_update(statement, session).execution_options(populate_existing=True)))


async def waiting_for(session: AsyncSession, identity: str, topic: str, chain_id: int) -> Claim | None:
    """The claim that waits to be signed for this identity and topic, if any."""
    statement = sa.select(Claim).where(
        Claim.identity == identity,
        Claim.topic == topic,
        Claim.chain_id == chain_id,
        Claim.status == ClaimStatus.QUEUED,
    )
    claim: Claim | None = await session.scalar(for_update(statement, session))
    return claim


async def offered_for(session: AsyncSession, identity: str, topic: str, chain_id: int) -> Claim | None:
    """The signed claim that waits for its holder to send it, if any."""
    statement = sa.select(Claim).where(
        Claim.identity == identity,
        Claim.topic == topic,
        Claim.chain_id == chain_id,
        Claim.status == ClaimStatus.SIGNED,
        Claim.detail == rules.AWAITING_HOLDER,
    )
    claim: Claim | None = await session.scalar(for_update(statement, session))
    return claim


async def offered(session: AsyncSession, chain_id: int, *, limit: int) -> list[Claim]:
    """Claims that their holders may send, or have sent and are not final yet; the longest unlooked-at first."""
    statement = (
        sa.select(Claim)
        .where(
            Claim.chain_id == chain_id,
            Claim.status.in_(ON_ITS_WAY),
            Claim.detail == rules.AWAITING_HOLDER,
        )
        .order_by(Claim.next_try_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def alive_for(session: AsyncSession, claims: Iterable[Keyed]) -> list[Claim]:
    """Claims on the identities and topics of `claims` that stand or are on their way, or may still be on chain."""
    wanted = {key_of(claim) for claim in claims}
    statement = sa.select(Claim).where(*_of_keys(wanted, IN_FORCE)).order_by(Claim.id)
    return [claim for claim in await session.scalars(for_update(statement, session)) if key_of(claim) in wanted]


async def standing_for(session: AsyncSession, claims: Iterable[Keyed]) -> list[Carried]:
    """The claims that stand on the identities and topics of `claims`, as `locked_to_settle` has them."""
    wanted = {key_of(claim) for claim in claims}
    if not wanted:
        return []
    standing = _of_keys(wanted, {ClaimStatus.CONFIRMED})
    statement = sa.select(*bulk.columns(Claim, Carried)).where(*standing).order_by(Claim.id)
    found = (Carried(*row) for row in await session.execute(for_update(statement, session)))
    return [claim for claim in found if key_of(claim) in wanted]


async def waiting_beside(session: AsyncSession, claims: Iterable[Keyed]) -> set[Key]:
    """Those keys of `claims` for which one waits to be signed."""
    wanted = {key_of(claim) for claim in claims}
    if not wanted:
        return set()
    waits = _of_keys(wanted, {ClaimStatus.QUEUED})
    statement = sa.select(Claim.identity, Claim.topic, Claim.chain_id).where(*waits).order_by(Claim.id)
    found = await session.execute(for_update(statement, session))
    return wanted & {(identity, topic, chain_id) for identity, topic, chain_id in found}


def _of_keys(keys: Iterable[Key], statuses: Collection[ClaimStatus]) -> tuple[sa.ColumnElement[bool], ...]:
    """By identity alone, which has an index; tuples would make SQLite read the whole table."""
    return among(Claim.identity, {identity for identity, _, _ in keys}), Claim.status.in_(statuses)


async def standing_with_case(
    session: AsyncSession, identity: str, topic: str, chain_id: int
) -> tuple[Claim, Case] | None:
    """The claim that stands on an identity for a topic, with its case."""
    statement = (
        sa.select(Claim, Case)
        .join(Case, Case.id == Claim.case_id)
        .where(
            Claim.identity == identity,
            Claim.topic == topic,
            Claim.chain_id == chain_id,
            Claim.status == ClaimStatus.CONFIRMED,
        )
    )
    found = (await session.execute(statement)).one_or_none()
    return None if found is None else (found[0], found[1])


async def has_newer(session: AsyncSession, identity: str, topic: str, chain_id: int, decision_id: str) -> bool:
    """Is there a claim for this identity and topic, waiting or in force, that rests on a newer decision?"""
    statement = sa.exists().where(
        Claim.identity == identity,
        Claim.topic == topic,
        Claim.chain_id == chain_id,
        Claim.status.in_(ON_ITS_WAY | {ClaimStatus.QUEUED, ClaimStatus.CONFIRMED}),
        Claim.decision_id > decision_id,
    )
    return bool(await session.scalar(sa.select(statement)))


async def was_removed(session: AsyncSession, case_id: str, topic: str, chain_id: int) -> bool:
    """Did the holder remove the claim of this case, and not put it back? The history says so for ever."""
    moves = (
        sa.select(history.History.target)
        .join(Claim, Claim.id == history.History.claim_id)
        .where(
            history.History.case_id == case_id,
            history.History.target.in_((ClaimStatus.REMOVED, ClaimStatus.CONFIRMED)),
            Claim.topic == topic,
            Claim.chain_id == chain_id,
        )
        .order_by(history.History.id.desc())
        .limit(1)
    )
    return await session.scalar(moves) == ClaimStatus.REMOVED


def is_followed() -> sa.Exists:
    """Another claim of the same identity, topic and chain waits or is on its way."""
    other = aliased(Claim)
    return sa.exists().where(
        other.identity == Claim.identity,
        other.topic == Claim.topic,
        other.chain_id == Claim.chain_id,
        other.status.in_({ClaimStatus.QUEUED} | IN_FORCE - {ClaimStatus.CONFIRMED}),
    )


async def standing_by_signer(session: AsyncSession, chain_id: int) -> dict[str, int]:
    """How many standing claims each key has signed."""
    statement = (
        sa.select(Claim.signer, sa.func.count())
        .where(Claim.chain_id == chain_id, Claim.status == ClaimStatus.CONFIRMED)
        .group_by(Claim.signer)
    )
    rows = await session.execute(statement)
    return {signer: count for signer, count in rows if signer is not None}


async def sealed_before(session: AsyncSession, prefix: str, *, after_id: str, limit: int) -> Sequence[tuple[str, str]]:
    """(claim id, salt) in order, the next after `after_id` whose salt does not begin with `prefix`."""
    statement = (
        sa.select(Claim.id, Claim.salt)
        .where(Claim.id > after_id, ~Claim.salt.startswith(prefix))
        .order_by(Claim.id)
        .limit(limit)
    )
    return [(claim_id, salt) for claim_id, salt in await session.execute(statement)]


async def reseal(session: AsyncSession, claim_id: str, old: str, new: str) -> None:
    """Only if it is still the one that was opened."""
    await session.execute(sa.update(Claim).where(Claim.id == claim_id, Claim.salt == old).values(salt=new))


async def due_for_renewal(session: AsyncSession, chain_id: int, *, now: datetime, limit: int) -> list[str]:
    """Claims to be made anew whose approval stands, the one that ends first before the others."""
    statement = (
        sa.select(Claim.id)
        .join(Case, Case.id == Claim.case_id)
        .where(
            Claim.chain_id == chain_id,
            IS_RENEWABLE,
            Claim.renew_at <= now,
            Case.backs_claims,
            ~is_followed(),
        )
        .order_by(Claim.renew_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def was_ever_signed(session: AsyncSession, identity: str, topic: str, chain_id: int) -> bool:
    """Did a claim in the signed form ever leave for this identity and topic?"""
    statement = sa.exists().where(
        Claim.identity == identity,
        Claim.topic == topic,
        Claim.chain_id == chain_id,
        Claim.form == rules.SIGNED,
        Claim.word.is_not(None),
    )
    return bool(await session.scalar(sa.select(statement)))


async def next_revision(session: AsyncSession, case_id: str, topic: str, chain_id: int) -> int:
    statement = sa.select(sa.func.count()).where(
        Claim.case_id == case_id, Claim.topic == topic, Claim.chain_id == chain_id
    )
    return int(await session.scalar(statement) or 0)


async def to_revoke(session: AsyncSession, chain_id: int, *, now: datetime, limit: int) -> list[Claim]:
    """Claims whose revocation is not on its way yet, oldest first."""
    on_its_way = sa.exists().where(
        TransactionClaim.claim_id == Claim.id,
        TransactionClaim.purpose == "revoke",
        TransactionClaim.resolved_at.is_(None),
    )
    statement = (
        sa.select(Claim)
        .where(
            Claim.chain_id == chain_id,
            Claim.status == ClaimStatus.REVOKING,
            Claim.next_try_at <= now,
            ~on_its_way,
        )
        .order_by(Claim.id)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def taken_by_person(session: AsyncSession, case_ids: Collection[str]) -> dict[str, str]:
    """Cases in which a person took something back, with the id of the newest history row of it.

    Read from the history, which the API's database role can add to but not change: a person's word cannot be unsaid
    by whoever takes over the process that faces the internet.
    """
    statement = (
        sa.select(history.History.case_id, sa.func.max(history.History.id))
        .where(among(history.History.case_id, case_ids), history.History.cause == history.PERSON)
        .group_by(history.History.case_id)
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def newest_decisions(session: AsyncSession, case_ids: Collection[str]) -> dict[str, Decision]:
    """The newest decision of each case that has one."""
    rows = await session.scalars(sa.select(Decision).where(_is_newest(case_ids)))
    return {decision.case_id: decision for decision in rows}


async def newest_sealed(session: AsyncSession, case_ids: Collection[str]) -> dict[str, Sealed]:
    """`newest_decisions` as plain data."""
    rows = await session.execute(sa.select(*bulk.columns(Decision, Sealed)).where(_is_newest(case_ids)))
    return {decision.case_id: decision for decision in (Sealed(*row) for row in rows)}


def _is_newest(case_ids: Collection[str]) -> sa.ColumnElement[bool]:
    newest = sa.select(sa.func.max(Decision.id)).where(among(Decision.case_id, case_ids)).group_by(Decision.case_id)
    return Decision.id.in_(newest)


async def chains_of(session: AsyncSession, decision_id: str) -> set[int]:
    """The chains on which a decision has claims."""
    return set(await session.scalars(sa.select(Claim.chain_id).where(Claim.decision_id == decision_id).distinct()))


async def chains_waiting(session: AsyncSession) -> list[int]:
    """The chains for which some claim waits to be signed."""
    statement = sa.select(Claim.chain_id).where(Claim.status == ClaimStatus.QUEUED).distinct()
    return sorted(await session.scalars(statement))
