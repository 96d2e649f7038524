"""`claimwright provider persona catch-up` against a real simulator, on both stores."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from issuer import cli
from issuer.cases.tables import Case
from issuer.db import Database
from issuer.inbox.tables import InboxEvent
from scripts.persona_simulator import launch
from tests import factories


@pytest.fixture(scope="module")
def persona() -> Iterator[launch.Running]:
    with launch.start() as running:
        yield running


@pytest.fixture
def catch_up(
    db: Database, persona: launch.Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    for name, value in {
        "CLAIMWRIGHT_ENV": "test",
        "DATABASE_URL": db.url.render_as_string(hide_password=False),
        "CLAIMWRIGHT_CHAIN_ID": "31337",
        "CLAIMWRIGHT_PROVIDERS": "persona",
        "PERSONA_API_KEY": persona.api_key,
        "PERSONA_TEMPLATE_ID": persona.template_id,
        "PERSONA_API_BASE_URL": persona.api,
    }.items():
        monkeypatch.setenv(name, value)

    async def run(*more: str) -> dict[str, int]:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.run, ["provider", "persona", "catch-up", "--json", *more])
        out = capsys.readouterr()
        assert code == 0, out.err
        return dict(json.loads(out.out))

    return run


def inquiry(persona: launch.Running, *actions: str) -> str:
    """One that somebody went through."""
    with httpx.Client(base_url=persona.api, headers=persona.headers, trust_env=False) as api:
        body = {"data": {"attributes": {"inquiry-template-id": persona.template_id}}}
        made: str = api.post("/inquiries", json=body).json()["data"]["id"]
        simulated = {"meta": {"simulate-actions": [{"type": f"{action}_inquiry"} for action in actions]}}
        assert api.post(f"/inquiries/{made}/perform-simulate-actions", json=simulated).is_success
    return made


async def seen(db: Database, check_ref: str, evidence_at: datetime | None) -> None:
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        session.add(factories.case(subject.id, check_ref=check_ref, evidence_at=evidence_at, environment="sandbox"))


async def rung(db: Database) -> list[tuple[str, str | None]]:
    async with db.read() as session:
        rows = await session.scalars(sa.select(InboxEvent).where(InboxEvent.name == "check.seen"))
        return [(row.name, row.check_ref) for row in rows]


async def test_what_persona_shows_and_we_have_not_seen_is_read_again_once(
    db: Database, persona: launch.Running, catch_up: Any
) -> None:
    behind, known, open_one = (
        inquiry(persona, "start", "complete", "approve"),
        inquiry(persona, "start", "complete", "decline"),
        inquiry(persona, "start"),
    )
    inquiry(persona, "start", "complete", "approve")  # none of ours
    await seen(db, behind, None)
    await seen(db, known, datetime.now(UTC) + timedelta(seconds=5))
    await seen(db, open_one, None)
    first = await catch_up()
    assert first["to_read"] == 1
    assert first["added"] >= 4  # the events themselves, of all inquiries
    assert await rung(db) == [("check.seen", behind)]
    again = await catch_up()
    assert again["added"] == 0
    assert await rung(db) == [("check.seen", behind)]


async def test_only_inquiries_of_the_time_that_is_named_are_looked_at(
    db: Database, persona: launch.Running, catch_up: Any
) -> None:
    await seen(db, inquiry(persona, "start", "complete", "approve"), None)
    assert (await catch_up("--since", "2099-01-01"))["to_read"] == 0
    assert (await catch_up("--since", "2020-01-01"))["to_read"] == 1
    async with db.read() as session:
        assert await session.scalar(sa.select(sa.func.count(Case.id))) == 1
