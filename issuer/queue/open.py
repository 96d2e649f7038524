"""The queue that belongs to a store."""

from issuer.db import Database
from issuer.queue.embedded import EmbeddedQueue
from issuer.queue.port import Queue


def open_queue(db: Database, *, concurrency: int = 8) -> Queue:
    """`concurrency`: how many handlers run at the same time in this process."""
    if db.is_sqlite:
        return EmbeddedQueue(db, concurrency=concurrency)
    # Imported here: PgQueuer's import takes a good part of a second that a start on SQLite need not spend.
    from issuer.queue.pgqueuer import PgQueuerQueue

    return PgQueuerQueue(db, concurrency=concurrency)
