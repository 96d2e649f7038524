"""The fake provider is a provider: the same methods, the same arguments."""

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from issuer.errors import ProviderNotFound, ProviderUnavailable
from issuer.providers.persona import PersonaProvider
from issuer.providers.protocol import Outcome, Provider, StartCheck
from tests.fakes import FakeProvider

METHODS = [name for name, member in vars(Provider).items() if inspect.iscoroutinefunction(member)]


@pytest.mark.parametrize("kind", [FakeProvider, PersonaProvider])
@pytest.mark.parametrize("method", METHODS)
def test_it_speaks_the_protocol(kind: type, method: str) -> None:
    own = vars(kind)[method]
    assert inspect.iscoroutinefunction(own)
    assert list(inspect.signature(own).parameters) == list(inspect.signature(getattr(Provider, method)).parameters)


async def test_it_keeps_the_promises() -> None:
    provider = FakeProvider()
    request = StartCheck(reference="sub_1", template="itmpl_1", idempotency_key="k")
    first = await provider.start(request)
    assert (await provider.start(request)).check_ref == first.check_ref
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert [reading.check_ref for reading in await provider.find("sub_1", "itmpl_1", since)] == [first.check_ref]
    assert await provider.find("sub_2", "itmpl_1", since) == []
    await provider.approve(first.check_ref)
    assert (await provider.fetch(first.check_ref)).outcome is Outcome.APPROVED
    with pytest.raises(ProviderNotFound):
        await provider.resume("inq_other")
    provider.failures.append(ProviderUnavailable("down"))
    with pytest.raises(ProviderUnavailable):
        await provider.fetch(first.check_ref)
