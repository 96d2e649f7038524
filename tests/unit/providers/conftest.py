"""What the Persona adapter's tests share: fixtures of invented data, and a provider wired to the stub server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from issuer.providers.persona import PersonaProvider
from tests.unit.providers.persona_stub import API_KEY, NOW, Stub

FIXTURES = Path(__file__).parents[2] / "fixtures" / "persona"


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    yield stub
    stub.released.set()
    server.close()
    await server.wait_closed()


Build = Callable[..., PersonaProvider]


@pytest.fixture
async def build(stub: Stub) -> AsyncIterator[Build]:
    """`build(**options)` gives a provider that speaks to the stub."""
    made: list[PersonaProvider] = []

    def build(**options: object) -> PersonaProvider:
        made.append(PersonaProvider("sandbox", API_KEY, stub.url, **{"clock": lambda: NOW} | options))
        return made[-1]

    yield build
    for provider in made:
        await provider.aclose()


@pytest.fixture(scope="session")
def vectors() -> list[dict]:
    return json.loads((FIXTURES / "signature-vectors.json").read_text())["vectors"]


@pytest.fixture(scope="session")
def webhook() -> Callable[[str], dict]:
    """`webhook("approved")` is the invented body of `inquiry.approved`."""
    return lambda name: json.loads((FIXTURES / "synthetic" / f"webhook.inquiry.{name}.json").read_text())


@pytest.fixture(scope="session")
def inquiry(webhook: Callable[[str], dict]) -> Callable[..., dict]:
    """An API answer with the invented inquiry in a state, some attributes replaced."""

    def inquiry(state: str = "approved", meta: dict | None = None, **attributes: object) -> dict:
        data = webhook(state)["data"]["attributes"]["payload"]["data"]
        data["attributes"] |= {name.replace("_", "-"): value for name, value in attributes.items()}
        return {"data": data} | ({"meta": meta} if meta is not None else {})

    return inquiry
