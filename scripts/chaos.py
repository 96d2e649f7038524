"""`scripts/chaos`: a long random run of real daemons among failures, then the oracle.

The seed decides what is done and in which order; when it lands depends on the machine, so a seed repeats a kind of run
and not each of its moments.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from issuer.cases.tables import Case
from issuer.chain import rules
from issuer.chain.tables import Attempt, Transaction
from issuer.claims.tables import Claim
from issuer.db import Database
from scripts.anvil import start_anvil
from scripts.chaos_acts import DEPTH, Chaos
from tests.daemons import Daemon
from tests.integration.engine.conftest import CHAIN_ID, ETHER, Engine, Keys, daemon_environment, deploy_on, rpc
from tests.oracle import Oracle
from tests.persona_http import PersonaHttp
from tests.rpc_proxy import RpcProxy
from tests.stores import fresh_store

BLOCK_SECONDS = 1.0
WAVE = 8  # claims of one step, so that the next are made ready while others are sent
QUIET_SECONDS = 240.0  # how long all may take to settle once nothing fails any more


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
