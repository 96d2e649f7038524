"""What can happen while `scripts/chaos` runs: to daemons, the chain, the wire, the database and the provider."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from issuer import crashpoint
from issuer.cases import people
from issuer.cases.tables import Case
from issuer.chain.tables import Lane
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.errors import ClaimwrightError, StoreBusy
from issuer.providers.protocol import Outcome
from issuer.queue.port import INBOX
from tests.daemons import Daemon
from tests.integration.engine.conftest import GWEI, Engine, rpc
from tests.persona_http import PersonaHttp
from tests.rpc_proxy import READS, SENDS, Fault, RpcProxy

CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5"""
STORMS: tuple[tuple[Fault, ...], ...] = (
    (Fault("delay", 0.5),),
    (Fault("lost_answer", 0.5, SENDS),),
    (Fault("http_429", 0.5), Fault("http_503", 0.2)),
    (Fault("garbage", 0.3), Fault("short_batch", 0.3), Fault("wrong_id", 0.1)),
    (Fault("refused", 0.4),),
    (Fault("silent", 0.1),),
    (Fault("error", 0.3, READS),),
    (Fault("dropped", 0.5, SENDS),),
    (Fault("withheld", 0.5, SENDS),),
)
DEPTH = 3  # blocks until a transaction is final; every reorg is shorter


