"""Claims are made ready while those before them are committed; whatever changes in between keeps them back."""

import asyncio
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from issuer.cases.tables import Case
from issuer.chain.rules import Hold
from issuer.chain.signer import LocalSigner, Signature, Signer
from issuer.chain.tables import Attempt, Lane, TransactionClaim
from issuer.claims import ahead as looking
from issuer.claims import issue
from issuer.claims.issue import Issues
from issuer.claims.rules import ClaimStatus
from issuer.errors import Changed, LaneHeld, NodeUnavailable, SignerFailed
from issuer.providers.protocol import Outcome
from issuer.stops import store as stops
from tests.integration.engine.conftest import Engine, rpc
from tests.waiting import until

WAVE = 4  # claims of a step here, in transactions of two


class Remote:
    """A key elsewhere that signs `left` times."""

    def __init__(self, signer: LocalSigner, left: int) -> None:
        self._signer = signer
        self.left = left

    @property
    def address(self) -> str:
        return self._signer.address

    async def sign_digest(self, digest: bytes, message: bytes) -> Signature:
        if self.left == 0:
            raise SignerFailed("it is tired")
        self.left -= 1
        return self._signer.sign(digest)

    async def aclose(self) -> None:
        pass


@pytest.fixture
async def cases(engine: Engine) -> list[Case]:
    """Three waves of approved cases, oldest first."""
    cases = [await engine.open_case() for _ in range(3 * WAVE)]
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    assert await engine.lane.ensure()
    return cases


def issues_of(engine: Engine, signer: Signer | None = None) -> Issues:
    issues = Issues(
        engine.db,
        engine.gateway,
        engine.lane,
        signer or engine.keys.claim_signer,
        engine.at,
        decision_keys=engine.decision_keys,
        data_keys=engine.data_keys,
        batch_size=2,
    )
    issues._wave = WAVE
    return issues


async def statuses(engine: Engine, cases: list[Case]) -> list[ClaimStatus]:
    return [claim.status for case in cases for claim in await engine.claims_of(case)]


async def ahead(issues: Issues) -> list[str]:
    """The claims that wait ready, once all that will be is."""
    await until(lambda: issues._ahead._making is None or issues._ahead._making.done())
    return [claim_id for wave in issues._ahead._made for claim_id in wave.claim_ids]


async def decline_while_ready(engine: Engine, issues: Issues, case: Case) -> None:
    """After the first step, which made the case's claim ready for the second."""
    assert await issues.step()
    (claim,) = await engine.claims_of(case)
    assert claim.id in await ahead(issues)
    await engine.ring(case, Outcome.DECLINED)


async def test_the_next_claims_are_made_ready_while_the_first_are_committed(engine: Engine, cases: list[Case]) -> None:
    issues = issues_of(engine)
    assert await issues.step()
    assert await statuses(engine, cases) == [ClaimStatus.SIGNED] * WAVE + [ClaimStatus.QUEUED] * 2 * WAVE
    assert await ahead(issues) == [claim.id for case in cases[WAVE:] for claim in await engine.claims_of(case)]

    assert await issues.step()
    assert await issues.step()
    assert await statuses(engine, cases) == [ClaimStatus.SIGNED] * 3 * WAVE
    assert len(await engine.rows(Attempt)) == 3 * WAVE / 2
    await engine.settle()
    for case in cases:
        assert await engine.is_verified(case.wallet)


async def test_a_claim_that_waits_ready_is_not_issued_once_its_case_is_declined(
    engine: Engine, cases: list[Case]
) -> None:
    issues, declined = issues_of(engine), cases[WAVE]
    await decline_while_ready(engine, issues, declined)

    sent = len(await engine.rows(Attempt))
    with pytest.raises(Changed):
        await issues.step()
    assert len(await engine.rows(Attempt)) == sent
    while await issues.step():
        pass
    await engine.settle()
    assert await statuses(engine, [declined]) == [ClaimStatus.CANCELLED]
    assert [await engine.is_verified(case.wallet) for case in cases] == [case is not declined for case in cases]


