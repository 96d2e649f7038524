"""The daemon's step for rulings: prove both signatures, apply the act, tell the provider.

What the API wrote is not believed: the signatures are checked against operators whom only the owner of the database
can add, and an approval becomes a decision with a MAC like one that was read from a provider.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.access import operators
from issuer.cases import evidence, reasons, sealing
from issuer.cases import rules as case_rules
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.claims import queueing
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import ClaimwrightError, NotFound, ProviderError, ProviderUnavailable
from issuer.providers.protocol import Provider
from issuer.reviews import rules, store
from issuer.reviews.rules import PROPOSE, SECOND, Act, RulingStatus
from issuer.reviews.tables import Ruling
from issuer.secrets import KeyRing

log = structlog.get_logger(__name__)

APPLIED = "ruling"  # the cause of what an approval or a lift moves; a decline's is `history.PERSON`, which vetoes
DECLINED = "declined"
TOLD, NOT_TOLD = "told", "refused"

Identities = Callable[[str], Awaitable[Mapping[int, str]]]
ReadAgain = Callable[[Case], Awaitable[None]]


class ReviewWorker:
    """`read_again` asks the provider about a case whose ruling was lifted; `wake`: there may be work on a lane."""

    def __init__(
        self,
        db: Database,
        providers: Mapping[tuple[str, str], Provider],
        *,
        decision_keys: KeyRing,
        issuance: queueing.Issuance,
        identities: Identities,
        read_again: ReadAgain,
        wake: Callable[[], None],
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._providers = providers
        self._keys = decision_keys
        self._issuance = issuance
        self._identities = identities
        self._read_again = read_again
        self._wake = wake
        self._clock = clock

    async def handle(self, ruling_id: str) -> None:
        """Apply one ruling and tell its provider, as far as that is not done yet. Raises `ProviderUnavailable`."""
        async with self._db.read() as session:
            try:
                ruling, case = await self._look(session, ruling_id)
            except NotFound:
                return
        if ruling.status == RulingStatus.READY:
            identities = await self._identities(case.wallet) if ruling.act == Act.APPROVE else {}
            async with self._db.write() as session:
                applied = await self._apply(session, ruling_id, identities)
            self._wake()
            if applied and ruling.act == Act.LIFT:
                await self._ask_again(case)
        await self._tell(ruling_id)

    async def sweep(self, *, limit: int = 20) -> None:
        """Rulings whose job was lost, and those that a provider has still to be told of."""
        async with self._db.read() as session:
            forgotten = await store.to_do(session, limit=limit)
        for ruling_id in forgotten:
            try:
                await self.handle(ruling_id)
            except ClaimwrightError as error:
                log.warning("ruling_put_off", ruling_id=ruling_id, error_code=error.code)

    async def _look(self, session: AsyncSession, ruling_id: str) -> tuple[Ruling, Case]:
        ruling = await session.get(Ruling, ruling_id)
        case = None if ruling is None else await session.get(Case, ruling.case_id)
        if ruling is None or case is None:
            raise NotFound("no such ruling")
        return ruling, case

    async def _apply(self, session: AsyncSession, ruling_id: str, identities: Mapping[int, str]) -> bool:
        ruling = await store.locked(session, ruling_id)
        if ruling.status != RulingStatus.READY:
            return False
        case = await evidence.locked_case(session, ruling.case_id)
        assert case is not None  # a foreign key
        now = self._clock()
        why = await self._not_proved(session, ruling, case) or self._no_longer(ruling, case)
        if why is not None:
            store.move(ruling, RulingStatus.REFUSED, now)
            ruling.refusal = why
            log.error("ruling_refused", ruling_id=ruling.id, case_id=case.id, reason=why)
            return False
        store.move(ruling, RulingStatus.APPLIED, now)
        act = Act(ruling.act)
        if act is Act.APPROVE:
            await self._approve(session, ruling, case, identities, now)
        elif act is Act.DECLINE:
            await self._decline(session, ruling, case, now)
            if ruling.reason in reasons.ABOUT_THE_PERSON:
                for other in await evidence.locked_others(session, case):
                    if rules.refusal(act, CaseStatus(other.status), other.person_ruling, redacted=False) is None:
                        await self._decline(session, ruling, other, now)
        elif act is Act.LIFT:
            await self._lift(session, ruling, case, now)
        else:
            self._record(session, ruling, case, now)
        case.flag = None
        case.updated_at = now
        return True

    async def _not_proved(self, session: AsyncSession, ruling: Ruling, case: Case) -> str | None:
        """Did the people who are named sign exactly this, and are they enough of them?"""
        if store.needs_two(Act(ruling.act), case) and ruling.seconded_by is None:
            return "needs_second"
        halves = [(PROPOSE, ruling.proposed_by, ruling.proposed_at, ruling.proposal_signature)]
        if ruling.seconded_by is not None:
            if ruling.seconded_by == ruling.proposed_by or not ruling.seconded_at or not ruling.second_signature:
                return "needs_second"
            halves.append((SECOND, ruling.seconded_by, ruling.seconded_at, ruling.second_signature))
        signers = await store.signers_of(session, ruling)
        for role, operator_id, at, signature in halves:
            operator = signers.get(operator_id)
            if operator is None or (operator.revoked_at is not None and operator.revoked_at <= at):
                return "no_such_operator"
            message = store.terms_of(ruling).message(role, operator_id, at)
            if not operators.is_signed(operator.public_key, message, signature):
                return "not_signed"
        return None

    def _no_longer(self, ruling: Ruling, case: Case) -> str | None:
        """Newer evidence came while the ruling was on its way: somebody has to look at the case again."""
        if ruling.seen != store.seen(case):
            return "case_moved"
        return store.refusal(Act(ruling.act), case)

    async def _approve(
        self, session: AsyncSession, ruling: Ruling, case: Case, identities: Mapping[int, str], now: datetime
    ) -> None:
        self._move(session, case, CaseStatus.APPROVED, cause=APPLIED, ruling=ruling, at=now)
        case.evidence_at = max(filter(None, (case.evidence_at, now)))  # what the provider said before is older now
        decision = await self._seal(session, case, CaseStatus.APPROVED, ruling, now)
        policy = sealing.policy_of(case, decision)
        if policy is not None:
            await queueing.queue_claims(session, case, decision, policy, self._issuance, identities, at=now)
        await evidence.end_replaced(session, case, at=now)
        case.next_check_at = now  # the sweep queues what a chain that was away still lacks

    async def _decline(self, session: AsyncSession, ruling: Ruling, case: Case, now: datetime) -> None:
        self._move(session, case, CaseStatus.DECLINED, cause=history.PERSON, ruling=ruling, at=now)
        case.person_ruling = DECLINED
        case.reasons = ["declined_by_person", ruling.reason]
        await self._seal(session, case, CaseStatus.DECLINED, ruling, now)
        await evidence.take_back(session, case, at=now, cause=history.PERSON, detail={"ruling": ruling.id})

    async def _lift(self, session: AsyncSession, ruling: Ruling, case: Case, now: datetime) -> None:
        case.person_ruling = None
        case.evidence_at = None  # the provider's word counts again, whenever it was said
        await self._seal(session, case, evidence.LIFTED, ruling, now)
        self._record(session, ruling, case, now)

    def _record(self, session: AsyncSession, ruling: Ruling, case: Case, now: datetime) -> None:
        """A ruling that leaves the status as it is."""
        history.record(
            session,
            case_id=case.id,
            at=now,
            source=case.status,
            target=case.status,
            cause=APPLIED,
            detail={"ruling": ruling.id, "act": ruling.act},
        )

    def _move(
        self, session: AsyncSession, case: Case, target: CaseStatus, *, cause: str, ruling: Ruling, at: datetime
    ) -> None:
        source = case.status
        case.status = case_rules.move(CaseStatus(case.status), target)
        case.reasons = case_rules.reasons(case.status)
        detail = {"ruling": ruling.id}
        history.record(session, case_id=case.id, at=at, source=source, target=target, cause=cause, detail=detail)

    async def _seal(self, session: AsyncSession, case: Case, outcome: str, ruling: Ruling, now: datetime) -> Decision:
        return await evidence.seal(
            session, case, outcome, provider_status=f"ruling:{ruling.id}", decided_at=now, read_at=now, keys=self._keys
        )

    async def _ask_again(self, case: Case) -> None:
        """A provider that is away is asked by the next event, or by a person."""
        if case.check_ref is None:
            return
        try:
            await self._read_again(case)
        except ClaimwrightError as error:
            log.warning("lifted_case_not_read", case_id=case.id, error_code=error.code)

    async def _tell(self, ruling_id: str) -> None:
        """The provider shall show what was decided here, where it lets itself be told."""
        async with self._db.read() as session:
            ruling, case = await self._look(session, ruling_id)
        provider = self._providers.get((case.provider, case.environment))
        if ruling.status != RulingStatus.APPLIED or ruling.told is not None or ruling.act not in store.UNTOLD:
            return
        told = TOLD
        try:
            if provider is None or case.check_ref is None:
                told = NOT_TOLD
            elif ruling.act == Act.APPROVE:
                await provider.approve(case.check_ref)
            else:
                await provider.decline(case.check_ref)
        except ProviderUnavailable:
            raise
        except ProviderError as error:
            told = NOT_TOLD
            log.info("provider_not_told", ruling_id=ruling_id, case_id=case.id, error_code=error.code)
        async with self._db.write() as session:
            (await store.locked(session, ruling_id)).told = told
