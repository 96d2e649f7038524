"""Two processes on one PostgreSQL: what is promised once is kept once."""

import asyncio
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from issuer.cases.opening import KEY_LIFE
from issuer.cases.tables import Case
from issuer.db import EPOCH
from issuer.errors import ProviderUnavailable, StoreBusy
from issuer.inbox.tables import InboxEvent
from issuer.providers.protocol import Event
from tests.factories import WALLET, event_body
from tests.fakes import FakeProvider
from tests.integration.api.conftest import Api, run_api

BODY = {"level": "basic", "wallet": WALLET}
postgresql_only = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@postgresql_only
async def test_one_key_at_two_replicas_is_one_case_and_one_check(store_url: str) -> None:
    provider = FakeProvider()
    async with run_api(store_url, provider=provider) as one, run_api(store_url, provider=provider) as two:
        two.client.headers = one.client.headers
        for number in range(5):
            headers = {"idempotency-key": f"k-{number}"}
            posts = [side.client.post("/v1/cases", json=BODY, headers=headers) for side in (one, two) * 4]
            answers = await asyncio.gather(*posts)
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.json()["id"] for answer in answers}) == 1
        assert len(provider.checks) == 5
        assert len({check.reference for check in provider.checks.values()}) == 1


@pytest.mark.failure("F17")
@postgresql_only
async def test_the_same_events_in_other_orders_at_two_replicas_are_stored_once(store_url: str) -> None:
    async with run_api(store_url) as one, run_api(store_url) as two:
        bodies = [event_body(f"evt_{number:03}") for number in range(100)]
        answers = await asyncio.gather(
            *(one.deliver(body) for body in bodies), *(two.deliver(body) for body in reversed(bodies))
        )
        assert {answer.status_code for answer in answers} == {202}
        async with one.db.read() as session:
            assert await session.scalar(sa.select(sa.func.count()).select_from(InboxEvent)) == 100


async def test_a_key_that_the_provider_may_have_forgotten_is_not_trusted(api: Api) -> None:
    api.provider.lost_answers.append(ProviderUnavailable("gone"))
    headers = {"idempotency-key": "k-1"}
    lost = (await api.client.post("/v1/cases", json=BODY, headers=headers)).json()
    api.provider._by_key.clear()  # past the life of its keys
    async with api.db.write() as session:
        case = await session.get(Case, lost["case_id"])
        assert case is not None
        case.created_at -= KEY_LIFE * 2
    again = await api.client.post("/v1/cases", json=BODY, headers=headers)
    assert again.status_code == 201
    assert list(api.provider.checks) == [again.json()["provider_ref"]]


@pytest.mark.failure("F21")
async def test_a_store_that_is_busy_is_503_and_never_202(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(_rows: object) -> None:
        raise StoreBusy("the database is busy")

    monkeypatch.setattr(api.services.inbox._events, "_write", busy)
    answer = await api.deliver(event_body("evt_1"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    monkeypatch.undo()
    assert (await api.deliver(event_body("evt_1"))).status_code == 202


async def test_no_text_of_a_provider_can_break_a_batch(api: Api) -> None:
    now = datetime.now(UTC)
    nasty = ["x" * 5000, "\x00", "a\x00b", "\ud800", "é" * 300, "😀" * 300, "'; DROP TABLE inbox_events; --", ""]
    writer = api.services.inbox

    def event(text: str) -> Event:
        return Event(
            key=text,
            name=text,
            known=True,
            check_ref=text,
            template=text,
            reference=text,
            status=text,
            occurred_at=EPOCH,
        )

    await asyncio.gather(*(writer.receive("persona", "sandbox", event(t), body=b"", at=now) for t in nasty * 2))
    async with api.db.read() as session:
        rows = list(await session.scalars(sa.select(InboxEvent)))
    assert len(rows) == len(nasty)
    assert all(row.occurred_at == EPOCH and row.received_at == now for row in rows)
    assert all(len(row.event_key) <= 200 and len(row.name) <= 100 for row in rows)


async def test_an_event_and_its_job_are_committed_together(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object) -> None:
        raise RuntimeError("no queue")

    monkeypatch.setattr(api.services.queue, "enqueue", broken)
    assert (await api.deliver(event_body("evt_1"))).status_code == 500
    async with api.db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(InboxEvent)) == 0
