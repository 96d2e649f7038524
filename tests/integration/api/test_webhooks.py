"""From signed bytes to one committed row, and everything that is refused on the way."""

import asyncio
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from api.webhooks import CAP, DRAIN
from issuer.inbox import store
from issuer.inbox.tables import InboxEvent, Refusal
from issuer.providers.persona_webhook import PersonaDoor
from tests.factories import WEBHOOK_SECRET, event_body, signature
from tests.integration.api.conftest import Api, run_api, until

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures/persona/signature-vectors.json").read_text())["vectors"]


async def events(api: Api) -> list[InboxEvent]:
    async with api.db.read() as session:
        return list(await session.scalars(sa.select(InboxEvent)))


async def refused(api: Api, count: int) -> list[Refusal]:
    """The refusals, once there are `count`."""

    async def enough() -> bool:
        async with api.db.read() as session:
            return (await session.scalar(sa.select(sa.func.count()).select_from(Refusal))) == count

    await until(enough)
    async with api.db.read() as session:
        return await store.refusals(session)


async def test_a_signed_event_is_kept_and_nothing_of_its_body_is(api: Api) -> None:
    body = event_body("evt_1")
    answer = await api.deliver(body)

    assert (answer.status_code, answer.content) == (202, b"{}")
    (event,) = await events(api)
    assert (event.provider, event.environment, event.event_key, event.name) == (
        "persona", "sandbox", "evt_1", "inquiry.approved",
    )  # fmt: skip
    assert (event.check_ref, event.status, event.known, event.handled_at) == ("inq_1", "approved", True, None)
    assert event.body_hash == sha256(body).hexdigest()


async def test_an_event_wakes_the_daemon(api: Api) -> None:
    await api.deliver(event_body("evt_1"))
    (event,) = await events(api)
    seen: list[str] = []
    stop = asyncio.Event()

    async def handle(key: str) -> None:
        seen.append(key)
        stop.set()

    async with asyncio.timeout(10):
        await api.services.queue.run({"inbox": handle}, stop)
    assert seen == [event.id]


@pytest.mark.failure("F17")
async def test_twenty_at_once_are_one_row_and_twenty_202s(api: Api) -> None:
    body = event_body("evt_1")
    answers = await asyncio.gather(*(api.deliver(body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(await events(api)) == 1


async def test_unknown_events_and_events_about_nothing_are_kept_too(api: Api) -> None:
    assert (await api.deliver(event_body("evt_1", name="something.new"))).status_code == 202
    bare = b'{"data":{"type":"event","id":"evt_2","attributes":{"name":"inquiry.approved"}}}'
    assert (await api.deliver(bare)).status_code == 202
    assert len(await events(api)) == 2


@pytest.mark.failure("F17")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
async def test_every_signature_vector_through_the_front_door(store_url: str, vector: dict) -> None:
    now = datetime.fromtimestamp(vector["now"], UTC)
    doors = {("persona", "sandbox"): PersonaDoor("sandbox", vector["secrets"], 300)}
    async with run_api(store_url, doors=doors, clock=lambda: now) as api:
        headers = {"persona-signature": vector["header"].encode("utf-8")} if vector["header"] else {}
        answer = await api.anonymous.post("/webhooks/persona", content=vector["body"].encode(), headers=headers)
        assert answer.status_code == (202 if vector["expect_valid"] else 401), vector["why"]
        assert len(await events(api)) == vector["expect_valid"]


@pytest.mark.failure("F17")
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"", "unsigned"),
        (b"nonsense", "malformed-signature"),
        ("t=1,v1=é".encode(), "malformed-signature"),
        (b"t=1,v1=" + b"0" * 64, "bad-signature"),
        (signature(event_body("evt_1"), at=1_700_000_000).encode(), "stale"),
        (signature(event_body("evt_1"), secret="wbhsec_" + "f" * 32).encode(), "bad-signature"),
        (b"t=1,v1=" + b"0" * 64 + b" " + b"x" * 5000, "malformed-signature"),
    ],
    ids=["none", "nonsense", "no hex", "zeros", "old", "another secret", "long"],
)
async def test_a_forgery_is_401_and_leaves_a_row_without_its_body(api: Api, header: bytes, reason: str) -> None:
    body = event_body("evt_1")
    answer = await api.anonymous.post("/webhooks/persona", content=body, headers={"persona-signature": header})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"]
    (row,) = await refused(api, 1)
    assert (row.provider, row.environment, row.reason, row.body_hash) == (
        "persona", "sandbox", reason, sha256(body).hexdigest(),
    )  # fmt: skip
    assert await events(api) == []


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"data":{}}', b"\xff\xfe", b"[" * 5000])
async def test_signed_nonsense_is_refused_as_malformed(api: Api, body: bytes) -> None:
    assert (await api.deliver(body)).status_code == 401
    assert (await refused(api, 1))[0].reason == "malformed"


async def test_a_body_with_any_text_in_it_is_stored_once(api: Api) -> None:
    body = event_body("evt_1").replace(b'"sub_1"', '"Zoë \\u0000 \\ud83d\\ude00 é"'.encode())
    assert (await api.deliver(body)).status_code == 202
    assert (await events(api))[0].reference is None


