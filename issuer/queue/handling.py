"""How a job is run, whichever store it came from: bounded, one at a time per name, with a back-off."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from issuer import metrics
from issuer.queue.port import Handler

log = structlog.get_logger(__name__)

RETRIES = 5
FIRST_DELAY = 0.2
LONGEST_DELAY = 30.0
GRACE = 10.0  # seconds that running handlers get to finish once they were asked to stop

Name = tuple[str, str]


def backoff(attempts: int) -> float | None:
    """Seconds to wait after attempt number `attempts` (from 0) failed; None when it was the last."""
    return min(FIRST_DELAY * 2**attempts, LONGEST_DELAY) if attempts < RETRIES else None


class Handling:
    """Runs the handlers of one process, at most `concurrency` at the same time.

    A job whose (topic, key) is running waits for that run to end, because the handler may have looked into the tables
    before the job was added; all jobs that wait for the same name share one run.
    """

    def __init__(self, handlers: Mapping[str, Handler], concurrency: int, stop: asyncio.Event) -> None:
        self._handlers = handlers
        self._slots = asyncio.Semaphore(concurrency)
        self._stop = stop
        self._waiting: dict[Name, asyncio.Future[None]] = {}
        self._running: dict[Name, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, topic: str, key: str, attempts: int) -> float | None:
        """None: the job is done with. A number: run it again after so many seconds.

        Raises `CancelledError` if the job was not run, or not to its end, because the process stops: it must be kept.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await self._run(topic, key, attempts)
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Cut short every job that is now inside `run`."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, topic: str, key: str, attempts: int) -> float | None:
        name = (topic, key)
        if name in self._waiting:
            await asyncio.shield(self._waiting[name])
            return None
        mine = self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            if name in self._running:
                await asyncio.wait({self._running[name]})
            async with self._slots:
                if self._stop.is_set():
                    raise asyncio.CancelledError
                self._running[name] = self._waiting.pop(name)
                delay = await self._attempt(topic, key, attempts)
            mine.set_result(None)
            return delay
        finally:
            mine.cancel()  # unless it has its result
            for names in (self._waiting, self._running):
                if names.get(name) is mine:
                    del names[name]

    async def _attempt(self, topic: str, key: str, attempts: int) -> float | None:
        try:
            with metrics.JOB_SECONDS.labels(topic).time():
                await self._handlers[topic](key)
        except Exception as error:  # the one place where a job's failure ends
            delay = backoff(attempts) if getattr(error, "transient", False) else None
            if delay is None:
                log.error("job_dropped", job=topic, job_key=key, attempt=attempts + 1, exc_info=True)
            else:
                log.warning("job_again", job=topic, job_key=key, attempt=attempts + 1, reason=type(error).__name__)
            metrics.JOB_RESULTS.labels(topic, "given_up" if delay is None else "again").inc()
            return delay
        metrics.JOB_RESULTS.labels(topic, "done").inc()
        return None
