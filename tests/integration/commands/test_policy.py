"""`claimwright policy dry-run` on both stores."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from issuer import cli
from issuer.cases import levels
from issuer.cases.levels import LEVELS
from issuer.cases.rules import CaseStatus
from issuer.db import Database
from tests import factories


async def approve(db: Database, **more: object) -> None:
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        case = factories.case(subject.id, **{"status": CaseStatus.APPROVED} | more)
        session.add(case)
        await session.flush()
        policy = msgspec.json.encode(LEVELS["basic"].policy()).decode()
        session.add(factories.decision(case.id, policy=policy))


async def test_it_counts_over_pages_and_changes_nothing(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", db.url.render_as_string(hide_password=False))
    monkeypatch.setattr("issuer.commands.policy.PAGE", 2)
    for _ in range(5):
        await approve(db)
    await approve(db, hits=["rep_1@T"])
    await approve(db, status=CaseStatus.DECLINED)
    file = tmp_path / "levels.toml"
    file.write_text(levels.SHIPPED.read_text().replace("validity_days = 365", "validity_days = 30"))
    assert await asyncio.to_thread(cli.run, ["policy", "dry-run", str(file), "--json"]) == 0
    rows = {row["what"]: row["cases"] for row in json.loads(capsys.readouterr().out)}
    assert rows == {"claims end sooner": 6, "a screening hit would wait for a person": 1}
    file.write_text("[levels]")
    assert await asyncio.to_thread(cli.run, ["policy", "dry-run", str(file)]) == 2
