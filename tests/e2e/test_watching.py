"""A running stack, watched: alert rules and dashboard ask for what there is, and nothing shows a person.

One stack for this file, on SQLite; the queries behind the gauges run on both stores in the engine's tests.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from issuer import metrics
from scripts.persona_simulator.people import PII_CANARIES
from tests.e2e.rig import Rig, new_wallet, until
from tests.promql import Named, names
from tests.rpc_proxy import Fault
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "claimwright.json").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
WORDS = (*PII_CANARIES, "canary-given-name", "canary@example.org")
PERSON = {"name_first": "canary-given-name", "email_address": "canary@example.org"}

# Counted only when something goes wrong that this file does not bring about. They must still be declared.
RARE = {
    "issuer_gas_budget_used_ratio",
    "issuer_final_transactions_taken_back_total",
    "issuer_reorgs_total",
    "issuer_reorg_depth_blocks_bucket",
    "issuer_signer_errors_total",
}
# Values that no healthy stack shows.
RARE_VALUES = {("status", "5xx"), ("outcome", "reverted"), ("result", "lost")}
FROM_PROMETHEUS = {"up"}


class Watched:
    """What the private ports showed after the story in `watched` had happened."""

    def __init__(self, rig: Rig, pages: dict[str, str]) -> None:
        self.rig = rig
        self.pages = pages
        self.labels: dict[str, set[str]] = {}
        self.values: dict[str, set[tuple[str, str]]] = {}
        for name, text in pages.items():
            for family in text_string_to_metric_families(text) if name.endswith("/metrics") else ():
                for sample in family.samples:
                    self.labels.setdefault(sample.name, set()).update(sample.labels)
                    self.values.setdefault(sample.name, set()).update(sample.labels.items())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(sqlite_stores: SqliteStores, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    directory = tmp_path_factory.mktemp("stack") / "stack"
    with sqlite_stores.fresh() as url:
        async with Rig(
            directory,
            database_url=url,
            proxied=True,
            settings={"CLAIMWRIGHT_CHECKS_PER_DAY": "1000", "CLAIMWRIGHT_DAILY_FEES_GWEI": "1000000000"},
        ) as rig:
            await _story(rig)
            yield Watched(rig, await _pages(rig))


async def _story(rig: Rig) -> None:
    """Personal data at every door, a claim issued and revoked, a forgery, and a node that is away for a moment."""
    case = await rig.open_case(
        reference="user-42", prefill=PERSON, redirect_url="http://127.0.0.1:9/done?email=canary@example.org"
    )
    refused = [
        await rig.dapp.post("/v1/cases", json={"level": "basic", "wallet": "canary@example.org", "prefill": PERSON}),
        await rig.dapp.get("/v1/cases/canary@example.org"),
        await rig.dapp.get("/v1/cases", params={"reference": "canary@example.org"}),
        await rig.dapp.get("/canary-given-name"),
        await rig.dapp.post("/webhooks/persona", content=json.dumps(PERSON), headers={"persona-signature": "t=1,v1=0"}),
        await rig.dapp.post("/webhooks/persona", content=json.dumps(PERSON)),
    ]
    assert all(400 <= answer.status_code < 500 for answer in refused), [answer.status_code for answer in refused]
    await rig.approve(case)
    await rig.until_claim(case["id"], "confirmed")
    assert rig.proxy is not None
    rig.proxy.faults = [Fault("http_503", 1.0)]
    await rig.simulate(case["provider_ref"], "decline_inquiry")
    await rig.until_claim(case["id"], "revoking", "revoked")
    await until(lambda: _struck(rig), 20, rig.tail)
    rig.proxy.faults = []
    await rig.until_claim(case["id"], "revoked", seconds=40)
    await until(lambda: _balance_looked_at(rig), 30, rig.tail)


async def _struck(rig: Rig) -> bool | None:
    assert rig.proxy is not None
    return True if rig.proxy.done["http_503"] else None


async def _balance_looked_at(rig: Rig) -> bool | None:
    """Every ten seconds, and not before the lane is there."""
    return True if "issuer_lane_affordable_claims{" in (await _pages(rig))["daemon/metrics"] else None


async def _pages(rig: Rig) -> dict[str, str]:
    async with httpx.AsyncClient() as http:
        return {
            f"{name}{path}": (await http.get(url + path)).text
            for name, url in rig.private_urls.items()
            for path in ("/metrics", "/health/ready", "/health/live")
        }


def _asked() -> list[tuple[str, Named]]:
    expressions = [(rule["alert"], rule["expr"]) for rule in RULES]
    expressions += [
        (panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())
    ]
    return [(place, named) for place, expression in expressions for named in names(expression)]


async def test_each_metric_label_and_value_that_is_asked_for_exists(watched: Watched) -> None:
    declared = {name: labels for metric in vars(metrics).values() for name, labels in _declared(metric)}
    asked = _asked()
    assert len(asked) > 60
    for place, named in asked:
        if named.metric in FROM_PROMETHEUS:
            continue
        there = watched.labels.get(named.metric)
        if there is None:
            assert named.metric in RARE & declared.keys(), f"{place}: no such metric as {named.metric}"
            there = declared[named.metric]
        unknown = (named.labels | named.by) - there - {"job", "instance"}
        assert not unknown, f"{place}: {named.metric} has no label {unknown}"
        values = {pair for pair in named.equal if pair[0] != "job"} - RARE_VALUES
        unseen = values - watched.values.get(named.metric, values)
        assert not unseen, f"{place}: {named.metric} never has {unseen}"


def _declared(metric: Any) -> list[tuple[str, set[str]]]:
    if not hasattr(metric, "_labelnames"):
        return []
    (family,) = metric.describe()
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
    return [
        (family.name + ending, {*metric._labelnames, *(["le"] if ending == "_bucket" else [])}) for ending in endings
    ]


async def test_the_dashboard_shows_every_metric_there_is(watched: Watched) -> None:
    shown = {named.metric for place, named in _asked()}
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in shown}
    there = {name for name in watched.labels if name.startswith("issuer_")}
    missing = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in there} - families
    assert missing == set()


async def test_nothing_shows_a_person_or_a_secret(watched: Watched) -> None:
    rig = watched.rig
    places = {name: text.encode() for name, text in watched.pages.items()}
    places |= {name: rig.log(name).read_bytes() for name in ("api", "daemon")}
    assert all(len(text) > 10 for text in places.values())
    for word in (*WORDS, *rig.secret_values(), rig.rpc_url):
        found = [name for name, text in places.items() if word.encode() in text]
        assert found == [], f"{word} stands in {found}"


async def test_a_wallet_and_a_case_are_in_no_metric(watched: Watched) -> None:
    case = await watched.rig.open_case(new_wallet())
    await watched.rig.case(case["id"])
    text = "".join(page for name, page in (await _pages(watched.rig)).items() if name.endswith("/metrics"))
    assert case["id"] not in text
    assert "0x" not in text


async def test_ready_in_detail_tells_how_each_part_does(watched: Watched) -> None:
    api, daemon = (json.loads(watched.pages[f"{name}/health/ready"]) for name in ("api", "daemon"))
    assert (api["status"], daemon["migrated"]) == ("ok", True)
    (lane,) = daemon["lanes"]
    assert (lane["leased"], lane["held"], lane["inflight"]) == (True, None, 0)
    assert lane["nonces"]["allocated"] == lane["nonces"]["finalized"] == 2
    (chain,) = daemon["chains"]
    assert chain["chain_id"] == watched.rig.chain_id
    assert chain["head"] > 0
