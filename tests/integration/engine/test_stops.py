"""The emergency stop on a real chain and both stores: nothing is issued, and what takes back goes on."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from issuer.cases.tables import Case
from issuer.chain.signer import Signature
from issuer.claims.rules import ClaimStatus
from issuer.errors import Changed, Conflict, NotFound
from issuer.providers.protocol import Outcome
from issuer.stops import store as stops
from issuer.stops.tables import Stop
from tests.daemons import Daemon
from tests.integration.engine.conftest import CHAIN_ID, Engine, daemon_environment
from tests.persona_http import PersonaHttp
from tests.waiting import until


async def stop(engine: Engine, chain_id: int | None = None) -> Stop:
    async with engine.db.write() as session:
        return await stops.stop(session, chain_id=chain_id, reason="a key leaked", actor="test", at=datetime.now(UTC))


async def lift(engine: Engine, row: Stop) -> None:
    async with engine.db.write() as session:
        await stops.lift(session, row.id, reason="over", actor="test", at=datetime.now(UTC))


async def test_while_issuing_is_stopped_approvals_wait_and_revocations_pass(engine: Engine) -> None:
    first = await engine.open_case()
    await engine.ring(first, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(first.wallet)

    standing = await stop(engine)
    second = await engine.open_case()
    await engine.ring(second, Outcome.APPROVED)
    await engine.ring(first, Outcome.DECLINED)
    for _ in range(3):
        await engine.pump()
        await engine.watcher.look()
    (revoked,), (waiting,) = await engine.claims_of(first), await engine.claims_of(second)
    assert (revoked.status, waiting.status) == (ClaimStatus.REVOKED, ClaimStatus.QUEUED)
    assert not await engine.is_verified(first.wallet)

    await lift(engine, standing)
    await engine.settle()
    assert await engine.is_verified(second.wallet)
    (issued,) = await engine.claims_of(second)
    assert issued.signer == engine.keys.claim_signer.address


async def test_a_stop_of_another_chain_stops_nothing_here_and_two_must_both_be_lifted(engine: Engine) -> None:
    await stop(engine, chain_id=1)
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(case.wallet)

    everywhere, here = await stop(engine), await stop(engine, chain_id=CHAIN_ID)
    other = await engine.open_case()
    await engine.ring(other, Outcome.APPROVED)
    await lift(engine, everywhere)
    await engine.pump()
    (claim,) = await engine.claims_of(other)
    assert claim.status == ClaimStatus.QUEUED
    await lift(engine, here)
    await engine.settle()
    assert await engine.is_verified(other.wallet)


async def test_a_stop_between_signing_and_commit_keeps_the_signature_from_being_used(engine: Engine) -> None:
    """The signer is asked, the stop comes, and the transaction that would commit the claim refuses."""
    before = await engine.sent()
    signer = engine.keys.claim_signer
    made: list[Stop] = []

    class Slow:
        address = signer.address

        async def sign_digest(self, digest: bytes, message: bytes) -> Signature:
            if not made:
                made.append(await stop(engine))
            return await signer.sign_digest(digest, message)

    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    engine.claims._issues._signing._signer = Slow()  # type: ignore[assignment]
    with pytest.raises(Changed, match="issuing was stopped"):
        await engine.pump()
    await engine.pump()
    (claim,) = await engine.claims_of(case)
    assert (claim.status, claim.signature, await engine.sent()) == (ClaimStatus.QUEUED, None, before)
    await lift(engine, made[0])
    await engine.settle()
    assert await engine.is_verified(case.wallet)


async def test_nothing_is_issued_once_a_stop_is_committed(engine: Engine) -> None:
    """An issue that looked before the stop either commits before it or is refused: a stop waits for it."""
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def issue() -> int:
        async with engine.db.write() as session:
            found = len(await stops.standing(session, [CHAIN_ID], committing=True))
            looked.set()
            await go_on.wait()
            return found

    issuing = asyncio.create_task(issue())
    await looked.wait()
    stopping = asyncio.create_task(stop(engine))
    done, _ = await asyncio.wait({stopping}, timeout=0.2)
    assert not done  # it is not committed while the issue may still be
    go_on.set()
    assert await issuing == 0
    await stopping
    async with engine.db.read() as session:
        assert len(await stops.standing(session, [CHAIN_ID])) == 1


async def test_who_stopped_and_lifted_what_stays(engine: Engine) -> None:
    row = await stop(engine)
    await lift(engine, row)
    with pytest.raises(Conflict, match="lifted before, by test"):
        await lift(engine, row)
    with pytest.raises(NotFound):
        await lift(engine, Stop(id="stop_none"))
    async with engine.db.read() as session:
        ((kept, lifted),) = await stops.newest(session, 10)
    assert lifted is not None
    assert (kept.reason, kept.actor, lifted.reason) == ("a key leaked", "test", "over")


async def test_a_running_daemon_obeys_a_stop_and_its_lift_without_a_restart(
    engine: Engine, store_url: str, tmp_path: Path
) -> None:
    """A process of its own: the revocation shows that it worked while the approval beside it went nowhere."""
    first, second = await engine.open_case(), await engine.open_case()
    await engine.ring(first, Outcome.APPROVED)
    await engine.settle()
    await engine.lane.release()

    async def status(case: Case) -> ClaimStatus:
        (claim,) = await engine.claims_of(case)
        return ClaimStatus(claim.status)

    async def becomes(case: Case, wanted: ClaimStatus) -> None:
        async with asyncio.timeout(60):
            while await status(case) != wanted:  # noqa: ASYNC110 - the daemon is another process
                await asyncio.sleep(0.02)

    async with PersonaHttp(engine.persona.readings) as persona:
        daemon = Daemon(daemon_environment(engine, store_url, persona.url, tmp_path), tmp_path / "daemon.log")
        daemon.start()
        try:
            await until(lambda: daemon.ready, 60)
            standing = await stop(engine)
            await engine.ring(second, Outcome.APPROVED)  # first in time, and of another identity
            await engine.ring(first, Outcome.DECLINED)
            await becomes(first, ClaimStatus.REVOKED)
            assert await status(second) == ClaimStatus.QUEUED
            await lift(engine, standing)
            await becomes(second, ClaimStatus.CONFIRMED)
        finally:
            await daemon.kill()
    assert await engine.is_verified(second.wallet)
