"""A real Persona simulator in a process of its own, and a receiver that its webhooks arrive at."""

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

import httpx
import pytest

from issuer.providers.persona import PersonaProvider
from issuer.providers.persona_webhook import PersonaDoor
from scripts.persona_simulator import launch


@dataclass
class Delivery:
    headers: dict[str, str]
    body: bytes


@dataclass
class Persona:
    """The simulator, its control surface and what it delivered."""

    running: launch.Running
    control: httpx.Client
    arrived: "Queue[Delivery]"

    def sim(self, path: str, /, **body: object) -> dict:
        answer = self.control.post(f"/_sim/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def api(self, method: str, path: str, body: object = None) -> dict:
        """Persona's API, as whoever set the webhook up would call it."""
        answer = self.control.request(method, f"/api/v1{path}", json=body, headers=self.running.headers)
        assert answer.is_success, answer.text
        return answer.json()

    def simulate(self, check_ref: str, *actions: str) -> None:
        """What a person and a workflow would do; every action fires its real event."""
        body = {"meta": {"simulate-actions": [{"type": f"{action}_inquiry"} for action in actions]}}
        self.api("POST", f"/inquiries/{check_ref}/perform-simulate-actions", body)

    def delivered(self) -> list[Delivery]:
        """Everything that arrived, once nothing is on its way any more."""
        self.sim("settle")
        deliveries = []
        while True:
            try:
                deliveries.append(self.arrived.get_nowait())
            except Empty:
                return deliveries

    def count(self) -> int:
        return self.control.get("/_sim/inquiries/count").json()["count"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Persona]:
    arrived: Queue[Delivery] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.put(Delivery(dict(self.headers.items()), body))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        serving = threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True)
        serving.start()
        url = f"http://127.0.0.1:{receiver.server_port}/webhooks/persona/sandbox"
        with (
            launch.start(webhook_url=url) as running,
            httpx.Client(base_url=running.url, headers=running.control, trust_env=False) as control,
        ):
            yield Persona(running, control, arrived)
        receiver.shutdown()
        serving.join()


@pytest.fixture
def persona(simulator: Persona) -> Persona:
    """The simulator with nothing in it."""
    simulator.delivered()
    simulator.sim("reset")
    return simulator


@pytest.fixture
async def provider(persona: Persona) -> AsyncIterator[PersonaProvider]:
    provider = PersonaProvider(
        "sandbox",
        persona.running.api_key,
        persona.running.api,
        hosted_url=f"{persona.running.url}/verify",
        expected_environment_id=persona.running.environment_id,
        timeout=httpx.Timeout(1.0),
    )
    yield provider
    await provider.aclose()


@pytest.fixture
def door(persona: Persona) -> PersonaDoor:
    return PersonaDoor("sandbox", [persona.running.webhook_secret])