class Chaos:
    """What can happen. Each act is one method; `run` picks among them by weight."""

    def __init__(self, engine: Engine, wire: RpcProxy, persona: PersonaHttp, daemons: list[Daemon], seed: int) -> None:
        self.engine = engine
        self.wire = wire
        self.persona = persona
        self.daemons = daemons
        self.chance = random.Random(seed)  # noqa: S311 - chance that can be repeated is what is wanted
        self.cases: list[Case] = []
        self.done: Counter[str] = Counter()
        self.takeovers: list[float] = []
        self.ends: Counter[str] = Counter()
        self._background: set[asyncio.Task[None]] = set()
        self.acts: dict[Callable[[], Awaitable[None]], int] = {
            self.submit: 40,
            self.submit_many: 4,
            self.submit_same_wallet: 5,
            self.duplicate: 10,
            self.reverse: 10,
            self.approve_again: 5,
            self.revoke_by_person: 5,
            self.lose_webhook: 3,
            self.crash: 5,
            self.crash_at_a_point: 5,
            self.pause: 3,
            self.reorg: 4,
            self.drop: 4,
            self.spike: 3,
            self.storm: 5,
            self.node_away: 2,
            self.provider_away: 2,
            self.cut_database: 4 if not engine.db.is_sqlite else 0,
        }

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        acts, weights = list(self.acts), list(self.acts.values())
        while time.monotonic() < end:
            (act,) = self.chance.choices(acts, weights)
            try:
                await act()
                self.done[act.__name__] += 1
            except StoreBusy:
                self.done["store_busy"] += 1  # what we cut was our own connection
            await asyncio.sleep(self.chance.expovariate(1 / 0.4))

    async def calm(self) -> None:
        """Nothing fails any more, and every daemon runs."""
        self.persona.down = False
        self.wire.calm()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.wire.release()
        await rpc(self.engine.url, "anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        for daemon in self.daemons:
            if daemon.running:
                daemon.signal(signal.SIGCONT)
            else:
                daemon.start()
        for case in await self.behind():
            await self._knock(case)  # the provider delivers again what got lost

    async def behind(self) -> list[Case]:
        """Cases that do not stand yet where the provider's last word and no person's puts them."""
        said = self.engine.persona.readings
        return [
            case
            for case in await self.engine.rows(Case)
            if case.person_ruling is None and said[str(case.check_ref)].outcome.value != case.status
        ]

    # people and the provider

    async def submit(self) -> None:
        self.cases.append(await self.engine.open_case())
        await self._decide(self.cases[-1], Outcome.APPROVED)

    async def submit_many(self) -> None:
        for _ in range(self.chance.randint(20, 60)):
            await self.submit()

    async def submit_same_wallet(self) -> None:
        if self.cases:
            older = self.chance.choice(self.cases)
            self.cases.append(await self.engine.open_case(older.wallet))
            await self._decide(self.cases[-1], Outcome.APPROVED)

    async def duplicate(self) -> None:
        if self.cases:
            case = self.chance.choice(self.cases[-20:])
            for _ in range(self.chance.randint(1, 5)):
                await self._knock(case)

    async def reverse(self) -> None:
        if self.cases:
            await self._decide(self.chance.choice(self.cases[-30:]), Outcome.DECLINED)

    async def approve_again(self) -> None:
        if self.cases:
            await self._decide(self.chance.choice(self.cases[-30:]), Outcome.APPROVED)

    async def lose_webhook(self) -> None:
        """The provider decides and says nothing; the sweep finds out."""
        case = await self.engine.open_case()
        self.cases.append(case)
        self.engine.persona.says(case, Outcome.APPROVED)
        async with self.engine.db.write() as session:
            await session.execute(sa.update(Case).where(Case.id == case.id).values(next_check_at=datetime.now(UTC)))

    async def revoke_by_person(self) -> None:
        alive = (ClaimStatus.QUEUED, ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.CONFIRMED)
        async with self.engine.db.read() as session:
            ids = list(await session.scalars(sa.select(Claim.id).where(Claim.status.in_(alive)).order_by(Claim.id)))
        if ids:
            with contextlib.suppress(ClaimwrightError):  # it moved meanwhile
                async with self.engine.db.write() as session:
                    await people.revoke_claim(
                        session, claim_id=self.chance.choice(ids), reason="chaos", actor="chaos", at=datetime.now(UTC)
                    )

    async def _decide(self, case: Case, outcome: Outcome) -> None:
        self.engine.persona.says(case, outcome)
        await self._knock(case)

    async def _knock(self, case: Case) -> None:
        event_id = await self.engine.receive(case)
        async with self.engine.db.write() as session:
            await self.engine.queue.enqueue(session, INBOX, [event_id])

    # processes

    async def crash(self) -> None:
        await self._end(self._victim(), None)

    async def crash_at_a_point(self) -> None:
        await self._end(self._victim(), self.chance.choice(sorted(crashpoint.POINTS)))

    async def pause(self) -> None:
        daemon = self._victim()
        if daemon.running:
            daemon.signal(signal.SIGSTOP)
            self._later(self.chance.uniform(1, 9), lambda: self._continue(daemon))

    def _victim(self) -> Daemon:
        return self.chance.choice(self.daemons)

    async def _end(self, daemon: Daemon, point: str | None) -> None:
        """Kill it now and start it again; with `point`, to die there once more first."""
        if daemon.running and daemon.ready:
            if not self.engine.db.is_sqlite and len(self.daemons) > 1:
                self._in_background(self._take_over(daemon.pid))
            await daemon.kill()
            self._later(self.chance.uniform(0, 3), lambda: self._start(daemon, point))

    async def _start(self, daemon: Daemon, point: str | None) -> None:
        if daemon.running:
            return
        daemon.start(**({"CLAIMWRIGHT_CRASH_AT": point} if point else {}))
        if point:
            try:
                await daemon.ended(10)
                self.ends[point] += 1
            except TimeoutError:
                pass
            finally:  # also when all is to calm down: it would die at its point later, with nobody to start it again
                await daemon.kill()
                daemon.start()

    async def _continue(self, daemon: Daemon) -> None:
        if daemon.running:
            daemon.signal(signal.SIGCONT)

    async def _take_over(self, dead: int) -> None:
        """How long a lane stays with an owner that was just killed."""
        started = time.monotonic()
        if await self._owner() != dead:
            return
        while time.monotonic() < started + 60:
            owner = await self._owner()
            if owner not in (dead, None):
                self.takeovers.append(time.monotonic() - started)
                return
            await asyncio.sleep(0.1)

    async def _owner(self) -> int | None:
        with contextlib.suppress(StoreBusy):
            async with self.engine.db.read() as session:
                owner = await session.scalar(sa.select(Lane.owner).limit(1))
            parts = (owner or "").split("-")
            return next((int(part) for part in reversed(parts[:-1]) if part.isdigit()), None)
        return None

    # the chain and the node

    async def reorg(self) -> None:
        with contextlib.suppress(AssertionError):  # a block was made in the middle of it
            await rpc(self.engine.url, "anvil_reorg", self.chance.randint(1, DEPTH - 1), [])

    async def drop(self) -> None:
        pool = await rpc(self.engine.url, "txpool_content")
        waiting = sorted(each["hash"] for group in pool["pending"].values() for each in group.values())  # type: ignore[index]
        if waiting:
            await rpc(self.engine.url, "anvil_dropTransaction", self.chance.choice(waiting))

    async def spike(self) -> None:
        await rpc(self.engine.url, "anvil_setNextBlockBaseFeePerGas", hex(self.chance.randint(1, 60) * GWEI))

    async def storm(self) -> None:
        self.wire.faults = list(self.chance.choice(STORMS))
        self._later(self.chance.uniform(1, 6), self._clear)

    async def node_away(self) -> None:
        self.wire.down = True
        self._later(self.chance.uniform(0.5, 4), self._node_back)

    async def provider_away(self) -> None:
        self.persona.down = True
        self._later(self.chance.uniform(0.5, 4), self._provider_back)

    async def cut_database(self) -> None:
        async with self.engine.db.write() as session:
            await session.execute(sa.text(CUT))

    async def _clear(self) -> None:
        self.wire.faults = []
        await self.wire.release()

    async def _node_back(self) -> None:
        self.wire.down = False

    async def _provider_back(self) -> None:
        self.persona.down = False

    def _later(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        async def wait_and_act() -> None:
            await asyncio.sleep(seconds)
            await act()

        self._in_background(wait_and_act())

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
