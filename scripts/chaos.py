"""`scripts/chaos`: a long random run of real daemons among failures, then the oracle.

The seed decides what is done and in which order; when it lands depends on the machine, so a seed repeats a kind of run
and not each of its moments.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from issuer import crashpoint
from issuer.cases import people
from issuer.cases.tables import Case
from issuer.chain import rules
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from issuer.errors import ClaimwrightError, StoreBusy
from issuer.providers.protocol import Outcome
from issuer.queue.port import INBOX
from scripts.anvil import start_anvil
from tests.daemons import Daemon
from tests.integration.engine.conftest import CHAIN_ID, ETHER, GWEI, Engine, Keys, daemon_environment, deploy_on, rpc
from tests.oracle import Oracle
from tests.persona_http import PersonaHttp
from tests.rpc_proxy import READS, SENDS, Fault, RpcProxy
from tests.stores import fresh_store

DEPTH = 3  # blocks until a transaction is final; every reorg is shorter
BLOCK_SECONDS = 1.0
WAVE = 8  # claims of one step, so that the next are made ready while others are sent
QUIET_SECONDS = 240.0  # how long all may take to settle once nothing fails any more
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


async def chaos(args: argparse.Namespace, store_url: str, folder: Path) -> dict[str, object]:
    keys = Keys()
    db = Database(store_url)
    with start_anvil(block_time=BLOCK_SECONDS) as anvil:
        deployment = await deploy_on(anvil.url, keys, folder / "deployment.json")
        await rpc(anvil.url, "anvil_setBalance", keys.sender.address, hex(10_000 * ETHER))
        await rpc(anvil.url, "anvil_mine", hex(2 * DEPTH))
        engine = Engine(db, anvil.url, deployment, keys, rules.profile(CHAIN_ID, depth=DEPTH))
        oracle = Oracle(db, anvil.url, deployment, since=(await engine.gateway.head()).number)
        async with RpcProxy(anvil.url, seed=args.seed) as wire, PersonaHttp(engine.persona.readings) as persona:
            wire.replacement_rule = True
            env = daemon_environment(engine, store_url, persona.url, folder) | {
                "CLAIMWRIGHT_RPC_URL": wire.url,
                "CLAIMWRIGHT_DEPTH": str(DEPTH),
                "CLAIMWRIGHT_SILENT_SECONDS": "3",
            }
            daemons = [Daemon(env, folder / f"daemon-{number + 1}.log", wave=WAVE) for number in range(args.replicas)]
            world = Chaos(engine, wire, persona, daemons, args.seed)
            try:
                for daemon in daemons:
                    daemon.start()
                await world.run(args.minutes * 60)
                say(f"quiet now; {len(world.cases)} cases, waiting until all is settled")
                await world.calm()
                settled_in = await until_settled(oracle, world, QUIET_SECONDS)
                exits = [await daemon.stop() for daemon in daemons]
                problems = await oracle.problems()
            finally:
                for daemon in daemons:
                    await daemon.kill()
                counts = await rows(engine)
                await engine.aclose()
                await db.aclose()
    problems += [f"a daemon ended with exit code {code}" for code in exits if code != 0]
    return {
        "ok": not problems,
        "seed": args.seed,
        "store": args.store,
        "replicas": args.replicas,
        "minutes": args.minutes,
        "settled_in_seconds": settled_in,
        "takeover_seconds": sorted(round(each, 1) for each in world.takeovers),
        "acts": dict(world.done.most_common()),
        "crash_points": dict(sorted(world.ends.items())),
        "faults": dict(wire.done.most_common()),
        **counts,
        "problems": problems,
    }


async def until_settled(oracle: Oracle, world: Chaos, seconds: float) -> float | None:
    """How long it took, in seconds; None: it did not settle."""
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        if not await world.behind() and not await oracle.unsettled():
            return round(time.monotonic() - started, 1)
        await asyncio.sleep(0.5)
    return None


async def rows(engine: Engine) -> dict[str, object]:
    claims = Counter(str(claim.status) for claim in await engine.rows(Claim))
    return {
        "cases": len(await engine.rows(Case)),
        "claims": dict(sorted(claims.items())),
        "transactions": len(await engine.rows(Transaction)),
        "attempts": len(await engine.rows(Attempt)),
    }


def say(text: str) -> None:
    print(f"chaos: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Daemons among failures, then the oracle.")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long things fail (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of what is done; a new one if not given")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--replicas", type=int, help="daemons; 1 on SQLite, 3 on PostgreSQL")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    parser.add_argument("--matrix", action="store_true", help="only kill at every crash point, on both stores")
    args = parser.parse_args()
    if args.matrix:
        return matrix()
    args.seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    args.replicas = args.replicas or (1 if args.store == "sqlite" else 3)
    if args.store == "sqlite" and args.replicas != 1:
        parser.error("SQLite takes one daemon; use --store postgresql for more")
    say(f"seed {args.seed}, {args.minutes:g} minutes, {args.store}, {args.replicas} daemon(s)")
    with fresh_store(args.store) as url, tempfile.TemporaryDirectory(prefix="claimwright-chaos-") as folder:
        verdict = asyncio.run(chaos(args, url, Path(folder)))
        if not verdict["ok"]:
            keep(Path(folder))
    show(verdict, as_json=args.json)
    return 0 if verdict["ok"] else 1


def matrix() -> int:
    test = "tests/integration/engine/test_crash_matrix.py"
    return subprocess.call([sys.executable, "-m", "pytest", "-m", "matrix or not matrix", test, "--durations=10"])


def keep(folder: Path) -> None:
    kept = Path(".claimwright") / "chaos"
    kept.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        (kept / log.name).write_bytes(log.read_bytes())
    say(f"the daemons' logs are in {kept}")


def show(verdict: dict[str, object], *, as_json: bool) -> None:
    for name, value in verdict.items():
        if name != "problems":
            say(f"{name}: {value}")
    for problem in verdict["problems"]:  # type: ignore[attr-defined]
        say(f"PROBLEM {problem}")
    say("ok" if verdict["ok"] else "FAILED")
    if as_json:
        print(json.dumps(verdict))


if __name__ == "__main__":
    sys.exit(main())
