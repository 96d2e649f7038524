"""Claims are made anew before they end, while the approval behind them stands.

A renewal is a claim of its own, queued beside the one that stands. On chain it takes the other's place in one
transaction, and when it is confirmed the other is superseded: at no moment is there none.
"""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint, history
from issuer.cases.evidence import locked_case
from issuer.cases.levels import LEVELS
from issuer.cases.sealing import is_proved, policy_of
from issuer.cases.tables import Case
from issuer.claims import queueing, store
from issuer.claims.moving import move
from issuer.claims.queueing import Issuance
from issuer.claims.rules import RENEWABLE, REVERIFICATION_DUE, ClaimStatus
from issuer.claims.tables import Claim
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import Conflict, NotFound
from issuer.secrets import KeyRing

log = structlog.get_logger(__name__)

T = TypeVar("T")

BATCH = 100


class Renewals:
    """One chain's. Asks nobody but the database: what is signed is checked against the chain when it is signed."""

    def __init__(
        self,
        db: Database,
        issuance: Issuance,
        *,
        chain_id: int,
        decision_keys: KeyRing,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._issuance = issuance
        self._chain_id = chain_id
        self._keys = decision_keys
        self._clock = clock

    async def step(self) -> int:
        """Queue what is due; how many claims that were."""
        async with self._db.read() as session:
            due = await store.due_for_renewal(session, self._chain_id, now=self._clock(), limit=BATCH)
        queued = 0
        for claim_id in due:
            async with self._db.write() as session:
                queued += await self._renew(session, claim_id)
                crashpoint.reached("renew.before_commit")
            crashpoint.reached("renew.committed")
        return queued

    async def _renew(self, session: AsyncSession, claim_id: str) -> bool:
        at = self._clock()
        found = await session.get(Claim, claim_id)
        case = None if found is None else await locked_case(session, found.case_id)
        (claim,) = await store.locked(session, [claim_id])
        if case is None or claim.status not in RENEWABLE or claim.renew_at is None or claim.renew_at > at:
            return False
        if not case.backs_claims:
            return False
        claim.renew_at = None  # one renewal of each claim; if it fails, a person tries it again
        decision = (await store.newest_decisions(session, [case.id])).get(case.id)
        level, policy = LEVELS.get(case.level), None if decision is None else policy_of(case, decision)
        if decision is None or not is_proved(case, decision, self._keys):
            log.error("decision_not_proved", claim_id=claim.id, case_id=case.id)
            return False
        if level is None or policy is None or int(claim.topic) not in set(level.topics) & set(policy.topics):
            return False  # the policy does not ask for it any more
        if await store.waiting_for(session, claim.identity, claim.topic, claim.chain_id) is not None:
            return False  # a newer approval was first
        end = policy.supports_until(decision.decided_at)
        if end is not None and end <= max(at, claim.valid_until or at):
            _note(session, claim, REVERIFICATION_DUE, None, at)
            return False
        topic = int(claim.topic)
        await queueing.queue(
            session, case, decision, policy, self._issuance, claim.identity, topic, claim.chain_id, at, cause="renewal"
        )
        return True


async def ask(session: AsyncSession, claim_id: str, *, actor: str, at: datetime, tenant_id: str = "default") -> Claim:
    """Have a claim made anew now: one that stands, or one that was revoked while its case is approved.

    Raises `NotFound` and `Conflict`.
    """
    claim, status = await _with_approved_case(session, claim_id, tenant_id)
    if status is ClaimStatus.REMOVED:
        raise Conflict("its holder removed it; only the holder can ask for it again, with a new case")
    if status not in RENEWABLE:
        raise Conflict(f"a claim that is {status} cannot be renewed")
    claim.renew_at = claim.updated_at = at
    _note(session, claim, "renewal_asked", actor, at)
    return claim


class SignedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Standing claims that one key has signed, and that are not being made anew already. `chain_id` None: any."""

    signer: str
    chain_id: int | None = None
    tenant_id: str = "default"


async def count(session: AsyncSession, wanted: SignedBy) -> int:
    return int(await session.scalar(_signed_by(wanted, sa.select(sa.func.count(Claim.id)))) or 0)


async def page(session: AsyncSession, wanted: SignedBy, *, after_id: str, limit: int) -> list[str]:
    """Claim ids in order, the next after `after_id`."""
    statement = _signed_by(wanted, sa.select(Claim.id)).where(Claim.id > after_id).order_by(Claim.id).limit(limit)
    return list(await session.scalars(statement))


async def ask_many(session: AsyncSession, claim_ids: Sequence[str], *, actor: str, at: datetime) -> list[Claim]:
    """`ask` for each whose approval stands; the others are left out."""
    asked = []
    for claim_id in claim_ids:
        with contextlib.suppress(Conflict):
            asked.append(await ask(session, claim_id, actor=actor, at=at))
    return asked


def _signed_by(wanted: SignedBy, statement: sa.Select[T]) -> sa.Select[T]:
    statement = statement.join(Case, Case.id == Claim.case_id).where(
        Claim.tenant_id == wanted.tenant_id,
        Claim.signer == wanted.signer,
        Claim.status == ClaimStatus.CONFIRMED,
        Case.backs_claims,
        ~store.is_followed(),
    )
    return statement if wanted.chain_id is None else statement.where(Claim.chain_id == wanted.chain_id)


async def retry(session: AsyncSession, claim_id: str, *, actor: str, at: datetime, tenant_id: str = "default") -> Claim:
    """Try a failed claim again from the beginning. Raises `NotFound` and `Conflict`."""
    claim, status = await _with_approved_case(session, claim_id, tenant_id)
    if status is not ClaimStatus.FAILED:
        raise Conflict(f"only a failed claim can be tried again, and this one is {status}")
    if await store.waiting_for(session, claim.identity, claim.topic, claim.chain_id) is not None:
        raise Conflict("another claim of this Identity and topic waits to be signed")
    claim.failures, claim.detail = 0, None
    claim.next_try_at = at
    move(session, claim, ClaimStatus.QUEUED, at=at, cause="retry", detail={"actor": actor})
    return claim


async def _with_approved_case(session: AsyncSession, claim_id: str, tenant_id: str) -> tuple[Claim, ClaimStatus]:
    found = await store.get(session, claim_id, tenant_id)
    if found is None:
        raise NotFound("no such claim; `claimwright claim list` shows them")
    case = await locked_case(session, found.case_id)
    assert case is not None  # a foreign key
    (claim,) = await store.locked(session, [claim_id])
    if not case.backs_claims:
        raise Conflict("the approval behind this claim does not stand")
    return claim, ClaimStatus(claim.status)


def _note(session: AsyncSession, claim: Claim, cause: str, actor: str | None, at: datetime) -> None:
    """Not a move, but the timeline shows who asked, or why nothing follows."""
    history.record(
        session,
        case_id=claim.case_id,
        claim_id=claim.id,
        at=at,
        source=claim.status,
        target=claim.status,
        cause=cause,
        detail={} if actor is None else {"actor": actor},
    )
