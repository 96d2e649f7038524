"""Open a case: make the row, then the check at the provider, then tie the two. Never two checks for one case.

The row comes first, so that whatever happens at the provider there is something to come back to. The provider's
idempotency key is the case id and the number of the try. After an answer that leaves the outcome open, or when the
provider may have forgotten the key, the next try first looks for a check that an earlier one left behind.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import msgspec
import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.cases import challenges, rules, store
from issuer.cases.challenges import Proof
from issuer.cases.levels import LEVELS
from issuer.cases.rules import OPEN, CaseStatus
from issuer.cases.tables import Case, CaseRequest, Subject
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import (
    AttemptsSpent,
    BudgetSpent,
    Conflict,
    IdempotencyMismatch,
    IllegalMove,
    InvalidInput,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubjectRestricted,
    WalletsSpent,
)
from issuer.ids import new_id
from issuer.inbox.store import wake_unknown
from issuer.providers.protocol import Outcome, Provider, Session, StartCheck
from issuer.queue.port import Queue

log = structlog.get_logger(__name__)

KEY_LIFE = timedelta(minutes=45)  # Persona keeps a key for an hour at least; past that a repeat could open a second
CLOCK_SLACK = timedelta(minutes=2)

RESUMABLE = OPEN | {CaseStatus.EXPIRED}
_ENTERABLE = frozenset({Outcome.CREATED, Outcome.STARTED, Outcome.EXPIRED})


class NewCase(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request. `prefill` goes to the provider and is kept nowhere."""

    tenant_id: str
    level: str
    wallet: str
    identity: str | None = None
    chain_ids: tuple[int, ...]
    provider: str
    environment: str
    template: str
    reference: str | None = None
    tag: str | None = None
    redirect_url: str | None = None
    prefill: Mapping[str, object] | None = None
    proof: Proof | None = None
    notice: str | None = None
    replaces: str | None = None

    def __repr__(self) -> str:
        return f"NewCase(level={self.level!r})"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An Idempotency-Key as one API key used it. `hash` is keyed, since a body may hold guessable words."""

    key_id: str
    idempotency_key: str
    hash: str


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The case, which is kept in any case; the way in, if there is one; what the provider did wrong, if it did."""

    case: Case
    session: Session | None = None
    failure: ProviderError | None = None


class _Taken(Exception):
    """Another request with the same key was first."""


