"""Stand-ins that keep the promises of the protocols they stand for."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from issuer.errors import ProviderNotFound, ProviderRefused
from issuer.ids import new_id
from issuer.providers.protocol import Glance, Outcome, Provider, Reading, Session, StartCheck, Started


class FakeProvider(Provider):
    """A KYC provider in memory: idempotent by key, with failures before or after the work is done.

    `failures` are raised by the next calls instead of doing anything; `lost_answers` after the work is done.
    """

    def __init__(
        self,
        environment: str = "sandbox",
        *,
        name: str = "persona",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name = name
        self._environment = environment
        self._clock = clock
        self.checks: dict[str, Reading] = {}
        self.created: dict[str, datetime] = {}
        self.started: list[StartCheck] = []
        self.resumed: list[str] = []
        self.failures: deque[Exception] = deque()
        self.lost_answers: deque[Exception] = deque()
        self.closed = False
        self._by_key: dict[str, tuple[StartCheck, Started]] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def environment(self) -> str:
        return self._environment

    @property
    def clock_ahead(self) -> float | None:
        return None

    async def start(self, request: StartCheck) -> Started:
        self._fail()
        self.started.append(request)
        if request.idempotency_key in self._by_key:
            earlier, answer = self._by_key[request.idempotency_key]
            if (earlier.prefill, earlier.redirect_url) != (request.prefill, request.redirect_url):
                raise ProviderRefused("this key was used for something else", status=409)
            return answer
        check_ref = new_id("inq")
        now = self._clock()
        self.created[check_ref] = now
        self.checks[check_ref] = Reading(
            check_ref=check_ref,
            outcome=Outcome.CREATED,
            status="created",
            reference=request.reference,
            template=request.template,
            environment=self._environment,
            evidence_at=now,
            decided_at=None,
            redacted=False,
            read_at=now,
        )
        started = Started(check_ref=check_ref, session=self._session(check_ref))
        self._by_key[request.idempotency_key] = (request, started)
        if self.lost_answers:
            raise self.lost_answers.popleft()
        return started

    async def check(self) -> None:
        self._fail()

    async def find(self, reference: str, template: str, created_since: datetime) -> list[Reading]:
        self._fail()
        found = [
            reading
            for ref, reading in self.checks.items()
            if reading.reference == reference and reading.template == template and self.created[ref] >= created_since
        ]
        return sorted(found, key=lambda reading: self.created[reading.check_ref], reverse=True)

    async def fetch(self, check_ref: str) -> Reading:
        self._fail()
        return self._known(check_ref)

    async def glance(self, check_refs: Sequence[str]) -> Mapping[str, Glance]:
        self._fail()
        known = {ref: self.checks[ref] for ref in check_refs if ref in self.checks}
        return {ref: Glance(outcome=one.outcome, changed_at=one.evidence_at) for ref, one in known.items()}

    async def checks_of(self, group_ref: str) -> list[str]:
        """The fake knows one kind of group: everything of one reference."""
        self._fail()
        return [ref for ref, reading in self.checks.items() if reading.reference == group_ref]

    async def resume(self, check_ref: str) -> Session:
        self._fail()
        self._known(check_ref)
        self.resumed.append(check_ref)
        return self._session(check_ref)

    async def one_time_link(self, check_ref: str) -> Session:
        self._fail()
        self._known(check_ref)
        return Session(token=None, url="https://kyc.invalid/verify?code=1", expires_at=self._clock())

    async def expire(self, check_ref: str) -> None:
        self._become(check_ref, Outcome.EXPIRED)

    async def approve(self, check_ref: str, comment: str | None = None) -> None:
        self._become(check_ref, Outcome.APPROVED)

    async def decline(self, check_ref: str, comment: str | None = None) -> None:
        self._become(check_ref, Outcome.DECLINED)

    async def redact(self, check_ref: str) -> None:
        self._known(check_ref)
        del self.checks[check_ref]

    async def aclose(self) -> None:
        self.closed = True

    def _become(self, check_ref: str, outcome: Outcome) -> None:
        self._fail()
        known = self._known(check_ref)
        now = self._clock()
        self.checks[check_ref] = Reading(
            check_ref=check_ref,
            outcome=outcome,
            status=outcome.value,
            reference=known.reference,
            template=known.template,
            environment=known.environment,
            evidence_at=now,
            decided_at=now if outcome in (Outcome.APPROVED, Outcome.DECLINED) else None,
            redacted=False,
            read_at=now,
        )

    def _session(self, check_ref: str) -> Session:
        token = new_id("tok")
        return Session(
            token=token,
            url=f"https://kyc.invalid/verify?inquiry-id={check_ref}&session-token={token}",
            expires_at=self._clock() + timedelta(hours=1),
        )

    def _known(self, check_ref: str) -> Reading:
        if check_ref not in self.checks:
            raise ProviderNotFound("no such check", status=404)
        return self.checks[check_ref]

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.popleft()
