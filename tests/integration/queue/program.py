"""Another process that uses the queue: `program.py add URL TOPIC KEY…` or `program.py work URL FILE [--hang]`.

`work` writes each key it begins as a line of FILE; with `--hang` it then never ends that job.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from issuer.db import Database
from issuer.queue.embedded import EmbeddedQueue
from issuer.queue.port import Queue

HEARTBEAT = timedelta(seconds=1)


def queue_of(db: Database, *, concurrency: int = 4) -> Queue:
    """`open_queue`, but the dead are noticed after one second."""
    if db.is_sqlite:
        return EmbeddedQueue(db, concurrency=concurrency)
    from issuer.queue.pgqueuer import PgQueuerQueue

    return PgQueuerQueue(db, concurrency=concurrency, heartbeat=HEARTBEAT)


async def add(url: str, topic: str, keys: list[str]) -> None:
    db = Database(url)
    async with db.write() as session:
        await queue_of(db).enqueue(session, topic, keys)
    await db.aclose()


async def work(url: str, file: Path, *, hang: bool) -> None:
    async def handler(key: str) -> None:
        with file.open("a") as lines:
            lines.write(f"{key}\n")
        if hang:
            await asyncio.Event().wait()

    await queue_of(Database(url)).run({"inbox": handler, "lane": handler}, asyncio.Event())


if __name__ == "__main__":
    if sys.argv[1] == "add":
        asyncio.run(add(sys.argv[2], sys.argv[3], sys.argv[4:]))
    else:
        asyncio.run(work(sys.argv[2], Path(sys.argv[3]), hang="--hang" in sys.argv))
