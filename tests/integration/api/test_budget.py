"""The budget of checks: exact whoever opens them, hard at its end, and in the way of nothing else."""

import asyncio
from datetime import timedelta

import pytest

from issuer.cases import store
from issuer.clock import now
from tests.factories import WALLET
from tests.fakes import FakeProvider
from tests.integration.api.conftest import run_api

BODY = {"level": "basic", "wallet": WALLET}


async def test_at_its_end_no_case_is_opened_and_all_else_goes_on(store_url: str) -> None:
    provider = FakeProvider()
    async with run_api(store_url, provider=provider, CLAIMWRIGHT_CHECKS_PER_DAY="5") as api:
        key = {"idempotency-key": "k-1"}
        first = await api.client.post("/v1/cases", json=BODY, headers=key)
        answers = await asyncio.gather(*(api.client.post("/v1/cases", json=BODY) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [201] * 4 + [503] * 8
        assert len(provider.checks) == 5
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.json()["type"].endswith("budget-spent")
        assert 0 < int(refused.headers["retry-after"]) <= 24 * 60 * 60
        again = await api.client.post("/v1/cases", json=BODY, headers=key)
        assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])  # the same request costs nothing
        assert (await api.client.get(f"/v1/cases/{first.json()['id']}")).status_code == 200


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_two_replicas_share_one_budget(store_url: str) -> None:
    provider = FakeProvider()
    limit = {"CLAIMWRIGHT_CHECKS_PER_DAY": "10"}
    async with (
        run_api(store_url, provider=provider, **limit) as one,
        run_api(store_url, provider=provider, **limit) as two,
    ):
        answers = await asyncio.gather(*(side.client.post("/v1/cases", json=BODY) for side in (one, two) * 10))
        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [503] * 10


async def test_each_day_provider_and_environment_has_its_own(store_url: str) -> None:
    async with run_api(store_url) as api:
        today = now()
        async with api.db.write() as session:
            assert await store.spend_check(session, "persona", "sandbox", today, 1)
            assert not await store.spend_check(session, "persona", "sandbox", today, 1)
            assert await store.spend_check(session, "persona", "production", today, 1)
            assert await store.spend_check(session, "persona", "sandbox", today + timedelta(days=1), 1)
        async with api.db.read() as session:
            found = await store.checks_of_day(session, today)
        assert found == {("persona", "sandbox"): 1, ("persona", "production"): 1}
