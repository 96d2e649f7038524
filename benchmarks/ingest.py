"""From a signed webhook to its 202, through the whole app, beside the least that any receiver could do.

Ours and the bare one take turns (A, B, A, B …), because a shared machine is not equally fast for long. A share is the
median over the pairs; latencies are the median of ours.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.servers import ROOT, granian
from tests.factories import WEBHOOK_SECRET, api_environment
from tests.stores import fresh_store

ROUNDS = 4
COUNTS = {1: 400, 50: 6000}
WARM_UP = 500


def main(args: argparse.Namespace) -> int:
    """Prints a line per number of callers, then the one for 50 callers again as the result."""
    with fresh_store(args.store) as url:
        environment = api_environment(url, CLAIMWRIGHT_LOG_LEVEL="error")
        with (
            granian("api.app:create_app", environment, probe="/health/ready") as ours,
            granian("benchmarks.bare:create_app", environment, probe="/") as bare,
        ):
            for name, (port, path) in _sides(ours, bare).items():
                _drive(port, path, 20, WARM_UP, f"evt_warm_{name}_")
            for callers in COUNTS:
                result = _compare(ours, bare, callers) | {"store": args.store}
                if not args.json:
                    print(json.dumps(result))
    print(json.dumps({"benchmark": "ingest"} | result))
    return 0


def _sides(ours: int, bare: int) -> dict[str, tuple[int, str]]:
    return {"bare": (bare, "/bare"), "ours": (ours, "/webhooks/persona")}


def _compare(ours: int, bare: int, callers: int) -> dict[str, Any]:
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    p50s, p99s = [], []
    for number in range(ROUNDS):
        for name, (port, path) in _sides(ours, bare).items():
            measured = _drive(port, path, callers, COUNTS[callers], f"evt_{name}_{callers}_{number}_")
            rates[name].append(COUNTS[callers] / measured["seconds"])
            if name == "ours":
                p50s.append(measured["p50_ms"])
                p99s.append(measured["p99_ms"])
    shares = [mine / other for mine, other in zip(rates["ours"], rates["bare"], strict=True)]
    return {
        "requests_per_second": round(statistics.median(rates["ours"])),
        "share_of_bare": round(statistics.median(shares), 3),
        "p50_ms": round(statistics.median(p50s), 2),
        "p99_ms": round(statistics.median(p99s), 2),
        "callers": callers,
    }


def _drive(port: int, path: str, callers: int, count: int, prefix: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", str(port), path, str(callers), str(count), prefix]
    done = subprocess.run([*command, WEBHOOK_SECRET], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    if measured["accepted"] != count:
        raise RuntimeError(f"{path}: only {measured['accepted']} of {count} deliveries were answered 202")
    return measured
