"""Real daemon processes, quickly: forked from a server that has imported everything, so that a start costs a fork.

A process made here is as real as `claimwright daemon`: its own memory, its own connections, killed by signals. It dies
with the test run that made it.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from issuer.chain import signer
from issuer.chain.abi import artifact
from issuer.chain.deployment import NAMES
from issuer.claims import batches, issue
from issuer.commands.daemon import serve
from issuer.settings import DaemonSettings, load
from issuer.supervise import die_with
from tests.waiting import until

for _name in (*NAMES, "Identity"):
    artifact(_name)  # parsed once, for every process that is forked
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.daemons", "issuer.queue.pgqueuer"])


class Daemon:
    """One daemon at a time, started anew after each end. `env` is its whole environment, `log` keeps what it says.

    `wave`: claims of one step, where a thousand would be too many to have several steps of; so few are then signed in a
    process beside it, as a thousand are.
    """

    def __init__(self, env: Mapping[str, str], log: Path, *, wave: int | None = None) -> None:
        self.env = dict(env)
        self.log = log
        self._wave = wave
        self._process: ForkServerProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def ready(self) -> bool:
        """Has this life of it said that it is ready?"""
        return '"daemon_ready"' in self.tail()[self._life :]

    def start(self, **more: str) -> None:
        """`more` is added to the environment for this life only."""
        assert not self.running
        self._life = len(self.tail())
        self._process = _FORKS.Process(
            target=_daemon, args=({**self.env, **more}, str(self.log), self._wave), daemon=True
        )
        self._process.start()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self, seconds: float = 30.0) -> int:
        """Its exit code, negative for the signal that ended it. Raises `TimeoutError` with the end of its log."""
        process = self._process  # this life of it, whoever starts another meanwhile
        assert process is not None
        try:
            await until(lambda: not process.is_alive(), seconds)
        except TimeoutError:
            raise TimeoutError(f"the daemon is still running\n{self.tail(3000)}") from None
        assert process.exitcode is not None
        return process.exitcode

    async def kill(self) -> None:
        if self.running:
            self.signal(signal.SIGKILL)
            await self.ended()

    async def stop(self) -> int:
        """As an operator would, once it is up: SIGTERM, and it ends by itself."""
        await until(lambda: self.ready or not self.running)
        if self.running:  # else its exit code says why it is not
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        return await self.ended()

    def tail(self, length: int = 0) -> str:
        """The last `length` characters of its log, 0 for all of it."""
        return self.log.read_text(encoding="utf-8")[-length:] if self.log.exists() else ""


def run_child(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own. Its exit code, negative for the signal that ended it."""
    process = _FORKS.Process(target=work, daemon=True)
    process.start()
    process.join(30)
    assert process.exitcode is not None
    return process.exitcode


def _daemon(env: dict[str, str], log: str, wave: int | None) -> None:
    if wave is not None:
        batches.WAVE = issue.WAVE = wave
        signer.MANY = 1
    tie = die_with(os.getppid())
    if tie is not None:
        tie()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, sys.stderr.fileno())
    serve(load(DaemonSettings, env))
