"""Any order of approvals, declines, restarts, lost bytes, reorgs and blocks ends as the oracle wants it.

One engine on a chain that makes a block only when told to, driven by a hypothesis state machine; the long run with real
processes is `scripts/chaos`.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from issuer.cases.tables import Case
from issuer.chain import rules as chain_rules
from issuer.chain.deploy import Deployment
from issuer.db import Database
from issuer.errors import ClaimwrightError
from issuer.providers.protocol import Outcome
from scripts.anvil import AnvilProcess
from tests.integration.engine.conftest import CHAIN_ID, ETHER, GWEI, Engine, Keys, rpc
from tests.oracle import Oracle
from tests.rpc_proxy import SENDS, Fault, Kind, RpcProxy
from tests.stores import SqliteStores

DEPTH = 3
picks = st.integers(0, 10**6)


class Chaos(RuleBasedStateMachine):
    stores: SqliteStores
    chain: AnvilProcess
    deployment: Deployment
    keys: Keys

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = self.stores.fresh()
        self.url = self.store.__enter__()
        self.cases: list[Case] = []
        self.do(self._begin())

    async def _begin(self) -> None:
        await rpc(self.chain.url, "evm_setAutomine", False)
        await rpc(self.chain.url, "anvil_setBalance", self.keys.sender.address, hex(1000 * ETHER))
        await rpc(self.chain.url, "anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        await rpc(self.chain.url, "anvil_mine", hex(2 * DEPTH))
        self.wire = await RpcProxy(self.chain.url).__aenter__()
        self.wire.replacement_rule = True
        self.db = Database(self.url)
        profile = chain_rules.profile(CHAIN_ID, depth=DEPTH)
        self.engine = Engine(self.db, self.chain.url, self.deployment, self.keys, profile)
        await self.engine.speak_through(self.wire.url)
        since = (await self.engine.gateway.head()).number
        self.oracle = Oracle(self.db, self.chain.url, self.deployment, since=since)

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    @rule()
    def approve_new(self) -> None:
        async def act() -> None:
            self.cases.append(await self.engine.open_case())
            await self.engine.ring(self.cases[-1], Outcome.APPROVED)

        self.do(act())

    @precondition(lambda self: self.cases)
    @rule(pick=picks, outcome=st.sampled_from([Outcome.APPROVED, Outcome.DECLINED]))
    def decide_again(self, pick: int, outcome: Outcome) -> None:
        self.do(self.engine.ring(self.cases[pick % len(self.cases)], outcome))

    @rule(kind=st.sampled_from(["", "dropped", "lost_answer", "http_503", "garbage"]))
    def pump(self, kind: Kind) -> None:
        async def act() -> None:
            self.wire.faults = [Fault(kind, methods=SENDS)] if kind else []
            with contextlib.suppress(ClaimwrightError):
                await self.engine.pump()
            self.wire.calm()

        self.do(act())

    @rule(blocks=st.integers(1, DEPTH))
    def mine(self, blocks: int) -> None:
        self.do(rpc(self.chain.url, "anvil_mine", hex(blocks)))

    @rule(gwei=st.integers(1, 40))
    def base_fee(self, gwei: int) -> None:
        self.do(rpc(self.chain.url, "anvil_setNextBlockBaseFeePerGas", hex(gwei * GWEI)))

    @rule(depth=st.integers(1, DEPTH - 1))
    def reorg(self, depth: int) -> None:
        self.do(rpc(self.chain.url, "anvil_reorg", depth, []))

    @rule()
    def look(self) -> None:
        self.do(self.engine.watcher.look())

    @rule()
    def restart(self) -> None:
        self.engine.restart(self.engine.profile)

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        try:
            self.do(self._end())
        finally:
            self.do(self.engine.aclose())
            self.do(self.db.aclose())
            self.do(self.wire.__aexit__())
            self.do(rpc(self.chain.url, "evm_setAutomine", True))
            self.loop.close()
            self.store.__exit__(None, None, None)

    async def _end(self) -> None:
        """Nothing fails any more, blocks come, and the daemon does what it does."""
        await rpc(self.chain.url, "anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ClaimwrightError):
                    await self.engine.pump()
                    await self.engine.upkeep.tend(now=True)
                await rpc(self.chain.url, "anvil_mine", hex(DEPTH))
                await self.engine.watcher.look()
                if not await self.oracle.unsettled():
                    break
        assert await self.oracle.problems() == []


def test_any_order_of_failures_ends_well(
    sqlite_stores: SqliteStores, chain: AnvilProcess, deployment: Deployment, keys: Keys
) -> None:
    ground = {"stores": sqlite_stores, "chain": chain, "deployment": deployment, "keys": keys}
    run_state_machine_as_test(
        type("Chaos", (Chaos,), ground),
        settings=settings(
            max_examples=4,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        ),
    )
