"""Signatures in large numbers are the same ones, and whatever becomes of the process that makes them, they are made."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psutil
import pytest

from issuer.chain import sign_many
from issuer.chain.signer import MANY, LocalSigner, Signature, checked_sign_all
from issuer.chain.signing_process import ANSWER_SECONDS, SIGNATURE_BYTES, SigningProcess
from issuer.errors import SignerFailed
from issuer.hashes import keccak

T = TypeVar("T")
KEY = bytes(range(1, 33))
MESSAGES = [f"what a key is to sign {number}".encode() for number in range(MANY + 10)]
DIGESTS = [keccak(message) for message in MESSAGES]
SIGNED = [LocalSigner(KEY).sign(digest) for digest in DIGESTS]
PATIENCE_SECONDS = 10.0


@asynccontextmanager
async def started(process: SigningProcess) -> AsyncIterator[psutil.Process]:
    """Until it answers; then the process itself."""
    before = set(psutil.Process().children())
    try:
        await answered(lambda: process.sign_all(DIGESTS[:1]))
        (child,) = set(psutil.Process().children()) - before
        yield child
    finally:
        await process.aclose()


async def answered(ask: Callable[[], Awaitable[list[T] | None]]) -> list[T]:
    """The first answer: there is none while the process starts."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await ask()) is None:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)
    return answer


async def test_many_signatures_are_the_same_ones_made_beside() -> None:
    signer = LocalSigner(KEY)
    try:
        assert await checked_sign_all(signer, MESSAGES) == SIGNED  # here, while the process starts
        assert await answered(lambda: signer.sign_beside(DIGESTS)) == SIGNED
        assert await checked_sign_all(signer, MESSAGES) == SIGNED
    finally:
        await signer.aclose()
    assert await signer.sign_beside(DIGESTS) is None
    assert await checked_sign_all(signer, MESSAGES) == SIGNED


async def test_a_few_are_signed_without_a_process() -> None:
    signer = LocalSigner(KEY)
    before = psutil.Process().children()
    assert await checked_sign_all(signer, MESSAGES[: MANY - 1]) == SIGNED[: MANY - 1]
    assert psutil.Process().children() == before


async def test_lanes_that_ask_at_once_get_their_own_answers() -> None:
    process = SigningProcess(KEY)
    async with started(process):
        answers = await asyncio.gather(*(process.sign_all(DIGESTS[start::3]) for start in range(3)))
    assert answers == [[made.compact for made in SIGNED[start::3]] for start in range(3)]


async def test_a_killed_process_is_done_without() -> None:
    signer = LocalSigner(KEY)
    async with started(signer._beside) as child:
        child.kill()
        assert await checked_sign_all(signer, MESSAGES) == SIGNED
        assert await signer.sign_beside(DIGESTS) is None


async def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    process = SigningProcess(KEY)
    async with started(process) as child:
        monkeypatch.setattr("issuer.chain.signing_process.ANSWER_SECONDS", 0.05)
        child.suspend()
        assert await process.sign_all(DIGESTS) is None
        assert not child.is_running()
    assert ANSWER_SECONDS <= 10.0  # a lane's wave waits no longer for it than for a signature elsewhere


async def test_an_answer_that_nobody_waited_for_is_nobody_elses() -> None:
    process = SigningProcess(KEY)
    async with started(process) as child:
        child.suspend()
        asked = asyncio.create_task(process.sign_all(DIGESTS[:2]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert asked.cancelled()
        with contextlib.suppress(psutil.NoSuchProcess):
            child.resume()  # if it is still there, its answer is
        assert await process.sign_all(DIGESTS[2:4]) is None
        assert not child.is_running()


async def test_the_key_is_in_no_argument_environment_or_text() -> None:
    process = SigningProcess(KEY)
    async with started(process) as child:
        told = " ".join(child.cmdline()) + repr(child.environ()) + repr(process)
    assert KEY.hex() not in told
    assert str(KEY) not in told
    assert not {name for name in os.environ if name.startswith(("CLAIMWRIGHT", "PERSONA", "DATABASE"))} & set(
        told.split()
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_outlives_nobody(end: signal.Signals) -> None:
    script = (
        "import asyncio, psutil\n"
        "from issuer.chain.signing_process import SigningProcess\n"
        "async def main():\n"
        "    process = SigningProcess(bytes([1]) * 32)\n"
        "    while await process.sign_all([bytes([2]) * 32]) is None:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(end)
        parent.wait(PATIENCE_SECONDS)
    psutil.wait_procs([child], timeout=PATIENCE_SECONDS)
    assert not child.is_running()


def test_what_is_asked_is_answered_in_order_until_the_end() -> None:
    asked = KEY + b"".join(
        len(several).to_bytes(4, "big") + b"".join(several) for several in (DIGESTS[:3], DIGESTS[3:4])
    )
    answers = io.BytesIO()
    sign_many.main(io.BytesIO(asked), answers)
    assert answers.getvalue() == b"".join(made.compact for made in SIGNED[:4])
    assert len(answers.getvalue()) == 4 * SIGNATURE_BYTES


def test_half_a_question_has_no_answer() -> None:
    answers = io.BytesIO()
    with pytest.raises(ValueError, match="32 bytes"):
        sign_many.main(io.BytesIO(KEY + b"\0\0\0\2" + DIGESTS[0] + DIGESTS[1][:31]), answers)
    assert answers.getvalue() == b""


def test_what_is_signed_there_is_proved_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalSigner, "sign", lambda signer, digest: Signature(1, 1, 0))
    answers = io.BytesIO()
    with pytest.raises(SignerFailed):
        sign_many.main(io.BytesIO(KEY + b"\0\0\0\1" + DIGESTS[0]), answers)
    assert answers.getvalue() == b""
