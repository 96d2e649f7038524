"""What the daemon's private port shows of claims, lanes and the chain, as they really stand."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from issuer import metrics
from issuer.cases.tables import Case
from issuer.chain import store as chain_store
from issuer.chain.rules import Hold
from issuer.db import Database
from issuer.inbox.tables import InboxEvent
from issuer.monitoring import store
from issuer.monitoring.pages import DaemonPages
from issuer.monitoring.sight import ChainSight
from issuer.providers.protocol import Outcome
from tests.integration.engine.conftest import CHAIN_ID, Engine, rpc

CHAIN = str(CHAIN_ID)


class Watch:
    def __init__(self, engine: Engine) -> None:
        self.sight = ChainSight(engine.db, engine.gateway, chain_id=CHAIN_ID, profile=engine.profile)
        self.pages = DaemonPages(engine.db, engine.queue, [self.sight])

    async def value(self, name: str, **labels: str) -> float:
        text = (await self.pages.metrics()).body.decode()
        values = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values)

    async def ready(self) -> dict[str, Any]:
        page = await self.pages.ready()
        assert page.status == 200
        detail: dict[str, Any] = json.loads(page.body)
        return detail


@pytest.fixture
def watch(engine: Engine) -> Watch:
    return Watch(engine)


async def approved(engine: Engine) -> Case:
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    return case


async def test_a_claim_is_seen_in_each_state_that_it_passes(engine: Engine, watch: Watch) -> None:
    before = {
        name: await watch.value(name, chain_id=CHAIN)
        for name in ("issuer_verified_to_final_seconds_count", "issuer_tx_finalized_total")
    }
    await rpc(engine.url, "evm_setAutomine", False)
    await approved(engine)
    assert await watch.value("issuer_claims", state="queued") == 1
    await engine.pump()
    assert await watch.value("issuer_claims", state="queued") == 0
    assert await watch.value("issuer_claims", state="signed") == 1
    lane = (await watch.ready())["lanes"][0]
    assert (lane["inflight"], lane["leased"], lane["held"]) == (1, True, None)
    assert lane["nonces"]["allocated"] == 1 + await engine.sent()
    assert await watch.value("issuer_lane_inflight", lane=lane["id"]) == 1
    assert await watch.value("issuer_tx_attempts_total", lane=lane["id"], kind="first") == 1
    await rpc(engine.url, "evm_setAutomine", True)
    await rpc(engine.url, "evm_mine")
    await engine.settle()
    assert await watch.value("issuer_claims") == 0
    assert await watch.value("issuer_lane_inflight", lane=lane["id"]) == 0
    for kind in ("allocated", "chain", "finalized"):
        assert await watch.value("issuer_lane_nonce", lane=lane["id"], kind=kind) == await engine.sent()
    for name, earlier in before.items():
        assert await watch.value(name, chain_id=CHAIN) == earlier + 1


async def test_the_age_of_what_waits_is_measured_and_long_waits_are_problems(engine: Engine, watch: Watch) -> None:
    case = await approved(engine)
    async with engine.db.write() as session:
        for claim in await engine.claims_of(case):
            row = await session.get(type(claim), claim.id)
            assert row is not None
            row.updated_at -= timedelta(minutes=10)
    assert 600 <= await watch.value("issuer_claim_age_seconds", state="queued") < 700
    detail = await watch.ready()
    assert detail["status"] == "degraded"
    assert [problem for problem in detail["problems"] if "queued claims: 1 waiting" in problem]


async def test_an_event_that_nobody_could_handle_is_held_work(engine: Engine, watch: Watch) -> None:
    event_id = await engine.receive(await engine.open_case())
    assert await watch.value("issuer_inbox_backlog") == 1
    assert await watch.value("issuer_jobs_held", job="inbox") == 0
    async with engine.db.write() as session:
        event = await session.get(InboxEvent, event_id)
        assert event is not None
        event.attempts = store.MANY_TRIES
        event.received_at = datetime.now(UTC) - timedelta(hours=1)
    assert await watch.value("issuer_jobs_held", job="inbox") == 1
    assert await watch.value("issuer_inbox_age_seconds") >= 3600


async def test_a_held_lane_is_named_with_its_reason_in_both_pages(engine: Engine, watch: Watch) -> None:
    await engine.pump()
    async with engine.db.write() as session:
        (lane,) = await chain_store.lanes(session)
        lane.hold = Hold.NONCE_USED
        lane.held_because = "nonce 7 was used by a transaction that is not ours"
    held = {reason: await watch.value("issuer_lane_held", lane=lane.id, reason=reason) for reason in store.HOLDS}
    assert held == {reason: float(reason == Hold.NONCE_USED) for reason in store.HOLDS}
    detail = await watch.ready()
    assert f"lane {lane.id} is held: nonce 7 was used by a transaction that is not ours" in detail["problems"]


async def test_the_head_and_what_the_sender_can_pay_for(engine: Engine, watch: Watch) -> None:
    await engine.pump()
    (lane,) = (await watch.ready())["lanes"]
    await rpc(engine.url, "anvil_setBalance", engine.keys.sender.address, hex(10**18))
    await rpc(engine.url, "evm_mine")
    await watch.sight.look()
    assert await watch.value("issuer_chain_head_block", chain_id=CHAIN) == (await engine.gateway.head()).number
    assert 0 <= await watch.value("issuer_chain_head_age_seconds", chain_id=CHAIN) < 60
    assert await watch.value("issuer_lane_balance_gwei", lane=lane["id"]) == 10**9
    rich = await watch.value("issuer_lane_affordable_claims", lane=lane["id"])
    await rpc(engine.url, "anvil_setBalance", engine.keys.sender.address, hex(10**15))
    await watch.sight.look()
    assert 0 <= await watch.value("issuer_lane_affordable_claims", lane=lane["id"]) < rich


async def test_a_database_that_is_away_is_said_and_the_rest_is_shown(engine: Engine) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none")
    pages = DaemonPages(away, engine.queue, [])
    metrics.REORGS.labels(CHAIN).inc(0)
    text = (await pages.metrics()).body.decode()
    assert "issuer_store_up 0.0" in text
    assert "issuer_reorgs_total" in text
    page = await pages.ready()
    assert page.status == 503
    assert json.loads(page.body)["problems"] == ["the database does not answer"]
    await away.aclose()


async def test_the_fees_of_today_are_held_against_the_lanes_cap(engine: Engine, watch: Watch) -> None:
    await approved(engine)
    await engine.settle()
    (lane,) = (await watch.ready())["lanes"]
    await watch.sight.look()
    assert await watch.value("issuer_gas_budget_used_ratio", lane=lane["id"]) == 0  # no cap, no figure
    async with engine.db.read() as session:
        spent = await chain_store.spent_gwei(session, lane["id"], datetime.now(UTC) - timedelta(hours=1))
    assert spent > 0
    capped = ChainSight(engine.db, engine.gateway, chain_id=CHAIN_ID, profile=engine.profile, daily_fees_gwei=2 * spent)
    await capped.look()
    assert await watch.value("issuer_gas_budget_used_ratio", lane=lane["id"]) == 0.5
