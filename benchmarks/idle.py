"""What a daemon takes of a core while nothing happens, over 30 s, with `--stored` confirmed claims in its store."""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks.ledger import Ledger, chain, cpu_seconds, daemon, resident_mb
from tests.stores import fresh_store

SETTLE_SECONDS, SECONDS = 10.0, 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stored", type=int, default=1000)


def main(args: argparse.Namespace) -> int:
    with fresh_store(args.store) as url, tempfile.TemporaryDirectory(prefix="claimwright-idle-") as folder:
        percent, memory = asyncio.run(_measure(url, Path(folder), args.stored))
    result = {"benchmark": "idle", "store": args.store, "stored": args.stored, "seconds": SECONDS}
    print(json.dumps(result | {"cpu_percent": percent, "rss_mb": memory}))
    return 0


async def _measure(database_url: str, folder: Path, stored: int) -> tuple[float, float]:
    async with chain(folder) as where:
        ledger = Ledger(database_url, where, folder)
        try:
            await ledger.fill(stored)
            with daemon(ledger, folder) as process:
                await asyncio.sleep(SETTLE_SECONDS)  # its start is not what is measured
                before = cpu_seconds(process)
                await asyncio.sleep(SECONDS)
                used = cpu_seconds(process) - before
                return round(100 * used / SECONDS, 2), round(resident_mb(process), 1)
        finally:
            await ledger.db.aclose()
