"""Apply one reading to one case, inside the caller's transaction: move, history, sealed decision, claims."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.bulk import among
from issuer.cases import persons, rules, store
from issuer.cases.levels import LEVELS, Level
from issuer.cases.rules import CaseStatus, Standing, Verdict
from issuer.cases.sealing import DECISION_MAC, decision_message, is_proved
from issuer.cases.tables import Case, Check, Decision
from issuer.claims import queueing, succession
from issuer.claims import store as claims
from issuer.claims.rules import ClaimStatus
from issuer.db import for_update
from issuer.ids import new_id
from issuer.providers.protocol import Reading
from issuer.secrets import KeyRing

log = structlog.get_logger(__name__)

WALLET_CHANGED = "wallet_changed"
LIFTED = "lifted"  # the outcome of a decision that takes a person's word back and allows nothing itself
MOST_HITS, MOST_PARTS = 200, 100
APPLIED = frozenset({"moved", "no_change", "not_a_move", "older_evidence"})
SETTLED = frozenset({CaseStatus.APPROVED, CaseStatus.DECLINED})


def standing(case: Case, *, crowded: bool = False) -> Standing:
    assert case.check_ref is not None  # a case without a check has no reading
    return Standing(
        status=CaseStatus(case.status),
        check_ref=case.check_ref,
        reference=case.subject_id,
        template=case.template,
        environment=case.environment,
        evidence_at=case.evidence_at,
        person_ruling=case.person_ruling,
        hits=frozenset(case.hits or ()),
        flag=case.flag,
        crowded=crowded,
    )


async def locked_case(session: AsyncSession, case_id: str) -> Case | None:
    statement = for_update(sa.select(Case).where(Case.id == case_id), session)
    case: Case | None = await session.scalar(statement.execution_options(populate_existing=True))
    return case


async def locked_cases(session: AsyncSession, case_ids: Collection[str]) -> list[Case]:
    """Locked in one order for all callers."""
    statement = for_update(sa.select(Case).where(among(Case.id, case_ids)).order_by(Case.id), session)
    return list(await session.scalars(statement.execution_options(populate_existing=True)))


async def locked_others(session: AsyncSession, case: Case) -> list[Case]:
    """The other cases of the same person, on all wallets, locked in one order for all callers."""
    everything = await store.subjects_of_person(session, case.subject_id)
    statement = sa.select(Case).where(Case.subject_id.in_(everything), Case.id != case.id).order_by(Case.id)
    return list(await session.scalars(for_update(statement, session).execution_options(populate_existing=True)))


async def locked_backing(session: AsyncSession, case_ids: Collection[str]) -> set[str]:
    """Those of these cases whose approval stands, locked in one order for all callers.

    Found by their ids alone: a planner that knows nothing of a new table would read every approved case there is.
    """
    statement = sa.select(Case.id, Case.backs_claims).where(among(Case.id, case_ids)).order_by(Case.id)
    return {case_id for case_id, backs in await session.execute(for_update(statement, session)) if backs}


async def apply(
    session: AsyncSession,
    case: Case,
    reading: Reading,
    *,
    at: datetime,
    cause: str,
    keys: KeyRing,
    issuance: queueing.Issuance,
    identities: Mapping[int, str],
) -> Verdict:
    """Weigh a reading and do what the verdict says. `identities` are Identity addresses by chain id, where known.

    An approval queues claims on the chains whose identity is known; the sweep queues the rest. A decline takes back
    whatever this case backs, whatever state it is in.
    """
    level = LEVELS.get(case.level)
    on_hit, required = ("review", frozenset()) if level is None else (level.on_hit, level.requires(case.provider))
    hashes = persons.hashes_of(case, reading, keys)
    crowded = await persons.is_crowded(session, case, reading, level, hashes)
    verdict = rules.weigh(standing(case, crowded=crowded), reading, on_hit, required)
    if verdict.target is CaseStatus.APPROVED and level is None:
        return Verdict(outcome="unknown_level")  # the level's file knows it no more: nothing says what to issue
    if verdict.outcome in ("moved", "no_change"):
        case.evidence_at = max(filter(None, (case.evidence_at, reading.evidence_at)))
        case.updated_at = at
    if verdict.outcome in APPLIED and hashes:
        case.person_hash = hashes[0]
    await _note(session, case, verdict, reading, level, at)
    for doubt in verdict.doubts:
        log.warning("approval_waits", case_id=case.id, reason=doubt)
    if verdict.target is None:
        return verdict
    source = case.status
    case.status = rules.move(CaseStatus(case.status), verdict.target)
    case.reasons = rules.reasons(case.status)
    if verdict.target is CaseStatus.DECLINED:
        case.reasons += sorted({hit.code for hit in reading.hits})
    case.reasons += verdict.doubts
    decided = {"decided_at": reading.decided_at.isoformat()} if reading.decided_at else {}
    history.record(session, case_id=case.id, at=at, source=source, target=case.status, cause=cause, detail=decided)
    if verdict.target in SETTLED:
        decision = await seal(
            session,
            case,
            case.status,
            provider_status=reading.status,
            decided_at=reading.decided_at or reading.evidence_at,
            read_at=reading.read_at,
            keys=keys,
        )
        if verdict.target is CaseStatus.APPROVED and level is not None:
            await queueing.queue_claims(session, case, decision, level.policy(), issuance, identities, at=at)
            await end_replaced(session, case, at=at)
        else:
            await take_back(session, case, at=at, cause=cause)
    return verdict


def expire_if_overdue(session: AsyncSession, case: Case, at: datetime) -> bool:
    """By our clock, once the provider has been asked: an approval of which nobody told us must not be missed."""
    level = LEVELS.get(case.level)
    status = CaseStatus(case.status)
    seconds = None if level is None else level.expire_seconds
    if case.person_ruling is not None or not rules.is_overdue(status, case.created_at, case.evidence_at, seconds, at):
        return False
    case.status, case.updated_at = rules.move(status, CaseStatus.EXPIRED), at
    case.reasons = rules.reasons(case.status)
    history.record(session, case_id=case.id, at=at, source=status, target=case.status, cause="clock")
    return True


async def _note(
    session: AsyncSession, case: Case, verdict: Verdict, reading: Reading, level: Level | None, at: datetime
) -> None:
    """What a reading leaves behind beside a move: hits, verifications, and that the record is gone."""
    on_hit, on_redaction = ("review", "keep") if level is None else (level.on_hit, level.on_redaction)
    if verdict.hits:
        case.hits = [*(case.hits or ()), *(hit.key for hit in verdict.hits)][-MOST_HITS:]
        if on_hit == "review":
            case.flag = verdict.hits[0].code
        log.warning("screening_hit", case_id=case.id, reason=on_hit)
    if verdict.outcome in APPLIED:
        await _keep_parts(session, case, reading, at)
    if verdict.forbid_issue:
        if case.redacted_at is None and on_redaction == "review":
            case.flag = "record_redacted"
        case.redacted_at = case.redacted_at or at
        only = None if on_redaction == "revoke" else frozenset({ClaimStatus.QUEUED})
        await take_back(session, case, at=at, cause="redacted", only=only)


async def _keep_parts(session: AsyncSession, case: Case, reading: Reading, at: datetime) -> None:
    """What the check is made of, as it stands now. Written only where something changed."""
    if not reading.parts:
        return
    known = {row.ref: row for row in await session.scalars(sa.select(Check).where(Check.case_id == case.id))}
    for part in reading.parts[:MOST_PARTS]:
        row = known.get(part.ref)
        if row is None:
            row = Check(id=new_id("chk"), tenant_id=case.tenant_id, case_id=case.id, ref=part.ref, kind=part.kind)
            session.add(row)
        elif (row.outcome, row.reasons) == (part.outcome, list(part.reasons)):
            continue
        row.outcome, row.reasons, row.updated_at = part.outcome, list(part.reasons), at


async def end_replaced(session: AsyncSession, case: Case, *, at: datetime) -> None:
    """The person is verified with this wallet now: what stood on the one it replaces is taken back, for good."""
    if case.replaces is None:
        return
    old = await locked_case(session, case.replaces)
    if old is None or old.subject_id not in await store.subjects_of_person(session, case.subject_id):
        return
    if old.status != CaseStatus.APPROVED or old.person_ruling is not None:
        return
    old.status, old.person_ruling, old.updated_at = rules.move(old.status, CaseStatus.REVOKED), WALLET_CHANGED, at
    old.reasons = [WALLET_CHANGED]
    detail = {"case": case.id}
    history.record(
        session,
        case_id=old.id,
        at=at,
        source=CaseStatus.APPROVED,
        target=old.status,
        cause=WALLET_CHANGED,
        detail=detail,
    )
    await take_back(session, old, at=at, cause=WALLET_CHANGED, detail=detail)


async def seal(
    session: AsyncSession,
    case: Case,
    outcome: str,
    *,
    provider_status: str,
    decided_at: datetime,
    read_at: datetime,
    keys: KeyRing,
) -> Decision:
    """A decision under the level's policy of now, with the MAC that only a daemon can make."""
    level = LEVELS.get(case.level)
    decision = Decision(
        id=new_id("dec"),
        tenant_id=case.tenant_id,
        case_id=case.id,
        outcome=outcome,
        provider_status=provider_status,
        decided_at=decided_at,
        read_at=read_at,
        policy=None if level is None else msgspec.json.encode(level.policy()).decode(),
    )
    decision.mac = keys.mac(DECISION_MAC, decision_message(case, decision))
    session.add(decision)
    await session.flush()
    return decision


