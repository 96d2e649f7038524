"""F16: a key that is kept elsewhere is down, slow, another's or mad.

Nothing of it is used, the lane says so by name, what takes back goes on, and the first good signature ends it.
"""

from collections.abc import AsyncIterator, Callable

import coincurve
import pytest
import sqlalchemy as sa

from issuer.chain.rules import Hold
from issuer.chain.tables import Attempt, Lane
from issuer.chain.web3signer import Web3Signer
from issuer.claims.rules import ClaimStatus
from issuer.errors import LaneHeld
from issuer.providers.protocol import Outcome
from issuer.secrets import Secret
from tests.integration.engine.conftest import Engine
from tests.web3signer import Web3SignerServer, high_s

Fault = Callable[[Web3SignerServer], None]


def another_key(service: Web3SignerServer) -> None:
    service.signs_with = coincurve.PrivateKey(bytes([7]) * 32)


def with_high_s(service: Web3SignerServer) -> None:
    service.answer = high_s


def silent(service: Web3SignerServer) -> None:
    service.silent = True


def garbage(service: Web3SignerServer) -> None:
    service.answer = lambda _: (200, b"<html>")


def broken(service: Web3SignerServer) -> None:
    service.answer = lambda _: (500, b"")


def well(service: Web3SignerServer) -> None:
    service.signs_with, service.answer, service.silent = None, Web3SignerServer([]).answer, False


@pytest.fixture
async def service(engine: Engine) -> AsyncIterator[Web3SignerServer]:
    """The engine's sender and claim signer, both behind one service."""
    sender, claim_signer = engine.keys.sender, engine.keys.claim_signer
    async with Web3SignerServer([sender._key.secret, claim_signer._key.secret]) as server:
        remote = [Web3Signer(Secret(server.url), one.address, timeout_seconds=0.3) for one in (sender, claim_signer)]
        engine.keys.sender, engine.keys.claim_signer = remote  # type: ignore[assignment]
        engine.restart(engine.profile)
        yield server
        engine.keys.sender, engine.keys.claim_signer = sender, claim_signer
        for one in remote:
            await one.aclose()


async def lane_of(engine: Engine) -> Lane:
    async with engine.db.read() as session:
        lane = await session.scalar(sa.select(Lane))
    assert lane is not None
    return lane


async def attempts(engine: Engine) -> int:
    async with engine.db.read() as session:
        return int(await session.scalar(sa.select(sa.func.count()).select_from(Attempt)) or 0)


@pytest.mark.failure("F16")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", [another_key, with_high_s, silent, garbage, broken])
async def test_no_transaction_leaves_while_the_senders_key_fails(
    engine: Engine, service: Web3SignerServer, fault: Fault
) -> None:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    before = await engine.sent()
    assert await engine.lane.ensure()
    nonce = (await lane_of(engine)).next_nonce
    fault(service)
    for _ in range(2):
        with pytest.raises(LaneHeld, match=r"the signer of 0x\w{40} "):
            await engine.pump()
    lane = await lane_of(engine)
    assert (lane.hold, lane.next_nonce, await attempts(engine), await engine.sent()) == (Hold.SIGNER, nonce, 0, before)
    assert "the signer of" in (lane.held_because or "")
    well(service)
    await engine.settle()
    assert (await lane_of(engine)).hold is None
    assert await engine.is_verified(case.wallet)
    assert await engine.sent() == before + 1


@pytest.mark.failure("F16")
async def test_while_the_claim_signer_fails_nothing_is_issued_and_revocations_pass(
    engine: Engine, service: Web3SignerServer
) -> None:
    first, second = await engine.open_case(), await engine.open_case()
    await engine.ring(first, Outcome.APPROVED)
    await engine.settle()
    sender = engine.keys.sender.address

    def only_the_sender(signature: bytes) -> tuple[int, bytes]:
        return (200, b"0x" + signature.hex().encode()) if service.seen[-1].endswith(asked[sender]) else (500, b"")

    asked = await engine.keys.sender.keys()  # type: ignore[attr-defined]
    service.answer = only_the_sender
    await engine.ring(first, Outcome.DECLINED)
    await engine.ring(second, Outcome.APPROVED)
    await engine.pump()  # the revocation leaves first, and the issue gathers behind it
    await engine.watcher.look()
    with pytest.raises(LaneHeld, match=engine.keys.claim_signer.address):
        await engine.pump()
    assert (await lane_of(engine)).hold == Hold.SIGNER
    (revoked,), (waiting,) = await engine.claims_of(first), await engine.claims_of(second)
    assert (revoked.status, waiting.status) == (ClaimStatus.REVOKED, ClaimStatus.QUEUED)
    assert not await engine.is_verified(first.wallet)
    well(service)
    await engine.settle()
    assert (await lane_of(engine)).hold is None
    assert await engine.is_verified(second.wallet)
