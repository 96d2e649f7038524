"""The app as it is served: Granian, a real socket, settings from the environment, and the Persona simulator."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from issuer.access.store import create_key
from issuer.db import Database
from issuer.inbox.tables import InboxEvent
from scripts.persona_simulator import launch
from tests.factories import WALLET, api_environment, event_body, signature
from tests.integration.api.conftest import until
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
BODY = {"level": "basic", "wallet": WALLET}


@pytest.fixture(scope="module")
def persona() -> Iterator[launch.Running]:
    with launch.start() as running:
        yield running


@contextmanager
def granian(store_url: str, port: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """One Granian with one worker, in a process group of its own."""
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "api.app:create_app"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | api_environment(store_url, **more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def answers(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
async def served(store_url: str, db: Database, persona: launch.Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an admin key of an app that speaks to the simulator."""
    port = free_port()
    more = {
        "PERSONA_API_KEY": persona.api_key,
        "PERSONA_WEBHOOK_SECRET": persona.webhook_secret,
        "PERSONA_TEMPLATE_ID": persona.template_id,
        "PERSONA_ENVIRONMENT_ID": persona.environment_id,
        "PERSONA_API_BASE_URL": persona.api,
        "PERSONA_HOSTED_URL": f"{persona.url}/verify",
    }
    with granian(store_url, port, **more):
        await until(lambda: answers(port), 20)
        async with db.write() as session:
            _, key = await create_key(session, "test", ["*"], datetime.now(UTC))
        headers = {"authorization": f"Bearer {key.reveal()}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            yield client


async def inquiries(persona: launch.Running, reference: str | None = None) -> int:
    async with httpx.AsyncClient(headers=persona.headers) as client:
        params = {"page[size]": "100"} | ({"filter[reference-id]": reference} if reference else {})
        return len((await client.get(f"{persona.api}/inquiries", params=params)).json()["data"])


async def fault(persona: launch.Running, **what: object) -> None:
    async with httpx.AsyncClient(headers=persona.control) as client:
        answer = await client.post(f"{persona.url}/_sim/faults", json={"method": "POST", "path": "*/inquiries"} | what)
        assert answer.status_code < 300, answer.text


async def test_a_case_is_opened_at_persona_and_entered_again(
    served: httpx.AsyncClient, persona: launch.Running
) -> None:
    before = await inquiries(persona)
    headers = {"idempotency-key": "k-1"}
    answers = await asyncio.gather(*(served.post("/v1/cases", json=BODY, headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    case = answers[0].json()
    assert case["provider_ref"].startswith("inq_")
    assert case["session"]["url"].startswith(persona.url)
    assert await inquiries(persona) == before + 1
    again = await served.post(f"/v1/cases/{case['id']}/resume")
    assert again.status_code == 200
    assert again.json()["session"]["token"]


@pytest.mark.parametrize(
    "what",
    [
        {"kind": "status", "status": 500, "when": "before"},
        {"kind": "status", "status": 502, "when": "after"},
        {"kind": "drop"},
        {"kind": "rate_limited"},
    ],
    ids=lambda what: f"{what['kind']}-{what.get('when', '')}",
)
async def test_whatever_persona_does_there_is_one_inquiry_in_the_end(
    served: httpx.AsyncClient, persona: launch.Running, what: dict[str, object]
) -> None:
    before = await inquiries(persona)
    await fault(persona, **what)
    headers = {"idempotency-key": "k-1"}
    failed = await served.post("/v1/cases", json=BODY, headers=headers)
    assert failed.status_code == 503
    assert int(failed.headers["retry-after"]) >= 1

    again = await served.post("/v1/cases", json=BODY, headers=headers)
    assert again.status_code == 201, again.text
    assert again.json()["id"] == failed.json()["case_id"]
    assert again.json()["session"]["url"]
    assert await inquiries(persona) == before + 1


async def test_a_webhook_over_a_real_socket(served: httpx.AsyncClient, persona: launch.Running, db: Database) -> None:
    body = event_body("evt_1")
    headers = {"persona-signature": signature(body, secret=persona.webhook_secret), "authorization": ""}
    answers = await asyncio.gather(
        *(served.post("/webhooks/persona", content=body, headers=headers) for _ in range(20))
    )
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"{}")}
    async with db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(InboxEvent)) == 1

    forged = headers | {"persona-signature": b"t=1,v1=\xe9"}
    assert (await served.post("/webhooks/persona", content=body, headers=forged)).status_code == 401
    large = await served.post("/webhooks/persona", content=b"x" * (3 << 20), headers=headers)
    assert large.status_code == 413
    for _ in range(3):  # on one connection, which outlives each refusal
        assert (await served.post("/v1/cases", content=b"x" * (1 << 20))).status_code == 413
        assert (await served.post("/v1/cases", content=b"x" * (1 << 20), headers=headers)).status_code == 401
    assert (await served.post("/webhooks/persona", content=body, headers=headers)).status_code == 202


async def test_the_sender_of_too_much_sees_413_and_is_cut_off(served: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(served.base_url.host, served.base_url.port)
    writer.write(b"POST /webhooks/persona HTTP/1.1\r\nhost: x\r\ncontent-length: 99000000\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        await reader.read()  # up to the end: the connection is closed
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_worker_dies_with_its_parent(store_url: str) -> None:
    port = free_port()
    with granian(store_url, port, CLAIMWRIGHT_DIE_WITH_PARENT="1") as process:
        await until(lambda: answers(port), 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 5
        while not _free(port):
            assert time.monotonic() < deadline, "the worker lives on"
            await asyncio.sleep(0.02)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
