"""From an approved case to queued claims, inside the caller's transaction."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.cases.levels import Policy
from issuer.cases.tables import Case, Decision
from issuer.claims import rules, store
from issuer.claims.moving import move
from issuer.claims.rules import ClaimStatus, Firewall
from issuer.claims.tables import Claim
from issuer.ids import new_id
from issuer.secrets import KeyRing

SALT = "claim-salt"
SALT_BYTES = 32


class Issuance(msgspec.Struct, frozen=True, kw_only=True):
    """What new claims are made with: the ClaimIssuer of each chain, the keys that seal salts, the levels to host.

    `firewall`: where they may go at all.
    """

    claim_issuers: Mapping[int, str]
    data_keys: KeyRing
    hosted_levels: frozenset[str] = frozenset()
    firewall: Firewall = Firewall()

    def form_of(self, policy: Policy) -> str:
        return rules.HOSTED if policy.level in self.hosted_levels else policy.form


async def missing_chains(session: AsyncSession, case: Case, decision: Decision, issuance: Issuance) -> set[int]:
    """The chains where this decision is to have claims and has none: away when it was made, or an older was in the way.

    Chains that are unknown here or out of the case's reach are not missed.
    """
    wanted = {chain_id for chain_id in case.chain_ids if chain_id in issuance.claim_issuers}
    reached = {chain_id for chain_id in wanted if issuance.firewall.lets(case.environment, chain_id)}
    return reached - await store.chains_of(session, decision.id)


async def queue_claims(
    session: AsyncSession,
    case: Case,
    decision: Decision,
    policy: Policy,
    issuance: Issuance,
    identities: Mapping[int, str],
    *,
    at: datetime,
) -> list[Claim]:
    """One claim per topic and chain of the level. Chains that are unknown here or out of reach are left out.

    A case that names an Identity made elsewhere gets its claims there; whose it is, is asked before they are signed.
    """
    queued = []
    for chain_id in case.chain_ids:
        if chain_id not in identities or not issuance.firewall.lets(case.environment, chain_id):
            continue
        identity = case.identity or identities[chain_id]
        for topic in policy.topics:
            if await _may_follow(
                session, case, decision, policy, identity, str(topic), chain_id, at
            ) and await _makes_room(session, identity, str(topic), chain_id, decision, at):
                queued.append(await queue(session, case, decision, policy, issuance, identity, topic, chain_id, at))
    return queued


async def is_soon_free(session: AsyncSession, case: Case, policy: Policy, identities: Mapping[int, str]) -> bool:
    """Is it only a claim that is about to be signed that keeps a new one out?"""
    for chain_id, identity in identities.items():
        for topic in policy.topics:
            if await store.waiting_for(session, case.identity or identity, str(topic), chain_id) is not None:
                return True
    return False


async def _may_follow(
    session: AsyncSession,
    case: Case,
    decision: Decision,
    policy: Policy,
    identity: str,
    topic: str,
    chain_id: int,
    at: datetime,
) -> bool:
    """Not what its holder removed, unless another case asks for it anew; not in place of a newer or better claim.

    An approval may be late here, because its chain was away when it was made: it supersedes nothing that came after it.
    """
    if await store.was_removed(session, case.id, topic, chain_id):
        return False
    if await store.has_newer(session, identity, topic, chain_id, decision.id):
        return False
    standing = await store.standing_with_case(session, identity, topic, chain_id)
    if standing is None or standing[1].id == case.id:
        return True
    claim, other = standing
    until = at + timedelta(seconds=policy.validity_seconds)
    until = min(filter(None, (until, policy.supports_until(decision.decided_at))))
    return rules.replaces(until, case.environment, claim.valid_until, other.environment)


async def _makes_room(
    session: AsyncSession, identity: str, topic: str, chain_id: int, decision: Decision, at: datetime
) -> bool:
    """The newest approval supersedes one that still waits, to be signed or for its holder to send it.

    One that was signed and came back is left to finish first.
    """
    offered = await store.offered_for(session, identity, topic, chain_id)
    if offered is not None and offered.decision_id < decision.id:
        move(session, offered, ClaimStatus.SUPERSEDED, at=at, cause="superseded")
        await session.flush()
    waiting = await store.waiting_for(session, identity, topic, chain_id)
    if waiting is None:
        return True
    if waiting.word is not None or waiting.decision_id >= decision.id:
        return False
    move(session, waiting, ClaimStatus.CANCELLED, at=at, cause="superseded")
    await session.flush()
    return True


async def queue(
    session: AsyncSession,
    case: Case,
    decision: Decision,
    policy: Policy,
    issuance: Issuance,
    identity: str,
    topic: int,
    chain_id: int,
    at: datetime,
    *,
    cause: str = "approved",
) -> Claim:
    """A claim that waits to be signed, of a key for which none waits yet."""
    claim_id = new_id("clm")
    foreign = case.identity is not None
    form = rules.SIGNED if foreign else issuance.form_of(policy)
    if form == rules.HOSTED and await store.was_ever_signed(session, identity, str(topic), chain_id):
        form = rules.SIGNED  # a signed claim on an identity is shown before a hosted one, even after it died
    claim = Claim(
        id=claim_id,
        tenant_id=case.tenant_id,
        case_id=case.id,
        decision_id=decision.id,
        revision=await store.next_revision(session, case.id, str(topic), chain_id),
        wallet=case.wallet,
        identity=identity,
        topic=str(topic),
        chain_id=chain_id,
        foreign=foreign,
        form=form,
        issuer=issuance.claim_issuers[chain_id],
        onchain_id="0x" + rules.onchain_id(issuance.claim_issuers[chain_id], topic).hex(),
        status=ClaimStatus.QUEUED,
        validity_seconds=policy.validity_seconds,
        salt=issuance.data_keys.seal(SALT, os.urandom(SALT_BYTES), row=claim_id),
        next_try_at=at,
        created_at=at,
        updated_at=at,
    )
    session.add(claim)
    history.record(
        session, case_id=case.id, claim_id=claim_id, at=at, source=None, target=ClaimStatus.QUEUED, cause=cause
    )
    await session.flush()
    return claim
