"""The pages of a private port: `/metrics`, `/health/live`, and `/health/ready` with all that is behind it.

Not ready (503) is a process that cannot work at all: no database, or one of another schema. Degraded (200) is one that
works while something around it needs a person: a lane that is held, a chain that shows no new block.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec

from issuer.db import Database
from issuer.errors import StoreBusy
from issuer.migrations import at_head
from issuer.monitoring import exposition, store
from issuer.monitoring.port import Page, Pages
from issuer.monitoring.sight import ChainSight
from issuer.monitoring.store import Facts, Waiting
from issuer.queue.port import Queue

OLD_HEAD_SECONDS = 120.0
LONG_WAIT_SECONDS = 120.0


class DaemonPages:
    """`sights`: one for each chain of this daemon. `out`: the providers that do not answer."""

    def __init__(
        self,
        db: Database,
        queue: Queue,
        sights: Sequence[ChainSight],
        *,
        checks_per_day: int | None = None,
        out: Callable[[], Collection[tuple[str, str]]] = tuple,
    ) -> None:
        self._out = out
        self._db = db
        self._queue = queue
        self._sights = sights
        self._checks_per_day = checks_per_day
        self._chain_ids = [sight.chain_id for sight in sights]

    def pages(self) -> Pages:
        return {"/metrics": self.metrics, "/health/live": live, "/health/ready": self.ready}

    async def metrics(self) -> Page:
        try:
            facts = await self._facts()
            gauges = [exposition.up(True), *exposition.gauges(facts), *exposition.budget(facts, self._checks_per_day)]
        except (StoreBusy, OSError):
            gauges = [exposition.up(False)]
        gauges += exposition.chains(self._sights)
        return Page(exposition.text(gauges), exposition.CONTENT_TYPE)

    async def ready(self) -> Page:
        problem, migrated = await schema_problem(self._db)
        if problem is not None:
            return detail("not-ready", [problem], migrated=migrated)
        facts = await self._facts()
        seen = [sight.seen for sight in self._sights]
        problems = [*_stopped(facts), *_held(facts), *_waits(facts), *_findings(facts), *_unwell(self._sights)]
        problems += providers_out(self._out())
        problems += [f"chain {one.chain_id}: no new block for {one.age:.0f} s" for one in seen if one and _old(one.age)]
        return detail(
            "degraded" if problems else "ok",
            problems,
            migrated=True,
            inbox=facts.inbox,
            jobs=facts.jobs,
            held=facts.held,
            claims=[
                {"chain_id": chain_id, "state": state, "count": waiting.count, "oldest": waiting.oldest}
                for (chain_id, state), waiting in facts.claims.items()
            ],
            stops=facts.stops,
            lanes=facts.lanes,
            chains=[one for one in seen if one is not None],
            endpoints={sight.chain_id: sight.endpoints for sight in self._sights},
        )

    async def _facts(self) -> Facts:
        async with self._db.read() as session:
            return await store.facts(session, self._queue, self._chain_ids)


async def live() -> Page:
    """The event loop that does the work answers."""
    return Page(b'{"status":"ok"}')


async def schema_problem(db: Database) -> tuple[str | None, bool | None]:
    """What keeps the store from being used, if anything, and whether it is migrated, if that could be asked."""
    try:
        migrated = await at_head(db)
    except (StoreBusy, OSError):
        return "the database does not answer", None
    return (None if migrated else "the database is not at this version's schema; run `claimwright migrate`"), migrated


def detail(status: str, problems: Sequence[str], **more: object) -> Page:
    body = {"status": status, "problems": list(problems), **more}
    return Page(msgspec.json.encode(body), status=503 if status == "not-ready" else 200)


def waits_long(what: str, waiting: Waiting) -> list[str]:
    if waiting.oldest < LONG_WAIT_SECONDS:
        return []
    return [f"{what}: {waiting.count} waiting, the oldest for {waiting.oldest:.0f} s"]


def providers_out(keys: Collection[tuple[str, str]]) -> list[str]:
    return [f"{name} {environment} does not answer and is left alone for a while" for name, environment in sorted(keys)]


def _stopped(facts: Facts) -> list[str]:
    return [f"issuing is stopped: {one.reason}; `claimwright stop lift {one.id}` lifts it" for one in facts.stops]


def _held(facts: Facts) -> list[str]:
    return [f"lane {lane.id} is held: {lane.held_because}" for lane in facts.lanes if lane.held is not None]


def _findings(facts: Facts) -> list[str]:
    return [
        f"chain {chain_id}: {count} finding(s) {code}" for (chain_id, code), count in facts.findings.items() if count
    ]


def _unwell(sights: Sequence[ChainSight]) -> list[str]:
    return [
        f"chain {sight.chain_id}: node {node.alias} is not well: {node.error or 'behind'}"
        for sight in sights
        for node in sight.endpoints
        if not node.healthy
    ]


def _waits(facts: Facts) -> list[str]:
    problems = waits_long("provider events", facts.inbox)
    for (chain_id, state), waiting in facts.claims.items():
        if state in store.MOVING:
            problems += waits_long(f"chain {chain_id}, {state} claims", waiting)
    return problems


def _old(age: float) -> bool:
    return age > OLD_HEAD_SECONDS
