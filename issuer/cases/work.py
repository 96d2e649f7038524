"""The daemon's step for cases: an event rings, the provider is asked, the case moves.

Each step is: look (a read), ask (provider and chain, no transaction open), then one short write that checks again.
A step may be repeated at any time by anybody: what is done already is found done.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import crashpoint
from issuer.cases import evidence, rules, sealing, sweep
from issuer.cases.rules import OPEN, CaseStatus
from issuer.cases.tables import Case
from issuer.claims import queueing
from issuer.claims import store as claims
from issuer.clock import now as clock_now
from issuer.db import Database
from issuer.errors import ClaimwrightError, ProviderError, ProviderNotFound, ProviderUnavailable
from issuer.inbox import store as inbox
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Glance, Outcome, Provider, Reading
from issuer.queue.port import INBOX, Queue
from issuer.secrets import KeyRing

log = structlog.get_logger(__name__)

# wallet > its Identity on each chain that answers, existing or predicted. A chain that is away is left out: the
# decision counts all the same, and the sweep queues that chain's claims later.
Identities = Callable[[str], Awaitable[Mapping[int, str]]]

ALARMING = frozenset(
    {"unknown_status", "other_check", "other_environment", "other_template", "other_reference", "unknown_level"}
)
LONGEST_WAIT = timedelta(minutes=10)


class CaseWorker:
    """`wake` is called after a commit that left something to sign. Times in seconds."""

    def __init__(
        self,
        db: Database,
        queue: Queue,
        providers: Mapping[tuple[str, str], Provider],
        *,
        decision_keys: KeyRing,
        issuance: queueing.Issuance,
        identities: Identities,
        wake: Callable[[], None],
        silent_seconds: float = 600.0,
        clock: Callable[[], datetime] = clock_now,
    ) -> None:
        self._db = db
        self._queue = queue
        self._providers = providers
        self._keys = decision_keys
        self._issuance = issuance
        self._identities = identities
        self._wake = wake
        self._silent = timedelta(seconds=silent_seconds)
        self._clock = clock

    async def handle_event(self, event_id: str) -> None:
        """Handle one inbox event to its end. Raises `ProviderUnavailable` (and stays unhandled) if waiting helps."""
        async with self._db.read() as session:
            event = await session.get(InboxEvent, event_id)
            if event is None or event.handled_at is not None:
                return None
            case = await _case_of(session, event)
            waiting = [] if case is None else await inbox.waiting_with(session, event)
        if not event.known or (event.check_ref is None and event.group_ref is None):
            return await self._settle(event_id, "not_followed")
        if event.check_ref is not None and case is None:
            return await self._settle(event_id, "unknown_check")
        case_id = None if case is None else case.id
        crashpoint.reached("event.taken")
        try:
            if case is not None:
                await self.read_again(case, cause="provider", event_ids=waiting)
            elif event.group_ref is not None:
                await self._read_group(event, event.group_ref)
        except ProviderNotFound:
            await self._settle(event_id, "provider_forgot", case_id=case_id)
        except ProviderError as error:
            await self._put_off(event_id, error)
            if isinstance(error, ProviderUnavailable):
                raise
            log.error("provider_refused_reading", event_id=event_id, case_id=case_id, error_code=error.code)
        return None

    async def _read_group(self, event: InboxEvent, group_ref: str) -> None:
        """Every case of ours in what an event is about is read again: a person's account, a business's case."""
        checks = await self._provider(event).checks_of(group_ref)
        async with self._db.read() as session:
            found = [await sweep.case_of_check(session, event.provider, event.environment, ref) for ref in checks]
        cases = [case for case in found if case is not None]
        for case in cases:
            await self.read_again(case, cause="provider")
        await self._settle(event.id, "group_read" if cases else "unknown_group", cases[0].id if cases else None)

    async def read_again(self, case: Case, *, cause: str, event_ids: Sequence[str] = ()) -> None:
        """Ask the provider about one case and apply the answer.

        `event_ids`: events that had come before we asked; what the provider says now answers all of them.
        """
        assert case.check_ref is not None  # found by it
        reading = await self._provider(case).fetch(case.check_ref)
        identities = await self._identities(case.wallet) if reading.outcome is Outcome.APPROVED else {}
        crashpoint.reached("decision.read")
        async with self._db.write() as session:
            await self._apply(session, case.id, reading, cause, event_ids, identities)
            crashpoint.reached("decision.before_commit")
        crashpoint.reached("decision.committed")
        self._wake()

    async def sweep(self, *, limit: int = 100, readings: int = 10, approvals: int = 3) -> None:
        """Rebuild forgotten work from the tables. The last two bound what one sweep reads of open and approved cases.

        Open cases that fell silent are looked at by the hundred first, and read only if something has changed.
        """
        now = self._clock()
        async with self._db.read() as session:
            forgotten = await sweep.forgotten_events(session, now=now, limit=limit)
            unclaimed = await sweep.approved_without_claims(session, now=now, limit=limit)
            silent = await sweep.silent_cases(session, OPEN, now=now, limit=limit)
            standing = await sweep.silent_cases(session, {CaseStatus.APPROVED}, now=now, limit=approvals)
        if forgotten:
            async with self._db.write() as session:
                await sweep.put_off(session, forgotten, now)
                await self._queue.enqueue(session, INBOX, forgotten)
        for case_id in unclaimed:
            await self._queue_missing_claims(case_id)
        for case in [*(await self._changed(silent))[:readings], *standing]:
            if case.id not in unclaimed:
                await self._read_silent(case)

    async def _apply(
        self,
        session: AsyncSession,
        case_id: str,
        reading: Reading,
        cause: str,
        event_ids: Sequence[str],
        identities: Mapping[int, str],
    ) -> None:
        now = self._clock()
        case = await evidence.locked_case(session, case_id)
        assert case is not None  # cases are never deleted
        verdict = await evidence.apply(
            session,
            case,
            reading,
            at=now,
            cause=cause,
            keys=self._keys,
            issuance=self._issuance,
            identities=identities,
        )
        evidence.expire_if_overdue(session, case, now)
        case.next_check_at = now + await self._wait(session, case)
        if verdict.outcome in ALARMING:
            log.warning("reading_not_applied", case_id=case_id, reason=verdict.outcome)
        if event_ids:
            await inbox.settle(session, event_ids, outcome=verdict.outcome, case_id=case_id, at=now)

    async def _wait(self, session: AsyncSession, case: Case) -> timedelta:
        """How long a case may stay silent. An approval is looked at rarely, unless it still lacks its claims."""
        if case.status != CaseStatus.APPROVED:
            return self._silent
        decision = (await claims.newest_decisions(session, [case.id])).get(case.id)
        lacks = decision is None or await queueing.missing_chains(session, case, decision, self._issuance)
        return timedelta(0) if lacks else self._silent * 24

    async def _queue_missing_claims(self, case_id: str) -> None:
        """Queue what an approval still lacks, on the chains that say where the claims would go."""
        async with self._db.read() as session:
            case = await session.get(Case, case_id)
        assert case is not None  # just selected
        identities = await self._identities(case.wallet)
        async with self._db.write() as session:
            case = await evidence.locked_case(session, case_id)
            assert case is not None
            now = self._clock()
            decision = (await claims.newest_decisions(session, [case_id])).get(case_id)
            proved = decision is not None and sealing.is_proved(case, decision, self._keys)
            policy = None if decision is None else sealing.policy_of(case, decision)
            if decision is None or policy is None or not case.backs_claims or not proved:
                case.next_check_at = now + self._silent
                return
            missing = await queueing.missing_chains(session, case, decision, self._issuance)
            there = {chain_id: identity for chain_id, identity in identities.items() if chain_id in missing}
            await queueing.queue_claims(session, case, decision, policy, self._issuance, there, at=now)
            lacks = await queueing.missing_chains(session, case, decision, self._issuance)
            soon = lacks - there.keys() or await queueing.is_soon_free(session, case, policy, there)
            case.next_check_at = now + (self._silent * 24 if not lacks else sweep.GRACE if soon else self._silent)
        self._wake()

    async def _read_silent(self, case: Case) -> None:
        try:
            await self.read_again(case, cause="sweep")
        except ClaimwrightError as error:
            log.warning("silent_case_not_read", case_id=case.id, error_code=error.code)
            async with self._db.write() as session:
                again = await evidence.locked_case(session, case.id)
                assert again is not None
                again.next_check_at = self._clock() + self._silent

    async def _changed(self, silent: Sequence[Case]) -> list[Case]:
        """Those whose check is worth reading. The others have said their word for now, and may have run out of time."""
        seen: dict[str, Glance] = {}  # by case: no provider's ids are told from another's
        by_provider: dict[tuple[str, str], list[Case]] = {}
        for case in silent:
            if case.check_ref is not None:
                by_provider.setdefault((case.provider, case.environment), []).append(case)
        for cases in by_provider.values():
            try:
                glances = await self._provider(cases[0]).glance([str(case.check_ref) for case in cases])
                seen |= {case.id: glances[ref] for case in cases if (ref := str(case.check_ref)) in glances}
            except ClaimwrightError as error:  # then each is read by itself, and says for itself what is wrong
                log.warning("silent_cases_not_seen", count=len(cases), error_code=error.code)
        worth = [
            case
            for case in silent
            if case.check_ref is not None
            and rules.is_worth_reading(CaseStatus(case.status), case.evidence_at, seen.get(case.id))
        ]
        rest = {case.id for case in silent} - {case.id for case in worth}
        if rest:
            async with self._db.write() as session:
                now = self._clock()
                for case in await evidence.locked_cases(session, rest):
                    if case.status in OPEN:  # else it moved meanwhile, and whoever moved it has said when to look again
                        evidence.expire_if_overdue(session, case, now)
                        case.next_check_at = now + self._silent
        return worth

    async def _settle(self, event_id: str, outcome: str, case_id: str | None = None) -> None:
        async with self._db.write() as session:
            event = await session.get(InboxEvent, event_id)
            if event is None or event.handled_at is not None:
                return
            event.handled_at, event.outcome, event.case_id = self._clock(), outcome, case_id
        if outcome == "unknown_check":
            await self._wake_if_known(event_id)

    async def _wake_if_known(self, event_id: str) -> None:
        """A case that learns its check wakes the events that wait for it, but cannot see one settled just then.

        So each side writes first and looks afterwards: at least one of them sees the other.
        """
        async with self._db.write() as session:
            event = await session.get(InboxEvent, event_id)
            if event is None or await _case_of(session, event) is None:
                return
            event.handled_at, event.outcome = None, None
            await self._queue.enqueue(session, INBOX, [event_id])

    async def _put_off(self, event_id: str, error: ProviderError) -> None:
        async with self._db.write() as session:
            event = await session.get(InboxEvent, event_id)
            if event is None or event.handled_at is not None:
                return
            event.attempts += 1
            event.outcome = error.code
            wait = min(LONGEST_WAIT, timedelta(seconds=2.0 ** min(event.attempts, 10)))
            event.next_try_at = self._clock() + wait

    def _provider(self, about: Case | InboxEvent) -> Provider:
        found = self._providers.get((about.provider, about.environment))
        if found is None:
            raise ProviderError(f"no {about.provider} {about.environment} is configured")
        return found


async def _case_of(session: AsyncSession, event: InboxEvent) -> Case | None:
    if event.check_ref is None:
        return None
    return await sweep.case_of_check(session, event.provider, event.environment, event.check_ref)
