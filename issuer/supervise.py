"""Starts programs, keeps them running, and leaves none behind.

    async def main() -> None:
        async with Supervisor(on_change=write_pids) as supervisor:
            await supervisor.start(Child(name="api", argv=[...], env={...}, ready=http_answers(url)))
            await supervisor.wait()

    asyncio.run(until_signalled(main()))

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches only the supervisor, which then
stops the children in order; on Linux the kernel kills a child whose supervisor is gone. Only what was started here is
ever signalled: a group is signalled while its leader is still unreaped, so its number cannot mean anything else yet.
Use it from the main thread: the kernel's tie is to the thread that started the child.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import urlsplit

from issuer.errors import ClaimwrightError

STOP_SECONDS = 8.0
READY_SECONDS = 30.0
BACK_OFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_SECONDS = 30.0  # a child that lived this long starts again at the first back-off
_POLL_SECONDS = 0.01
_PR_SET_PDEATHSIG = 1

Ready = Callable[[], Awaitable[bool]]


class ChildFailed(ClaimwrightError):
    """A child ended before it was ready, did not become ready in time, or ended and is not to be restarted."""

    code = "child-failed"

    def __init__(self, name: str, problem: str, log: Path | None) -> None:
        super().__init__(f"{name} {problem}" + (f"; see {log}" if log else ""))
        self.name, self.log = name, log


@dataclass(frozen=True, kw_only=True)
class Child:
    """`env` is the whole environment: nothing is inherited. `log` None passes the child's output through.

    `restart` False: its end is the end of the whole, which `Supervisor.wait` raises as `ChildFailed`. A child that
    ends before it was ready for the first time is not tried again either: what is wrong with it will not change.
    """

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    cwd: Path | None = None
    log: Path | None = None
    ready: Ready | None = None
    restart: bool = True


@dataclass
class _Running:
    child: Child
    process: "subprocess.Popen[bytes]"
    started: float
    failures: int = 0
    ready: bool = False
    task: "asyncio.Task[None] | None" = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """`on_change` gets `{name: pid}` after every start and restart."""

    def __init__(self, *, on_change: Callable[[dict[str, int]], None] | None = None) -> None:
        self._on_change = on_change
        self._running: dict[str, _Running] = {}
        self._stopping = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pids(self) -> dict[str, int]:
        return {name: running.process.pid for name, running in self._running.items()}

    async def start(self, child: Child, *, timeout_seconds: float = READY_SECONDS) -> int:
        """Start it and wait until it is ready. Answers its pid. Raises `ChildFailed`."""
        if self._stopping.is_set():
            raise ChildFailed(child.name, "was not started, all is being stopped", None)
        running = _Running(child, _spawn(child), time.monotonic())
        self._running[child.name] = running
        running.task = asyncio.create_task(self._watch(running))
        self._changed()
        deadline = time.monotonic() + timeout_seconds
        while child.ready is not None and not await child.ready():
            if running.ended.is_set():
                raise ChildFailed(child.name, f"ended with {_status(running.process)} before it was ready", child.log)
            if time.monotonic() > deadline:
                raise ChildFailed(child.name, f"was not ready within {timeout_seconds:g} s", child.log)
            await asyncio.sleep(_POLL_SECONDS)
        running.ready = True
        return running.process.pid

    async def wait(self) -> None:
        """Until `stop`, or until a child that must not end does: then `ChildFailed`."""
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """SIGTERM to all, SIGKILL to what is left after 8 s. Nothing that was started here outlives this call."""
        self._stopping.set()
        for running in reversed(self._running.values()):
            _signal(running.process, signal.SIGTERM)
        tasks = [running.task for running in self._running.values() if running.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            if late:
                for running in self._running.values():
                    _signal(running.process, signal.SIGKILL)
                await asyncio.wait(late, timeout=1.5)
        self._running.clear()
        if not self._failed.done():
            self._failed.set_result(None)
        elif not self._failed.cancelled():
            self._failed.exception()  # seen, whether or not anybody waits

    async def _watch(self, running: _Running) -> None:
        """Wait for the end of one child, again and again, and start it anew each time unless told otherwise."""
        while True:
            await _exited(running.process)
            _signal(running.process, signal.SIGKILL)  # whatever it started itself, while its number is still its own
            running.process.wait()
            if self._stopping.is_set():
                return
            if not (running.child.restart and running.ready):
                running.ended.set()
                self._fail(running, f"ended with {_status(running.process)}")
                return
            if time.monotonic() - running.started > STEADY_SECONDS:
                running.failures = 0
            pause = BACK_OFF_SECONDS[min(running.failures, len(BACK_OFF_SECONDS) - 1)]
            running.failures += 1
            await self._pause(pause)
            if self._stopping.is_set():
                return
            try:
                running.process, running.started = _spawn(running.child), time.monotonic()
            except ChildFailed as error:
                self._fail(running, str(error))
                return
            self._changed()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _fail(self, running: _Running, problem: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(ChildFailed(running.child.name, problem, running.child.log))

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self.pids)


async def until_signalled(main: Coroutine[None, None, None]) -> None:
    """Run `main` to its end, or until the first SIGTERM or SIGINT cancels it; its clean-up is not cancelled again."""
    loop, task, signals = asyncio.get_running_loop(), asyncio.ensure_future(main), (signal.SIGTERM, signal.SIGINT)
    signalled: list[signal.Signals] = []

    def once(number: signal.Signals) -> None:
        if not signalled:
            task.cancel()
        signalled.append(number)

    for number in signals:
        loop.add_signal_handler(number, once, number)
    try:
        await task
    except asyncio.CancelledError:
        if not signalled:
            raise
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def http_answers(url: str, *, status: int = 200) -> Ready:
    """Ready when a GET of `url` (http, loopback) is answered with `status`."""
    parts = urlsplit(url)
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()

    async def ready() -> bool:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
                try:
                    writer.write(request)
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return line.split(b" ")[1:2] == [str(status).encode()]

    return ready


def file_exists(path: Path) -> Ready:
    async def ready() -> bool:
        return os.path.exists(path)  # noqa: ASYNC240 - one stat of a local file

    return ready


def line_written(path: Path, part: str) -> Ready:
    """Ready when the file has a line that contains `part`."""

    def written() -> bool:
        return path.exists() and part in path.read_text(encoding="utf-8", errors="replace")

    async def ready() -> bool:
        return written()

    return ready


def _spawn(child: Child) -> "subprocess.Popen[bytes]":
    with contextlib.ExitStack() as stack:
        output: IO[bytes] | None = stack.enter_context(child.log.open("ab")) if child.log else None
        try:
            return subprocess.Popen(  # noqa: S603 - the argv is the caller's own, no shell
                [str(part) for part in child.argv],
                env=dict(child.env),
                cwd=child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )
        except OSError as error:
            raise ChildFailed(child.name, f"cannot be started: {error.strerror}", None) from error


def die_with(parent: int) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel sends SIGKILL when the parent is gone. None where the system has no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # found before the fork, after which little is allowed

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before the line above
            os._exit(1)

    return arrange


async def _exited(process: "subprocess.Popen[bytes]") -> None:
    """Until the process has ended, without reaping it."""
    if sys.platform != "linux":
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """To the child's whole group, and only while the child is unreaped, so that the number is still its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def _status(process: "subprocess.Popen[bytes]") -> str:
    code = process.returncode
    return f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