class Opener:
    """`silent_seconds`: when the daemon reads a case that nothing was heard of. `clock` gives the host's time."""

    def __init__(
        self,
        db: Database,
        queue: Queue,
        providers: Mapping[tuple[str, str], Provider],
        *,
        silent_seconds: float = 600.0,
        checks_per_day: int | None = None,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._silent = timedelta(seconds=silent_seconds)
        self._checks_per_day = checks_per_day
        self._db = db
        self._queue = queue
        self._providers = providers
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self, new: NewCase, request: Request | None = None) -> Opened:
        """Make a case and its check, or find the case that the same request made before and give a way in again.

        Raises `BudgetSpent`, `IdempotencyMismatch`, and `WalletNotProved` for a proof that does not hold.
        """
        try:
            case = await self._insert(new, request)
        except _Taken:
            case = await self._insert(new, request)  # which now finds the winner's
        return await self._enter(case.id, case.tenant_id, new.prefill, resuming=False)

    async def resume(self, case_id: str, tenant_id: str, *, link: bool = False) -> Opened:
        """A new way into an open or expired case; opens the check that an earlier failure left unmade.

        `link`: one that can be mailed, where the provider makes such: it opens once and carries no session token.
        Raises `NotFound`, and `IllegalMove` for a case that is decided or over.
        """
        async with self._db.read() as session:
            case = await store.get(session, case_id, tenant_id)
        if case.status not in RESUMABLE:
            raise IllegalMove("case", case.status, CaseStatus.STARTED)
        # The first request may have carried a prefill that is not kept, so the same key may stand for other words.
        return await self._enter(case_id, tenant_id, None, resuming=True, link=link)

    async def expire(self, case_id: str, tenant_id: str) -> Case:
        """Ask the provider to close the check; the case moves when the provider says so. Raises `ProviderError`s."""
        async with self._db.read() as session:
            case = await store.get(session, case_id, tenant_id)
        if case.status not in OPEN:
            raise IllegalMove("case", case.status, CaseStatus.EXPIRED)
        if case.check_ref is None:
            raise Conflict("the case has no check yet; resume it first")
        await self._provider(case).expire(case.check_ref)
        return case

    async def cancel(self, case_id: str, tenant_id: str) -> Case:
        """The case is over, whatever the provider still says; its check is closed if the provider can be reached.

        Raises `NotFound`, and `IllegalMove` for a case that is decided or over.
        """
        now = self._clock()
        async with self._db.write() as session:
            await store.get(session, case_id, tenant_id)
            case = await store.locked(session, case_id)
            source = case.status
            case.status = rules.move(CaseStatus(source), CaseStatus.CANCELLED)
            case.updated_at = now
            history.record(session, case_id=case.id, at=now, source=source, target=case.status, cause="request")
        if case.check_ref is not None:
            try:
                await self._provider(case).expire(case.check_ref)
            except ProviderError as error:
                log.warning("cancelled_check_left_open", case_id=case.id, error_code=error.code)
        return case

    async def _insert(self, new: NewCase, request: Request | None) -> Case:
        now = self._clock()
        async with self._db.write() as session:
            if request is not None:
                earlier = await store.request_of(session, request.key_id, request.idempotency_key)
                if earlier is not None:
                    if not hmac.compare_digest(earlier.request_hash, request.hash):
                        raise IdempotencyMismatch("this Idempotency-Key was used for another request")
                    return await store.get(session, earlier.case_id, new.tenant_id)
            subject_id = await store.subject_of(session, new.tenant_id, new.wallet, now)
            await self._admit(session, subject_id, new)
            await self._spend(session, new, now)
            case = Case(
                id=new_id("case"),
                tenant_id=new.tenant_id,
                subject_id=subject_id,
                level=new.level,
                wallet=new.wallet,
                identity=new.identity,
                chain_ids=list(new.chain_ids),
                reference=new.reference,
                tag=new.tag,
                redirect_url=new.redirect_url,
                notice=new.notice,
                replaces=new.replaces,
                proof_message=None if new.proof is None else new.proof.message,
                proof_signature=None if new.proof is None else new.proof.signature,
                provider=new.provider,
                environment=new.environment,
                template=new.template,
                status=CaseStatus.CREATED,
                start_attempt=0,
                reasons=[],
                next_check_at=now + self._silent,
                created_at=now,
                updated_at=now,
            )
            if new.proof is not None:
                await challenges.redeem(
                    session,
                    new.proof,
                    tenant_id=new.tenant_id,
                    case_id=case.id,
                    wallet=new.wallet,
                    level=new.level,
                    chain_ids=new.chain_ids,
                    at=now,
                )
            session.add(case)
            await session.flush()
            history.record(session, case_id=case.id, at=now, source=None, target=CaseStatus.CREATED, cause="request")
            if request is not None and not await store.claim_request(
                session,
                CaseRequest(
                    tenant_id=new.tenant_id,
                    key_id=request.key_id,
                    idempotency_key=request.idempotency_key,
                    request_hash=request.hash,
                    case_id=case.id,
                    created_at=now,
                ),
            ):
                raise _Taken
        return case

    async def _admit(self, session: AsyncSession, subject_id: str, new: NewCase) -> None:
        """Raises `SubjectRestricted`, `AttemptsSpent`, `WalletsSpent`; `InvalidInput` for a case it cannot replace."""
        subject = await session.get(Subject, subject_id)
        assert subject is not None  # just found or made
        if subject.restricted_at is not None:
            raise SubjectRestricted("what is kept about the owner of this wallet is being erased")
        level = LEVELS.get(new.level)
        if level is not None and level.attempts is not None:
            used = await store.attempts(session, subject_id, new.level, subject.reset_at)
            if used >= level.attempts:
                raise AttemptsSpent(
                    f"{used} of {level.attempts} attempts at level {new.level} ended without an approval"
                )
        replaced = None if new.replaces is None else await self._replaced(session, subject_id, new)
        if level is not None and level.wallets_per_person is not None:
            others = await store.wallets_approved(session, new.tenant_id, subject_id, new.level) - {
                new.wallet,
                replaced,
            }
            if len(others) >= level.wallets_per_person:
                raise WalletsSpent(f"the person is verified at level {new.level} with as many wallets as it allows")

    async def _replaced(self, session: AsyncSession, subject_id: str, new: NewCase) -> str:
        """The wallet of the case that this one is to replace."""
        old = await session.get(Case, new.replaces)
        if old is None or old.subject_id not in await store.subjects_of_person(session, subject_id):
            raise InvalidInput("replaces", "must be a case of the same person; link the two wallets first")
        if old.wallet == new.wallet or old.status != CaseStatus.APPROVED or old.level != new.level:
            raise InvalidInput("replaces", "must be an approved case at the same level on another wallet")
        return old.wallet

    async def _spend(self, session: AsyncSession, new: NewCase, now: datetime) -> None:
        """A check costs money, so a case counts against the day's budget before it is there. Raises `BudgetSpent`."""
        if self._checks_per_day is None:
            return
        if not await store.spend_check(session, new.provider, new.environment, now, self._checks_per_day):
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            raise BudgetSpent(
                f"the {self._checks_per_day} checks of today are used up; the next can be opened after midnight UTC",
                retry_after=(midnight - now).total_seconds(),
            )

    async def _enter(
        self,
        case_id: str,
        tenant_id: str,
        prefill: Mapping[str, object] | None,
        *,
        resuming: bool,
        link: bool = False,
    ) -> Opened:
        """One caller at a time for each case; between processes the provider's idempotency key does the same."""
        lock = self._locks.setdefault(case_id, asyncio.Lock())
        waited = lock.locked()
        async with lock:
            async with self._db.read() as session:
                case = await store.get(session, case_id, tenant_id)
            try:
                if case.check_ref is not None:
                    return Opened(case=case, session=await self._session_of(case, resuming=resuming, link=link))
                if waited:  # whoever was before us has failed just now; a queue of us would only fail for longer
                    raise ProviderUnavailable("another request for this case has just failed")
                return await self._start(case, prefill, look=resuming)
            except ProviderError as failure:
                return Opened(case=case, failure=failure)

    async def _session_of(self, case: Case, *, resuming: bool, link: bool) -> Session | None:
        """None for a case that nobody needs to enter any more, which a repeated request may find and a resume not."""
        if case.status not in RESUMABLE or case.check_ref is None:
            return None
        try:
            provider = self._provider(case)
            return await (provider.one_time_link if link else provider.resume)(case.check_ref)
        except ProviderRefused:
            if resuming:
                raise
            return None

    async def _start(self, case: Case, prefill: Mapping[str, object] | None, *, look: bool) -> Opened:
        provider = self._provider(case)
        if look or case.start_attempt > 0 or self._clock() - case.created_at > KEY_LIFE:
            left_behind = await self._left_behind(provider, case)
            if left_behind is not None:
                check_ref, outcome = left_behind
                case = await self._tie(case, check_ref)
                return Opened(case=case, session=await provider.resume(check_ref) if outcome in _ENTERABLE else None)
        try:
            started = await provider.start(
                StartCheck(
                    reference=case.subject_id,
                    template=case.template,
                    idempotency_key=f"{case.id}-{case.start_attempt}",
                    redirect_url=case.redirect_url,
                    prefill=prefill,
                )
            )
        except ProviderUnavailable as error:
            if not error.same_key:
                await self._next_key(case)
            raise
        except ProviderRefused:
            await self._next_key(case)  # the provider would repeat its refusal under the same key
            raise
        return Opened(case=await self._tie(case, started.check_ref), session=started.session)

    async def _left_behind(self, provider: Provider, case: Case) -> tuple[str, Outcome] | None:
        """The newest check of this subject that belongs to no case: one of ours whose answer was lost."""
        since = case.created_at - CLOCK_SLACK
        found = await provider.find(case.subject_id, case.template, since)
        async with self._db.read() as session:
            taken = await store.checks_in_use(
                session, case.provider, case.environment, [reading.check_ref for reading in found]
            )
        free = [reading for reading in found if reading.check_ref not in taken and not reading.redacted]
        return (free[0].check_ref, free[0].outcome) if free else None

    async def _tie(self, case: Case, check_ref: str) -> Case:
        """Write the check onto its case, and wake the events that came before this was known."""
        now = self._clock()
        try:
            async with self._db.write() as session:
                row = await store.locked(session, case.id)
                if row.check_ref is None:
                    row.check_ref, row.updated_at, row.next_check_at = check_ref, now, now + self._silent
                    await session.flush()
                await wake_unknown(session, row.provider, row.environment, check_ref, now, self._queue)
                return row
        except IntegrityError:  # another case of this subject, looking at the same moment, took it for a lost one
            await self._next_key(case)
            raise ProviderUnavailable("the check went to another case of this wallet", same_key=False) from None

    async def _next_key(self, case: Case) -> None:
        async with self._db.write() as session:
            await store.count_start(session, case)

    def _provider(self, case: Case) -> Provider:
        found = self._providers.get((case.provider, case.environment))
        if found is None:
            raise ProviderRefused(f"no {case.provider} {case.environment} is configured")
        return found
