"""A real simulator process, a real receiver, and clients for both, reset for every test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from scripts.persona_simulator import launch

WITHIN = 10.0


def eventually(condition: Callable[[], object], within: float = WITHIN) -> None:
    """Wait until the condition holds; fail with its source if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """A webhook receiver that keeps everything and answers what it is told."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses for the next requests; 202 when used up."""
    seconds: float = 0.0
    hang_up: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        self.requests.clear()
        self.answers.clear()
        self.seconds = 0.0
        self.hang_up.clear()


@pytest.fixture(scope="session")
def receiver_process() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {key.lower(): value for key, value in self.headers.items()}
            receiver.requests.append(Received(headers, body, time.perf_counter()))
            status = receiver.answers.pop(0) if receiver.answers else 202
            if receiver.seconds:
                receiver.hang_up.wait(receiver.seconds)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Stay silent."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the simulator gave up waiting, as it should
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/webhooks/persona"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield receiver
    receiver.hang_up.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def persona_process(receiver_process: Receiver) -> Iterator[launch.Running]:
    with launch.start(webhook_url=receiver_process.url, webhook_events="*", delivery_timeout=1.0) as running:
        yield running


@pytest.fixture
def persona(persona_process: launch.Running, receiver_process: Receiver) -> launch.Running:
    """The running simulator, with nothing in it."""
    answer = httpx.post(f"{persona_process.url}/_sim/reset", headers=persona_process.control)
    assert answer.status_code == 200
    receiver_process.reset()
    return persona_process


@pytest.fixture
def receiver(persona: launch.Running, receiver_process: Receiver) -> Receiver:
    return receiver_process


@pytest.fixture
def api(persona: launch.Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=persona.api, headers=persona.headers, timeout=15) as client:
        yield client


@pytest.fixture
def sim(persona: launch.Running) -> Iterator[httpx.Client]:
    """The control surface."""
    with httpx.Client(base_url=f"{persona.url}/_sim", headers=persona.control, timeout=30) as client:
        yield client


Create = Callable[..., dict[str, Any]]


@pytest.fixture
def create(api: httpx.Client, persona: launch.Running) -> Create:
    """Create an inquiry; answers the whole document."""

    def make(meta: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
        body = {"data": {"attributes": {"inquiry-template-id": persona.template_id} | attributes}}
        answer = api.post("/inquiries", json=body | {"meta": meta or {}})
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    return make


def simulate(api: httpx.Client, inquiry_id: str, *kinds: str) -> httpx.Response:
    actions = [{"type": f"{kind}_inquiry"} for kind in kinds]
    return api.post(f"/inquiries/{inquiry_id}/perform-simulate-actions", json={"meta": {"simulate-actions": actions}})


def status_of(api: httpx.Client, inquiry_id: str) -> str:
    """What the API says now."""
    found: str = api.get(f"/inquiries/{inquiry_id}").json()["data"]["attributes"]["status"]
    return found