async def take_back(
    session: AsyncSession,
    case: Case,
    *,
    at: datetime,
    cause: str,
    only: frozenset[ClaimStatus] | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:
    """Whatever claims the case backs, whatever state they are in; `only` those in some states."""
    own = await claims.of_case_locked(session, case.id)
    await succession.take_back(
        session,
        [claim for claim in own if only is None or claim.status in only],
        at=at,
        cause=cause,
        detail=dict(detail or {}),
    )


async def vetoed(session: AsyncSession, case_ids: Collection[str], keys: KeyRing) -> set[str]:
    """Those of these cases in which a person took something back, and no person lifted that since.

    A lift counts if a daemon sealed it: what the API may write to the history cannot stand for one.
    """
    taken = await claims.taken_by_person(session, case_ids)
    if taken:
        statement = sa.select(Case, Decision).join(Decision, Decision.case_id == Case.id)
        lifts = statement.where(among(Case.id, taken), Decision.outcome == LIFTED).order_by(Decision.id)
        for case, decision in await session.execute(lifts):
            if is_proved(case, decision, keys) and _moment(decision.id) > _moment(taken.get(case.id, "")):
                taken.pop(case.id, None)
    return set(taken)


def _moment(row_id: str) -> str:
    """Ids sort by time behind their prefix."""
    return row_id.partition("_")[2]
