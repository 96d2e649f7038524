"""One chain for all tests here, with our contracts and ONCHAINID's; each test has people and tokens of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from scripts.anvil import AnvilProcess, start_anvil
from tests.integration.contracts import onchainid, ourselves, trex
from tests.integration.contracts.evm import Evm, on
from tests.integration.contracts.onchainid import Onchainid
from tests.integration.contracts.ourselves import Ourselves
from tests.integration.contracts.trex import Suite


@pytest.fixture(scope="session")
def anvil() -> Iterator[AnvilProcess]:
    with start_anvil() as process:
        yield process


@pytest.fixture(scope="session")
def _deployed(anvil: AnvilProcess) -> tuple[Ourselves, Onchainid]:
    async def deploy() -> tuple[Ourselves, Onchainid]:
        async with on(anvil.url) as evm:
            return await ourselves.set_up(evm), await onchainid.set_up(evm)

    return asyncio.run(deploy())


@pytest.fixture
async def evm(anvil: AnvilProcess) -> AsyncIterator[Evm]:
    async with on(anvil.url) as evm:
        yield evm


@pytest.fixture
def we(evm: Evm, _deployed: tuple[Ourselves, Onchainid]) -> Ourselves:
    return msgspec.structs.replace(_deployed[0], evm=evm)


@pytest.fixture
def they(evm: Evm, _deployed: tuple[Ourselves, Onchainid]) -> Onchainid:
    return msgspec.structs.replace(_deployed[1], evm=evm)


@pytest.fixture
async def suite(evm: Evm) -> Suite:
    return await trex.set_up(evm)
