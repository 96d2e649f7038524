"""The API's private port, as it is served: metrics of all workers together, and readiness in detail."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.factories import api_environment, event_body, signature
from tests.integration.api.conftest import until
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
WORKERS = {"sqlite": 1, "postgresql": 2}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Served:
    def __init__(self, port: int, private: int, client: httpx.AsyncClient) -> None:
        self.url, self.private = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{private}"
        self.client = client

    async def scrape(self) -> Samples:
        answer = await self.client.get(f"{self.private}/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@contextmanager
def claimwright_api(store_url: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "issuer", "api"],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        | api_environment(store_url, **more),
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=15)


@pytest.fixture
async def served(store_url: str) -> AsyncIterator[Served]:
    port, private = free_port(), free_port()
    more = {
        "CLAIMWRIGHT_API_PORT": str(port),
        "CLAIMWRIGHT_API_PRIVATE_PORT": str(private),
        "CLAIMWRIGHT_API_WORKERS": str(WORKERS[store_url.partition(":")[0]]),
    }
    with claimwright_api(store_url, **more):
        async with httpx.AsyncClient() as client:
            served = Served(port, private, client)
            await until(lambda: _answers(served), 90)
            yield served


async def _answers(served: Served) -> bool:
    try:
        pages = [f"{served.url}/health/ready", f"{served.private}/health/ready"]
        return all([(await served.client.get(page)).status_code == 200 for page in pages])
    except httpx.TransportError:
        return False


async def _deliver(served: Served, body: bytes, sign: str) -> int:
    """On a connection of its own, so that the kernel gives it to any of the workers."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{served.url}/webhooks/persona", content=body, headers={"persona-signature": sign})
        return answer.status_code


async def test_a_scrape_has_what_all_workers_counted_and_the_public_port_says_nothing(served: Served) -> None:
    """One test, since starting servers is what takes the time."""
    await _detail_stands_on_the_private_port_only(served)
    bodies = [event_body(f"evt_{number}") for number in range(40)]
    good = await asyncio.gather(*(_deliver(served, body, signature(body)) for body in bodies))
    again = await asyncio.gather(*(_deliver(served, body, signature(body)) for body in bodies[:5]))
    forged = await asyncio.gather(*(_deliver(served, bodies[0], "t=1,v1=00") for _ in range(7)))
    assert (set(good), set(again), len(set(forged))) == ({202}, {202}, 1)
    await served.client.get(f"{served.url}/v1/cases/case_0")
    await served.client.get(f"{served.url}/nowhere/0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045")
    seen = await served.scrape()
    webhooks = {
        dict(labels)["result"]: value for (name, labels), value in seen.items() if name == "issuer_webhooks_total"
    }
    assert (webhooks.pop("accepted"), webhooks.pop("duplicate"), sum(webhooks.values())) == (40, 5, 7)
    route = {"route": "/webhooks/persona", "method": "POST"}
    assert seen["issuer_http_requests_total", frozenset({**route, "status": "2xx"}.items())] == 45
    assert seen["issuer_http_requests_total", frozenset({**route, "status": "4xx"}.items())] == 7
    assert seen["issuer_http_request_duration_seconds_count", frozenset({("route", "/webhooks/persona")})] == 52
    routes = {dict(labels)["route"] for name, labels in seen if name == "issuer_http_requests_total"}
    assert {"/v1/cases/{case_id}", "none"} <= routes
    assert not any("0xd8dA" in route or "case_0" in route for route in routes)
    assert await served.scrape() == seen  # whichever worker answers, and a scrape counts for nothing


async def _detail_stands_on_the_private_port_only(served: Served) -> None:
    public = (await served.client.get(f"{served.url}/health/ready")).json()
    private = (await served.client.get(f"{served.private}/health/ready")).json()
    assert public == {"status": "ok"}
    assert private == {"status": "ok", "problems": [], "migrated": True, "inbox": {"count": 0, "oldest": 0.0}}
    assert (await served.client.get(f"{served.url}/metrics")).status_code == 404
