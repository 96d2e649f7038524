"""A process beside this one in which signatures are made in large numbers.

An interpreter does one thing at a time, and a signature with its proof keeps it for a tenth of a millisecond: a wave of
a thousand would keep claims waiting that only need the store or a node. What runs there is `sign_many.py`.

    to it      the key (32 bytes) once; then the number of digests (4 bytes, big-endian) and 32 bytes for each
    from it    65 bytes for each: r, s and the y parity, proved

The key goes through a pipe and is in no argument or environment. The process ends when the pipe does, so it outlives
nobody, however its parent ends.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence

import structlog

DIGEST_BYTES, SIGNATURE_BYTES, COUNT_BYTES = 32, 65, 4
ANSWER_SECONDS = 10.0

log = structlog.get_logger(__name__)


class SigningProcess:
    """Started when it is first asked, and until it is ready it has no answer. One that failed is not started again."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._start: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._turn = asyncio.Lock()  # one question at a time, from however many lanes
        self._failed = False

    def __repr__(self) -> str:
        return "SigningProcess()"

    async def sign_all(self, digests: Sequence[bytes]) -> list[bytes] | None:
        """A signature of 65 bytes for each digest, in their order. None: they are to be signed without it."""
        async with self._turn:
            if self._failed:
                return None
            if self._start is None:
                self._start = asyncio.create_task(self._started())
            if not self._start.done():
                return None
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._answer(self._start.result(), digests)
            except (OSError, EOFError, TimeoutError) as error:
                log.warning("signing_process_failed", reason=type(error).__name__)
                await self.aclose()
                return None
            except BaseException:  # cancelled between question and answer: the next would read this one's
                await self.aclose()
                raise

    async def aclose(self) -> None:
        """End it, and wait until it has."""
        self._failed = True
        if self._start is None:
            return
        with contextlib.suppress(OSError):
            process = await self._start
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "issuer.chain.sign_many"), stdin=pipe, stdout=pipe, stderr=nothing, env={}
        )
        assert process.stdin is not None
        process.stdin.write(self._key)
        return process

    async def _answer(self, process: asyncio.subprocess.Process, digests: Sequence[bytes]) -> list[bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(len(digests).to_bytes(COUNT_BYTES, "big") + b"".join(digests))
        await process.stdin.drain()
        answer = await process.stdout.readexactly(len(digests) * SIGNATURE_BYTES)
        return [answer[place : place + SIGNATURE_BYTES] for place in range(0, len(answer), SIGNATURE_BYTES)]