@pytest.mark.failure("F17")
@pytest.mark.parametrize("size", [CAP + 1, 3 * CAP])
async def test_a_body_over_the_cap_is_drained_and_413(api: Api, size: int) -> None:
    body = b"x" * size
    answer = await api.deliver(body)
    assert answer.status_code == 413
    assert "connection" not in answer.headers
    (row,) = await refused(api, 1)
    assert (row.reason, row.body_hash) == ("too-large", sha256(body).hexdigest())


async def test_a_body_of_exactly_the_cap_is_taken(api: Api) -> None:
    body = event_body("evt_1")
    body = body[:-1] + b" " * (CAP - len(body)) + body[-1:]
    assert (await api.deliver(body)).status_code == 202


async def test_a_huge_body_is_cut_off(api: Api) -> None:
    async def endless():
        for _ in range(DRAIN // CAP + 4):
            yield b"x" * CAP

    answer = await api.anonymous.post("/webhooks/persona", content=endless())
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


async def test_paths_without_a_provider_are_404_and_other_methods_405(api: Api) -> None:
    for path in ("/webhooks/onfido", "/webhooks/persona/production", "/webhooks/persona/sandbox/x", "/webhooks"):
        answer = await api.deliver(event_body("evt_1"), path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await api.anonymous.get("/webhooks/persona")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await api.deliver(event_body("evt_1"), "/webhooks/persona/sandbox")).status_code == 202


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_with_two_environments_the_bare_path_is_nobodys(store_url: str) -> None:
    two = {
        "PERSONA_ENVIRONMENT": "sandbox,production",
        "PERSONA_API_KEY_SANDBOX": "persona_sandbox_5b1c9f64-3f0e",
        "PERSONA_API_KEY_PRODUCTION": "persona_production_5b1c9f64-3f0e",
        "PERSONA_WEBHOOK_SECRET_SANDBOX": WEBHOOK_SECRET,
        "PERSONA_WEBHOOK_SECRET_PRODUCTION": "wbhsec_0a1c9f64-3f0e-4d52-9a7b-2f8f6d1e0c43",
        "PERSONA_TEMPLATE_ID_SANDBOX": "itmpl_a",
        "PERSONA_TEMPLATE_ID_PRODUCTION": "itmpl_b",
    }
    async with run_api(store_url, **two) as api:
        body = event_body("evt_1")
        assert (await api.deliver(body)).status_code == 404
        assert (await api.deliver(body, "/webhooks/persona/sandbox")).status_code == 202
        assert (await api.deliver(body, "/webhooks/persona/production")).status_code == 401


async def test_a_flood_of_forgeries_is_bounded_and_starves_nobody(api: Api) -> None:
    body = event_body("evt_1")

    async def forge(number: int) -> httpx.Response:
        return await api.anonymous.post("/webhooks/persona", content=b"%d" % number)

    async def honest(number: int) -> httpx.Response:
        return await api.deliver(event_body(f"evt_{number}"))

    answers = await asyncio.gather(*(forge(i) if i % 6 else honest(i) for i in range(600)), api.deliver(body))
    assert [answer.status_code for answer in answers].count(202) == 101
    assert [answer.status_code for answer in answers].count(401) == 500
    assert len(await events(api)) == 101

    async def counted() -> bool:
        async with api.db.read() as session:
            return sum(row.count for row in await store.refusal_counts(session)) == 500

    await until(counted)


async def test_only_the_newest_thousand_refusals_are_kept(api: Api) -> None:
    row = {"tenant_id": "default", "provider": "persona", "environment": "sandbox", "reason": "unsigned"}
    async with api.db.write() as session:
        old = [row | {"at": datetime.now(UTC), "body_hash": f"{number:064x}"} for number in range(1500)]
        await store.add_refusals(session, old, {("persona", "sandbox", "unsigned"): 1500})
    await api.anonymous.post("/webhooks/persona", content=b"")

    async def pruned() -> bool:
        async with api.db.read() as session:
            kept = await store.refusals(session, limit=2000)
        return len(kept) == 1000 and kept[0].body_hash == sha256(b"").hexdigest()

    await until(pruned)


@pytest.mark.failure("F17")
async def test_events_that_came_before_their_case_are_handled_once_it_knows_its_check(api: Api) -> None:
    created = api.provider.start

    async def start_late(request):
        started = await created(request)
        await api.deliver(event_body("evt_early", check_ref=started.check_ref))
        async with api.db.write() as session:  # the daemon found no case for it
            await session.execute(sa.update(InboxEvent).values(handled_at=datetime.now(UTC), outcome="unknown_check"))
        return started

    api.provider.start = start_late  # type: ignore[method-assign]
    answer = await api.client.post("/v1/cases", json={"level": "basic", "wallet": "0x" + "ab" * 20})
    assert answer.status_code == 201
    (event,) = await events(api)
    assert (event.handled_at, event.outcome) == (None, None)


async def test_an_event_can_be_replayed(api: Api) -> None:
    await api.deliver(event_body("evt_1"))
    now = datetime.now(UTC)
    async with api.db.write() as session:
        (event,) = await store.list_events(session)
        event.handled_at, event.outcome = now, "no_change"
    async with api.db.write() as session:
        await store.replay(session, event.id, now, api.services.queue)
    (event,) = await events(api)
    assert (event.handled_at, event.outcome, event.next_try_at) == (None, None, now)
