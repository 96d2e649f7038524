"""The whole API works with the rights of its own database role, and with no more."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.db import Database
from issuer.inbox.tables import InboxEvent, RefusalCount
from issuer.migrations import grants
from tests import factories
from tests.factories import WALLET, event_body
from tests.integration.api.conftest import Api, run_api, until

BODY = {"level": "basic", "wallet": WALLET}
pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture
async def least(store_url: str, db: Database) -> AsyncIterator[Api]:
    """An app whose database role has only what `claimwright migrate --api-role` gives."""
    mark = f"{os.getpid()}_{os.urandom(3).hex()}"
    api_role, daemon_role = f"cw_api_{mark}", f"cw_daemon_{mark}"
    async with db.engine.begin() as connection:
        for role in (api_role, daemon_role):
            await connection.exec_driver_sql(f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'fixture-only'")
    await grants.grant(db, api_role=api_role, daemon_role=daemon_role)
    url = make_url(store_url).set(username=api_role, password="fixture-only")
    async with run_api(url.render_as_string(hide_password=False), owner=db) as api:
        yield api
    async with db.engine.begin() as connection:
        for role in (api_role, daemon_role):
            await connection.exec_driver_sql(f'DROP OWNED BY "{role}"')
            await connection.exec_driver_sql(f'DROP ROLE "{role}"')


async def test_everything_that_the_api_does(least: Api, db: Database) -> None:
    assert (await least.anonymous.get("/health/ready")).status_code == 200
    made = await least.client.post("/v1/cases", json=BODY, headers={"idempotency-key": "k"})
    assert made.status_code == 201
    case_id, check_ref = made.json()["id"], made.json()["provider_ref"]
    assert (await least.client.post("/v1/cases", json=BODY, headers={"idempotency-key": "k"})).status_code == 201
    assert (await least.client.post(f"/v1/cases/{case_id}/resume")).status_code == 200
    assert (await least.client.post(f"/v1/cases/{case_id}/expire")).status_code == 202
    assert (await least.deliver(event_body("evt_1", check_ref=check_ref))).status_code == 202
    assert (await least.deliver(event_body("evt_1"), persona_signature="forged")).status_code == 401

    async with db.write() as session:
        decision = factories.decision(case_id)
        session.add(decision)
        await session.flush()
        claim = factories.claim(case_id, decision.id)
        session.add(claim)
    answer = await least.client.post(f"/v1/claims/{claim.id}/revoke", json={"reason": "x"})
    assert answer.status_code == 202, answer.text
    paths = ["cases", f"cases/{case_id}", f"cases/{case_id}/timeline", "claims", f"subjects/{WALLET}/status"]
    for path in paths:
        assert (await least.client.get(f"/v1/{path}")).status_code == 200, path

    async def counted() -> bool:
        async with db.read() as session:
            return await session.scalar(sa.select(RefusalCount.count)) == 1

    await until(counted)


async def test_a_wallet_that_two_opened_at_once_has_one_subject(least: Api, db: Database) -> None:
    async with db.engine.connect() as other:  # another replica, not committed yet
        await other.exec_driver_sql("INSERT INTO subjects (id, created_at) VALUES ('sub_first', 1)")
        await other.exec_driver_sql(
            f"INSERT INTO subject_wallets (id, subject_id, wallet, created_at) VALUES ('w', 'sub_first', '{WALLET}', 1)"
        )
        async with AsyncSession(db.engine) as watching:
            post = asyncio.create_task(least.client.post("/v1/cases", json=BODY))

            async def waits() -> bool:
                blocked = sa.text(
                    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
                    "WHERE NOT granted AND datname = current_database()"
                )
                found = await watching.scalar(blocked)
                await watching.rollback()
                return bool(found)

            await until(waits)
            await other.commit()
            assert (await post).status_code == 201
    assert {check.reference for check in least.provider.checks.values()} == {"sub_first"}


async def test_events_before_their_case_are_woken_with_these_rights(least: Api, db: Database) -> None:
    start = least.provider.start

    async def late(request):
        started = await start(request)
        await least.deliver(event_body("evt_early", check_ref=started.check_ref))
        async with db.write() as session:
            await session.execute(sa.update(InboxEvent).values(handled_at=datetime.now(UTC), outcome="unknown_check"))
        return started

    least.provider.start = late  # type: ignore[method-assign]
    assert (await least.client.post("/v1/cases", json=BODY)).status_code == 201
    async with db.read() as session:
        assert (await session.scalars(sa.select(InboxEvent.handled_at))).all() == [None]