async def test_what_was_made_ready_long_ago_is_made_anew(
    engine: Engine, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the step would refuse all of it, as the test above shows."""
    issues, declined = issues_of(engine), cases[WAVE]
    await decline_while_ready(engine, issues, declined)

    monkeypatch.setattr(looking, "READY_SECONDS", 0.0)
    issues._wave = WAVE
    assert await issues.step()
    issued = [ClaimStatus.SIGNED] * WAVE
    assert await statuses(engine, cases[: 2 * WAVE + 1]) == [*issued, ClaimStatus.CANCELLED, *issued]


async def test_a_stop_keeps_back_what_waits_ready(engine: Engine, cases: list[Case]) -> None:
    issues = issues_of(engine)
    assert await issues.step()
    async with engine.db.write() as session:
        stop = await stops.stop(session, chain_id=None, reason="a key leaked", actor="test", at=datetime.now(UTC))
    with pytest.raises(Changed):
        await issues.step()
    assert not await issues.step()
    assert await statuses(engine, cases) == [ClaimStatus.SIGNED] * WAVE + [ClaimStatus.QUEUED] * 2 * WAVE
    async with engine.db.write() as session:
        await stops.lift(session, stop.id, reason="over", actor="test", at=datetime.now(UTC))
    await engine.settle()
    assert await statuses(engine, cases) == [ClaimStatus.CONFIRMED] * 3 * WAVE


async def test_a_signer_that_fails_for_the_next_claims_does_not_keep_the_first(
    engine: Engine, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before the first are committed, which needs no more of it and so ends no hold."""
    signer = Remote(engine.keys.claim_signer, WAVE)
    issues = issues_of(engine, signer)
    next_nonce = issues._lane.next_nonce

    async def after_it_failed() -> int:
        await until(lambda: issues._ahead._making is not None and issues._ahead._making.done())
        return await next_nonce()

    monkeypatch.setattr(issues._lane, "next_nonce", after_it_failed)
    assert await issues.step()
    monkeypatch.undo()
    assert await statuses(engine, cases) == [ClaimStatus.SIGNED] * WAVE + [ClaimStatus.QUEUED] * 2 * WAVE
    (lane,) = await engine.rows(Lane)
    assert lane.hold == Hold.SIGNER
    with pytest.raises(LaneHeld):
        await issues.step()
    signer.left = 3 * WAVE
    while await issues.step():
        pass
    await engine.settle()
    assert await statuses(engine, cases) == [ClaimStatus.CONFIRMED] * 3 * WAVE
    (lane,) = await engine.rows(Lane)
    assert lane.hold is None


async def test_nothing_is_kept_ready_behind_claims_that_could_not_be_committed(
    engine: Engine, cases: list[Case]
) -> None:
    issues = issues_of(engine)
    async with engine.db.write() as session:
        lane = await session.get(Lane, engine.lane.lease().key)
        assert lane is not None
        lane.paused_by = "test"
    with pytest.raises(LaneHeld):
        await issues.step()
    assert await ahead(issues) == []
    assert await engine.rows(Attempt) == []
    async with engine.db.write() as session:
        lane = await session.get(Lane, engine.lane.lease().key)
        assert lane is not None
        lane.paused_by = None
    await engine.settle()
    assert await statuses(engine, cases) == [ClaimStatus.CONFIRMED] * 3 * WAVE


async def test_the_next_claims_are_committed_while_the_first_are_sent_and_sent_after_them(
    engine: Engine, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    issues, send, gate = issues_of(engine), engine.lane.send_first, asyncio.Event()
    begun: list[int] = []

    async def slow(raw: list[bytes], purpose: str) -> None:
        begun.append(len(raw))
        await gate.wait()
        await send(raw, purpose)

    monkeypatch.setattr(engine.lane, "send_first", slow)
    assert await issues.step()
    second = asyncio.create_task(issues.step())
    async with asyncio.timeout(15):
        while len(await engine.rows(Attempt)) < WAVE:  # noqa: ASYNC110 - two waves, two claims in each transaction
            await asyncio.sleep(0.01)
    assert not second.done()
    assert begun == [WAVE / 2]
    gate.set()
    assert await second
    while await issues.step():
        pass
    assert begun == [WAVE / 2] * 3
    for attempt in await engine.rows(Attempt):  # the last step waited until all was sent
        assert await rpc(engine.url, "eth_getTransactionByHash", attempt.hash) is not None


async def test_a_wave_that_could_not_be_sent_is_told_of_and_sent_later(
    engine: Engine, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    issues = issues_of(engine)

    async def unsent(raw: list[bytes], purpose: str) -> None:
        raise NodeUnavailable("no node answers")

    with monkeypatch.context() as away:
        away.setattr(engine.lane, "send_first", unsent)
        assert await issues.step()
        with pytest.raises(NodeUnavailable):
            await issues.step()
        await issues.aclose()
    await engine.upkeep.tend(now=True)
    await engine.settle()
    assert await statuses(engine, cases) == [ClaimStatus.CONFIRMED] * 3 * WAVE
    async with engine.db.read() as session:
        links = await session.scalar(sa.select(sa.func.count()).select_from(TransactionClaim))
    assert links == 3 * WAVE  # nothing was signed twice


async def test_a_node_that_hangs_does_not_hold_up_the_end(
    engine: Engine, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    issues = issues_of(engine)

    async def hang(raw: list[bytes], purpose: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(issue, "CLOSE_SECONDS", 0.05)
    with monkeypatch.context() as away:
        away.setattr(engine.lane, "send_first", hang)
        assert await issues.step()
        async with asyncio.timeout(5):
            await issues.aclose()
    assert await statuses(engine, cases) == [ClaimStatus.SIGNED] * WAVE + [ClaimStatus.QUEUED] * 2 * WAVE
    await engine.upkeep.tend(now=True)
    await engine.settle()
    assert await statuses(engine, cases) == [ClaimStatus.CONFIRMED] * 3 * WAVE
