"""What this process counts, for Prometheus. A fact is one line of code: `metrics.SENDS.labels(chain, result).inc()`.

Names follow https://prometheus.io/docs/practices/naming; docs/metrics.md says what each one means. A label takes its
values from a closed list or from what the operator configured: never a case, a wallet, an address or a hash. What
stands in the database is not counted here but read when it is asked for (`issuer.monitoring`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from issuer.errors import ClaimwrightError

# Else each counter has a second series beside it, which nobody here would ask for.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
prometheus_client.ProcessCollector(registry=REGISTRY)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(name, what, labels, registry=REGISTRY)


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(name, what, labels, registry=REGISTRY)


def _histogram(name: str, what: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, what, labels, registry=REGISTRY, buckets=buckets)


# The life of a claim.
QUEUE_WAIT = _histogram(
    "issuer_queue_wait_seconds", "From a claim's decision to its signature.", "chain_id", buckets=_SLOW
)
VERIFIED_TO_FINAL = _histogram(
    "issuer_verified_to_final_seconds", "From a claim's decision to its confirmation.", "chain_id", buckets=_SLOW
)
DECISION_TO_REVOKED = _histogram(
    "issuer_decision_to_revoked_seconds", "From a reversal to the block that revoked.", "chain_id", buckets=_SLOW
)

# Transactions.
ATTEMPTS = _counter(
    "issuer_tx_attempts", "Signed bytes put on the wire: first, rebroadcast, bump or noop.", "chain_id", "lane", "kind"
)
SENDS = _counter("issuer_tx_send_results", "What the node said to them.", "chain_id", "result")
FINALIZED = _counter(
    "issuer_tx_finalized",
    "Transactions past the depth: success, reverted, or superseded by another's nonce.",
    "chain_id",
    "outcome",
)

FEE_GWEI = _histogram(
    "issuer_tx_fee_gwei",
    "What a transaction cost, past the depth.",
    "chain_id",
    buckets=(10**3, 10**4, 10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8, 10**9),
)

# Chain and node.
RPC_SECONDS = _histogram(
    "issuer_rpc_request_duration_seconds", "One request to a node.", "endpoint", "method", buckets=_FAST
)
RPC_ERRORS = _counter("issuer_rpc_errors", "Requests to a node that gave no answer.", "endpoint", "method", "class")
HEAD_BLOCK = _gauge("issuer_chain_head_block", "The newest block that this process has seen.", "chain_id")
REORGS = _counter("issuer_reorgs", "Times that a block with transactions of ours was taken back.", "chain_id")
REORG_DEPTH = _histogram(
    "issuer_reorg_depth_blocks", "How deep that block was.", "chain_id", buckets=(1, 2, 3, 5, 8, 12, 20, 32, 64)
)
FINAL_TAKEN_BACK = _counter(
    "issuer_final_transactions_taken_back", "Transactions that a reorg took back though they were final.", "chain_id"
)
LANE_BALANCE = _gauge("issuer_lane_balance_gwei", "What the lane's sender can pay with.", "chain_id", "lane")
GAS_BUDGET = _gauge("issuer_gas_budget_used_ratio", "Used share of the lane's fees of today.", "chain_id", "lane")
LANE_CLAIMS = _gauge("issuer_lane_affordable_claims", "How many claims that pays for now.", "chain_id", "lane")

# Signers.
SIGNER_SECONDS = _histogram("issuer_signer_duration_seconds", "One signature.", "provider", buckets=_FAST)
SIGNER_ERRORS = _counter("issuer_signer_errors", "Signatures that failed or were refused.", "provider")

# Jobs.
JOB_SECONDS = _histogram("issuer_job_duration_seconds", "One run of a job.", "job", buckets=_FAST)
JOB_RESULTS = _counter("issuer_job_results", "Runs that were done, are run again or were given up.", "job", "result")

# The edge, and providers.
HTTP_REQUESTS = _counter("issuer_http_requests", "Requests answered.", "route", "method", "status")
HTTP_SECONDS = _histogram("issuer_http_request_duration_seconds", "Requests answered.", "route", buckets=_FAST)
WEBHOOKS = _counter("issuer_webhooks", "Deliveries: accepted, or why not.", "provider", "result")
PROVIDER_SECONDS = _histogram(
    "issuer_provider_request_duration_seconds", "One request to a provider.", "provider", "operation", buckets=_FAST
)
PROVIDER_REQUESTS = _counter(
    "issuer_provider_requests", "Requests to a provider, by status class or `lost`.", "provider", "operation", "result"
)


@contextmanager
def rpc_request(endpoint: str, method: str) -> Iterator[None]:
    """Time one request to a node, and count it if it raises."""
    try:
        with RPC_SECONDS.labels(endpoint, method).time():
            yield
    except ClaimwrightError as error:
        RPC_ERRORS.labels(endpoint, method, error.code).inc()
        raise


@contextmanager
def signature(provider: str, count: int = 1) -> Iterator[None]:
    """Time one signature, or several together. Count it if it raises."""
    began = perf_counter()
    try:
        yield
    except ClaimwrightError:
        SIGNER_ERRORS.labels(provider).inc()
        raise
    finally:
        signed(provider, count, perf_counter() - began)


def signed(provider: str, count: int, seconds: float) -> None:
    """So many signatures took so long together. By hand: the library's timer takes as long as signing does."""
    observe = SIGNER_SECONDS.labels(provider).observe
    for _ in range(count):
        observe(seconds / count)
