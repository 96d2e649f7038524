"""Restrict, hold, and erase: the steps behind `claimwright subject` and `claimwright retention`.

They run with the rights of whoever owns the database, because neither the API's role nor the daemon's may rewrite
history or remove rows.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases import people
from issuer.cases import store as cases_store
from issuer.cases.tables import Subject
from issuer.claims.rules import ClaimStatus
from issuer.db import Database
from issuer.errors import ProviderError, ProviderNotFound, ProviderRefused, ProviderUnavailable
from issuer.providers.protocol import Provider
from issuer.queue.port import LANE, Queue
from issuer.subjects import rules, store
from issuer.subjects.rules import Erasure, Periods

log = structlog.get_logger(__name__)

ERASURE = "erasure"
_TAKEN_BACK = frozenset(
    {ClaimStatus.QUEUED, ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.CONFIRMED, ClaimStatus.FAILED}
)


async def restrict(session: AsyncSession, subject: Subject, queue: Queue, *, actor: str, at: datetime) -> int:
    """From now on nothing is opened or issued for the person; every claim is taken back. How many claims those are."""
    taken = 0
    for subject_id in await cases_store.subjects_of_person(session, subject.id):
        row = await store.locked(session, subject_id)
        if row.erased_at is None:
            row.restricted_at = row.restricted_at or at
            taken += await take_back_all(session, row, queue, reason=ERASURE, actor=actor, at=at)
    return taken


async def take_back_all(
    session: AsyncSession, subject: Subject, queue: Queue, *, reason: str, actor: str, at: datetime
) -> int:
    """A person's revocation of everything that a subject has, on all wallets and chains. How many claims it were."""
    claims = [claim for claim in await store.claims_of(session, subject.id) if claim.status in _TAKEN_BACK]
    for claim in claims:
        await people.revoke_claim(session, claim_id=claim.id, reason=reason, actor=actor, at=at)
    for case in await store.cases_of(session, subject.id):
        await people.close_case(session, case.id, actor=actor, at=at)
    await session.flush()
    await queue.enqueue(session, LANE, sorted({str(claim.chain_id) for claim in claims}))
    return len(claims)


async def outlook(session: AsyncSession, subject: Subject, periods: Periods, now: datetime) -> Erasure:
    """When this subject can be erased, and what that waits for."""
    cases, claims = await store.ends(session, subject.id)
    ended = rules.ended_at(cases, claims, now) if cases else subject.restricted_at or subject.created_at
    return rules.erasure(ended, held=subject.held_at is not None, periods=periods, now=now)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the retention job did, or would do."""

    erased: int
    put_off: int
    dropped: Mapping[str, int]


class Retention:
    """`providers` are asked to redact what they keep; those that do not offer it keep it, which is said in the log."""

    def __init__(
        self, db: Database, providers: Mapping[tuple[str, str], Provider], periods: Periods, *, now: datetime
    ) -> None:
        self._db = db
        self._providers = providers
        self._periods = periods
        self._now = now

    async def preview(self) -> Done:
        """Changes nothing."""
        erased, after = 0, ""
        async with self._db.read() as session:
            while ids := await self._due(session, after):
                erased, after = erased + len(ids), ids[-1]
            dropped = await store.old_logs(session, self._now - self._periods.logs)
        return Done(erased=erased, put_off=0, dropped=dropped)

    async def run(self) -> Done:
        """Each subject in a transaction of its own; one that cannot be erased now is put off and holds up no other."""
        async with self._db.write() as session:
            dropped = await store.drop_logs(session, self._now - self._periods.logs)
        erased = put_off = 0
        after = ""
        while True:
            async with self._db.read() as session:
                ids = await self._due(session, after)
            if not ids:
                return Done(erased=erased, put_off=put_off, dropped=dropped)
            for subject_id in ids:
                done = await self._erase(subject_id)
                erased, put_off = erased + done, put_off + (not done)
            after = ids[-1]

    async def erase(self, subject_id: str) -> bool:
        """One subject, if it is due."""
        return await self._erase(subject_id)

    async def _due(self, session: AsyncSession, after: str) -> list[str]:
        return await store.due(session, ended_before=self._now - self._periods.decisions, limit=100, after=after)

    async def _erase(self, subject_id: str) -> bool:
        try:
            await self._redact(subject_id)
        except ProviderUnavailable as error:
            log.warning("erasure_put_off", reason=error.code)
            return False
        async with self._db.write() as session:
            subject = await store.locked(session, subject_id)
            outlook_ = await outlook(session, subject, self._periods, self._now)
            claim_ids = [claim.id for claim in await store.claims_of(session, subject_id)]
            waits_for = outlook_.waits_for or ("chain" if await store.unsettled(session, claim_ids) else None)
            if waits_for is not None or subject.erased_at is not None:
                log.warning("erasure_put_off", reason=waits_for or "erased")
                return False
            await store.erase(session, subject, self._now)
        return True

    async def _redact(self, subject_id: str) -> None:
        """The provider first: once our ids are gone nobody could name the record any more."""
        async with self._db.read() as session:
            cases = await store.cases_of(session, subject_id)
        for case in cases:
            provider = self._providers.get((case.provider, case.environment))
            if case.check_ref is None or case.redacted_at is not None or provider is None:
                continue
            try:
                await provider.redact(case.check_ref)
            except ProviderNotFound:
                continue
            except ProviderRefused as error:
                log.warning("provider_keeps_its_record", provider=case.provider, error_code=error.code)
            except ProviderUnavailable:
                raise
            except ProviderError as error:
                raise ProviderUnavailable(f"the provider did not redact: {error.code}") from error
