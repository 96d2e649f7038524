"""Facts and counters as Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats)."""

import os
from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from issuer import metrics
from issuer.monitoring import SHARED_FIGURES
from issuer.monitoring.sight import ChainSight
from issuer.monitoring.store import HOLDS, Facts

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def text(gauges: Iterable[Metric] = ()) -> bytes:
    """What this process counted, or all workers of this API together, and then `gauges`."""
    registry = metrics.REGISTRY
    if SHARED_FIGURES in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(_Given(gauges))


def up(answers: bool) -> Metric:
    """Without it, a database that is away would look like one in which nothing waits."""
    return GaugeMetricFamily("issuer_store_up", "Whether the database answered this scrape.", value=float(answers))


def chains(sights: Iterable[ChainSight]) -> Iterator[Metric]:
    """What this process last saw of each chain."""
    age = GaugeMetricFamily("issuer_chain_head_age_seconds", "How old the newest block is.", labels=["chain_id"])
    healthy = GaugeMetricFamily(
        "issuer_rpc_endpoint_healthy", "1 while work may go to this node.", labels=["chain_id", "endpoint"]
    )
    for sight in sights:
        if sight.seen is not None:
            age.add_metric([str(sight.chain_id)], sight.seen.age)
        for node in sight.endpoints:
            healthy.add_metric([str(sight.chain_id), node.alias], float(node.healthy))
    yield from (age, healthy)


def budget(facts: Facts, checks_per_day: int | None) -> Iterator[Metric]:
    """Nothing without a budget."""
    if checks_per_day is None:
        return
    used = GaugeMetricFamily(
        "issuer_check_budget_used_ratio", "Used share of today's checks.", labels=["provider", "environment"]
    )
    for (provider, environment), count in facts.checks.items():
        used.add_metric([provider, environment], count / checks_per_day)
    yield used


def gauges(facts: Facts) -> Iterator[Metric]:
    yield from _claims(facts)
    yield from _lanes(facts)
    jobs = GaugeMetricFamily("issuer_jobs", "Jobs in the queue.", labels=["job"])
    for topic, count in facts.jobs.items():
        jobs.add_metric([topic], count)
    yield jobs
    held = GaugeMetricFamily("issuer_jobs_held", "Work that does not go on by itself.", labels=["job"])
    for kind, count in facts.held.items():
        held.add_metric([kind], count)
    yield held
    stopped = GaugeMetricFamily("issuer_stopped", "1 while a person has stopped issuing.", labels=["chain_id"])
    for chain_id in facts.revocation_lag:
        stopped.add_metric([str(chain_id)], float(any(stop.chain_id in (None, chain_id) for stop in facts.stops)))
    yield stopped
    findings = GaugeMetricFamily(
        "issuer_findings", "What reconciliation found and nobody has lifted.", labels=["chain_id", "code"]
    )
    for (chain_id, code), count in facts.findings.items():
        findings.add_metric([str(chain_id), code], count)
    yield findings
    yield GaugeMetricFamily("issuer_inbox_backlog", "Provider events not handled.", value=facts.inbox.count)
    yield GaugeMetricFamily("issuer_inbox_age_seconds", "Age of the oldest of them.", value=facts.inbox.oldest)


def _claims(facts: Facts) -> Iterator[Metric]:
    labels = ["chain_id", "state"]
    count = GaugeMetricFamily("issuer_claims", "Claims in a state that must not last.", labels=labels)
    age = GaugeMetricFamily("issuer_claim_age_seconds", "How long the oldest of them is in it.", labels=labels)
    for (chain_id, state), waiting in facts.claims.items():
        count.add_metric([str(chain_id), state.value], waiting.count)
        age.add_metric([str(chain_id), state.value], waiting.oldest)
    lag = GaugeMetricFamily(
        "issuer_revocation_lag_seconds", "How long a claim that is to be revoked still counts.", labels=["chain_id"]
    )
    for chain_id, seconds in facts.revocation_lag.items():
        lag.add_metric([str(chain_id)], seconds)
    yield from (count, age, lag)


def _lanes(facts: Facts) -> Iterator[Metric]:
    labels = ["chain_id", "lane"]
    nonce = GaugeMetricFamily("issuer_lane_nonce", "Next nonce: allocated, chain, finalized.", labels=[*labels, "kind"])
    inflight = GaugeMetricFamily("issuer_lane_inflight", "Transactions signed and not mined.", labels=labels)
    stall = GaugeMetricFamily("issuer_lane_stall_seconds", "Age of the oldest of them.", labels=labels)
    leader = GaugeMetricFamily("issuer_lane_leader", "1 while a process holds the lane's lease.", labels=labels)
    held = GaugeMetricFamily("issuer_lane_held", "1 while nothing new is signed, by why.", labels=[*labels, "reason"])
    for lane in facts.lanes:
        at = [str(lane.chain_id), lane.id]
        for kind, value in lane.nonces.items():
            nonce.add_metric([*at, kind], value)
        inflight.add_metric(at, lane.inflight)
        stall.add_metric(at, lane.stall)
        leader.add_metric(at, float(lane.leased))
        for reason in HOLDS:
            held.add_metric([*at, reason], float(lane.held == reason))
    yield from (nonce, inflight, stall, leader, held)
