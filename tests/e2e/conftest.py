"""One stack for a file of tests on each store; tests of a file run in one event loop."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.rig import Rig


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """The daemon speaks to the chain through a proxy that tests may turn against it."""
    stores = request.getfixturevalue(f"{request.param}_stores")
    with stores.fresh() as url:
        directory = tmp_path_factory.mktemp("stack") / "stack"
        settings = {"CLAIMWRIGHT_SILENT_SECONDS": "3"}
        async with Rig(directory, database_url=url, proxied=True, settings=settings) as rig:
            yield rig
