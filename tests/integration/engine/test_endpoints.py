"""Claims through several nodes, each of which may fail, lag or be somebody else's: F04 and F15."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from issuer.cases.tables import Case
from issuer.chain.gateway import Gateway
from issuer.claims.rules import ClaimStatus
from issuer.errors import ChainError, NodeUnavailable
from issuer.providers.protocol import Outcome
from issuer.secrets import Secret
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc
from tests.rpc_proxy import SENDS, Fault, RpcProxy

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Scene:
    """The engine's own chain, seen through two proxies."""

    def __init__(self, engine: Engine, first: RpcProxy, second: RpcProxy) -> None:
        self.engine, self.first, self.second = engine, first, second

    async def approved(self) -> Case:
        case = await self.engine.open_case()
        await self.engine.ring(case, Outcome.APPROVED)
        return case

    async def status(self, case: Case) -> ClaimStatus:
        (claim,) = await self.engine.claims_of(case)
        return ClaimStatus(claim.status)


@pytest.fixture
async def scene(engine: Engine) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(RpcProxy(engine.url, seed=seed)) for seed in (1, 2)]
        await engine.gateway.aclose()
        chain = (CHAIN_ID, engine.deployment.genesis_hash)
        engine.gateway = Gateway([Secret(first.url), Secret(second.url)], chain=chain, timeout_seconds=2)
        engine.restart(engine.profile)
        yield Scene(engine, first, second)


@pytest.mark.failure("F04")
async def test_a_node_that_goes_away_after_signing_costs_nothing(scene: Scene) -> None:
    before = await scene.engine.sent()
    case = await scene.approved()
    await scene.engine.pump()
    scene.first.down = True
    await scene.engine.settle()
    assert await scene.status(case) == ClaimStatus.CONFIRMED
    assert await scene.engine.sent() == before + 1


@pytest.mark.failure("F15")
async def test_a_node_that_is_behind_is_waited_for_and_not_taken_for_a_reorg(scene: Scene) -> None:
    scene.engine.restart(msgspec.structs.replace(scene.engine.profile, depth=3))
    case = await scene.approved()
    await scene.engine.pump()
    await scene.engine.watcher.look()
    assert await scene.status(case) == ClaimStatus.MINED
    scene.first.down, scene.second.lag = True, 1
    with pytest.raises(NodeUnavailable, match="rpc-2 is behind"):
        await scene.engine.watcher.look()
    assert await scene.status(case) == ClaimStatus.MINED
    scene.second.lag = 0
    for _ in range(2):
        await rpc(scene.engine.url, "evm_mine")
    await scene.engine.settle()
    assert await scene.status(case) == ClaimStatus.CONFIRMED


async def test_a_node_on_another_chain_gets_nothing_that_is_signed(scene: Scene) -> None:
    scene.second.chain_id = 1
    case = await scene.approved()
    await scene.engine.settle()
    assert await scene.status(case) == ClaimStatus.CONFIRMED
    assert (scene.first.sent, scene.second.sent) == (1, 0)
    assert [one.error for one in await scene.engine.gateway.survey()] == [None, "wrong-chain"]


@pytest.mark.failure("F15")
async def test_with_no_other_node_but_one_on_another_chain_nothing_is_signed(scene: Scene) -> None:
    before = await scene.engine.sent()
    case = await scene.approved()
    scene.first.down, scene.second.chain_id = True, 1
    with pytest.raises(ChainError):
        await scene.engine.pump()
    assert await scene.status(case) == ClaimStatus.QUEUED
    scene.first.down = False
    await scene.engine.settle()
    assert await scene.engine.sent() == before + 1


async def test_whatever_two_nodes_do_each_claim_is_issued_once(scene: Scene) -> None:
    before = await scene.engine.sent()
    kinds = ("refused", "http_429", "http_503", "garbage", "short_batch", "wrong_id", "error")
    for node in (scene.first, scene.second):
        node.faults = [*(Fault(kind, 0.03) for kind in kinds), Fault("lost_answer", 0.3, SENDS)]
    cases = [await scene.approved() for _ in range(4)]
    for case in cases:
        await _in_the_end(scene, case)
    assert scene.first.done + scene.second.done  # something did go wrong
    assert await scene.engine.sent() - before <= len(cases)


async def _in_the_end(scene: Scene, case: Case) -> None:
    """What the daemon's loops do: begin again when a node was away."""
    for _ in range(50):
        try:
            await scene.engine.settle()
        except NodeUnavailable:
            continue
        if await scene.status(case) == ClaimStatus.CONFIRMED:
            return
        await scene.engine.upkeep.tend(now=True)
    raise AssertionError("never confirmed")
