"""What the house asks of a queue. Two adapters, one contract test.

Jobs are names (`topic`, `key`), never data: a handler looks into the tables for what there is to do, so a job that is
lost, repeated or run by a process that was thought dead changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

INBOX = "inbox"  # key: inbox event id; read the provider and move the case
LANE = "lane"  # key: chain id; there is something to sign or send
RULING = "ruling"  # key: ruling id; a person's act on a case is ready

Handler = Callable[[str], Awaitable[None]]


class Queue(Protocol):
    async def enqueue(self, session: AsyncSession, topic: str, keys: Sequence[str]) -> None:
        """Add jobs in the caller's transaction: they exist exactly if it commits."""
        ...

    async def run(self, handlers: Mapping[str, Handler], stop: asyncio.Event) -> None:
        """Run jobs until `stop` is set, then finish those that are running (10 s at most) and return.

        A handler that raises a transient error runs again after a back-off (0.2 s doubling to 30 s, five times);
        any other error, and the sixth, is logged and the job dropped: the sweep finds the work again in the tables.
        Handlers of one process run at the same time, at most `concurrency` of them.
        """
        ...

    async def waiting(self, session: AsyncSession) -> Mapping[str, int]:
        """How many jobs of each topic are not done with, those that are running included."""
        ...

    async def aclose(self) -> None: ...
