"""Many daemons, many claims: real processes that race, are paused past their lease, killed, or told to stop."""

import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from issuer.cases.tables import Case
from issuer.chain.tables import Attempt, Lane, Transaction
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.providers.protocol import Outcome
from tests.daemons import Daemon
from tests.e2e.rig import until
from tests.integration.engine.conftest import Engine, daemon_environment, rpc
from tests.oracle import Oracle
from tests.persona_http import PersonaHttp
from tests.rpc_proxy import RpcProxy

postgresql_only = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)

MakeDaemons = Callable[[int], list[Daemon]]


@pytest.fixture
async def make_daemons(engine: Engine, wire: RpcProxy, store_url: str, tmp_path: Path) -> AsyncIterator[MakeDaemons]:
    """Daemons on the engine's database, all behind the same proxy."""
    made: list[Daemon] = []
    async with AsyncExitStack() as stack:
        persona = await stack.enter_async_context(PersonaHttp(engine.persona.readings))
        env = daemon_environment(engine, store_url, persona.url, tmp_path) | {"CLAIMWRIGHT_RPC_URL": wire.url}

        def make(count: int) -> list[Daemon]:
            made.extend(Daemon(env, tmp_path / f"daemon-{len(made) + 1}.log") for _ in range(count))
            return made

        try:
            yield make
        finally:
            for daemon in made:
                await daemon.kill()


async def queue(engine: Engine, count: int) -> list[Case]:
    cases = [await engine.open_case() for _ in range(count)]
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    return cases


async def until_settled(oracle: Oracle, daemons: list[Daemon], seconds: float = 60) -> None:
    async def settled() -> bool | None:
        return None if await oracle.unsettled() else True

    await until(settled, seconds, lambda: "\n".join(daemon.tail(2000) for daemon in daemons))


async def owner(engine: Engine) -> int | None:
    """The process that holds the lane."""
    lanes = await engine.rows(Lane)
    found = re.search(r"-(\d+)-", lanes[0].owner or "") if lanes else None
    return int(found[1]) if found else None


@pytest.mark.failure("F12")
@postgresql_only
@pytest.mark.parametrize("moment", ["before it signs", "after its commit"])
async def test_an_owner_that_sleeps_past_its_lease_wakes_up_harmless(
    engine: Engine, wire: RpcProxy, oracle: Oracle, make_daemons: MakeDaemons, moment: str
) -> None:
    """Three replicas; the lane's owner is stopped in the middle of a step, and goes on when another has taken over."""
    asleep: list[int] = []

    async def sleep_here() -> bool:
        pid = await owner(engine)
        if not asleep and pid is not None:
            os.kill(pid, signal.SIGSTOP)
            asleep.append(pid)
            return False
        return True

    method = "eth_feeHistory" if moment == "before it signs" else "eth_sendRawTransaction"
    wire.before[method] = sleep_here
    await queue(engine, 3)
    daemons = make_daemons(3)
    for daemon in daemons:
        daemon.start()
    await until_settled(oracle, daemons)
    assert asleep
    assert await owner(engine) not in asleep, "another took over"
    os.kill(asleep[0], signal.SIGCONT)
    (late,) = [daemon for daemon in daemons if daemon.pid in asleep]
    await queue(engine, 3)
    await until_settled(oracle, daemons)
    assert await late.stop() == 0
    assert await oracle.problems() == []
    for transaction_id in {attempt.transaction_id for attempt in await engine.rows(Attempt)}:
        assert len([row for row in await engine.rows(Attempt) if row.transaction_id == transaction_id]) == 1


@pytest.mark.failure("F12")
@postgresql_only
async def test_three_that_race_for_one_lane_use_each_nonce_once(
    engine: Engine, oracle: Oracle, make_daemons: MakeDaemons
) -> None:
    await queue(engine, 24)
    daemons = make_daemons(3)
    for daemon in daemons:
        daemon.start(CLAIMWRIGHT_BATCH_SIZE="2")
    await until_settled(oracle, daemons)
    assert [await daemon.stop() for daemon in daemons] == [0, 0, 0]
    assert await oracle.problems() == []
    assert {claim.status for claim in await engine.rows(Claim)} == {ClaimStatus.CONFIRMED}


@pytest.mark.failure("F22")
async def test_a_daemon_that_is_told_to_stop_under_load_leaves_nothing_undone(
    engine: Engine, oracle: Oracle, make_daemons: MakeDaemons
) -> None:
    await queue(engine, 16)
    (daemon,) = make_daemons(1)
    daemon.start(CLAIMWRIGHT_BATCH_SIZE="2")

    async def under_load() -> bool | None:
        return True if await engine.rows(Transaction) else None

    await until(under_load, 60, daemon.tail)
    asked = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - asked < 10
    (lane,) = await engine.rows(Lane)
    assert lane.leased_until is None, "the next one need not wait"
    daemon.start()
    await until_settled(oracle, [daemon])
    assert await oracle.problems() == []
    assert {claim.status for claim in await engine.rows(Claim)} == {ClaimStatus.CONFIRMED}


@pytest.mark.failure("F25")
async def test_many_at_once_keep_to_the_limit_and_all_arrive_once(engine: Engine, oracle: Oracle) -> None:
    """More than find a place in flight; ten thousand of them are what `benchmarks/run issue` sends."""
    engine.restart(msgspec.structs.replace(engine.profile, max_unmined=8), batch_size=5)
    cases = await queue(engine, 60)
    await rpc(engine.url, "evm_setAutomine", False)
    await engine.pump()
    async with engine.db.read() as session:
        unmined = await session.scalar(sa.select(sa.func.count()).select_from(Transaction))
    assert unmined == 8
    await rpc(engine.url, "evm_setAutomine", True)
    await rpc(engine.url, "evm_mine")
    await engine.settle()
    assert {claim.status for claim in await engine.rows(Claim)} == {ClaimStatus.CONFIRMED}
    assert len(await engine.rows(Claim)) == len(cases)
    assert await oracle.problems() == []
