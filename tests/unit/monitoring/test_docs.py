"""docs/metrics.md lists what is counted, with its type and its labels, and nothing else."""

import re
from pathlib import Path

from issuer import metrics
from issuer.chain.gateway import EndpointStatus
from issuer.claims.rules import ClaimStatus
from issuer.monitoring import exposition
from issuer.monitoring.sight import ChainSight, Seen
from issuer.monitoring.store import Facts, LaneFacts, Waiting

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(issuer_\w+)` \| (\w+) \| ([\w, ]*?) ?\| (\w+) \|", re.MULTILINE)

LANE = LaneFacts(
    id="lane_1",
    chain_id=1,
    sender="0x",
    nonces={"allocated": 1},
    inflight=0,
    stall=0.0,
    leased=True,
    held=None,
    held_because=None,
)


class Sight(ChainSight):
    """A chain with one node, without either."""

    chain_id = 1
    seen = Seen(chain_id=1, head=1, age=0.0)
    endpoints = [EndpointStatus(alias="rpc-1", healthy=True, in_use=True, head=1, lag=0, latency_ms=1.0, error=None)]  # noqa: RUF012

    def __init__(self) -> None:
        pass


FACTS = Facts(
    claims={(1, ClaimStatus.QUEUED): Waiting()},
    revocation_lag={1: 0.0},
    lanes=[LANE],
    jobs={"inbox": 0},
    inbox=Waiting(),
    findings={(1, "unknown_on_chain"): 0},
    held={"claim": 0},
    stops=[],
    checks={("persona", "production"): 1},
)


def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    documented = {name: (kind, tuple(filter(None, labels.split(", ")))) for name, kind, labels, _ in _rows()}
    assert documented == {**_counted(), **_read()}


def _rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall(PAGE.read_text())


def _counted() -> dict[str, tuple[str, tuple[str, ...]]]:
    """What a process counts. Its labels are declared before it has a sample."""
    found = {}
    for metric in vars(metrics).values():
        if hasattr(metric, "_labelnames"):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            found[name] = (family.type, tuple(metric._labelnames))
    return found


def _read() -> dict[str, tuple[str, tuple[str, ...]]]:
    """What is read from the database, of which every family has a sample here."""
    families = [
        *exposition.gauges(FACTS), exposition.up(True), *exposition.chains([Sight()]), *exposition.budget(FACTS, 100)
    ]  # fmt: skip
    return {family.name: (family.type, tuple(family.samples[0].labels)) for family in families}
