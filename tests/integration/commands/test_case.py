"""`claimwright case resume|expire|cancel` against a real simulator."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from issuer import cli
from issuer.cases import store as cases
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.db import Database
from scripts.ground import ROOT
from scripts.persona_simulator import launch
from tests import factories

OPERATIONS = ROOT / "docs" / "operations.md"


@pytest.fixture(scope="module")
def persona() -> Iterator[launch.Running]:
    with launch.start() as running:
        yield running


@pytest.fixture
def claimwright(
    db: Database, persona: launch.Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    for name, value in {
        "CLAIMWRIGHT_ENV": "test",
        "CLAIMWRIGHT_CHAIN_ID": "31337",
        "DATABASE_URL": db.url.render_as_string(hide_password=False),
        "PERSONA_API_KEY": persona.api_key,
        "PERSONA_TEMPLATE_ID": persona.template_id,
        "PERSONA_API_BASE_URL": persona.api,
        "PERSONA_HOSTED_URL": f"{persona.url}/verify",
    }.items():
        monkeypatch.setenv(name, value)

    async def run(*argv: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.run, ["case", *argv, "--json"])
        out = capsys.readouterr()
        # Here a log goes to stdout as well, in a process of the command's own it does not.
        return code, json.loads(out.out.splitlines()[-1]) if code == 0 else out.err

    return run


def at_persona(persona: launch.Running, method: str, path: str, body: object = None) -> dict[str, Any]:
    with httpx.Client(base_url=persona.api, headers=persona.headers, trust_env=False) as api:
        answer = api.request(method, path, json=body)
    assert answer.is_success
    return dict(answer.json()["data"])


async def opened(db: Database, persona: launch.Running, **more: Any) -> Case:
    """A case with a check of its own at Persona."""
    body = {"data": {"attributes": {"inquiry-template-id": persona.template_id}}}
    check_ref = at_persona(persona, "POST", "/inquiries", body)["id"]
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        values = {"check_ref": check_ref, "environment": "sandbox", "status": CaseStatus.CREATED} | more
        case = factories.case(subject.id, **values)
        session.add(case)
    return case


async def test_a_new_way_in_is_a_session_or_a_link_for_the_mail(
    db: Database, persona: launch.Running, claimwright: Any
) -> None:
    case = await opened(db, persona)
    code, entered = await claimwright("resume", case.id)
    assert (code, entered["id"]) == (0, case.id)
    assert "session-token=" in entered["url"]
    code, mailed = await claimwright("resume", case.id, "--link")
    assert code == 0
    assert "code=" in mailed["url"]
    assert "session-token" not in mailed["url"]
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(mailed["url"])).status_code == 200


async def test_a_case_is_closed_at_the_provider_or_given_up(
    db: Database, persona: launch.Running, claimwright: Any
) -> None:
    case, other = await opened(db, persona), await opened(db, persona)
    code, _ = await claimwright("expire", case.id)
    assert code == 0
    assert at_persona(persona, "GET", f"/inquiries/{case.check_ref}")["attributes"]["status"] == "expired"
    code, given_up = await claimwright("cancel", other.id)
    assert (code, given_up["status"]) == (0, "cancelled")
    async with db.read() as session:
        assert (await cases.get(session, other.id, "default")).status == CaseStatus.CANCELLED
    code, said = await claimwright("resume", other.id)
    assert code == 1
    assert len(said.splitlines()) == 1


async def test_a_decided_case_has_no_way_in(db: Database, persona: launch.Running, claimwright: Any) -> None:
    case = await opened(db, persona, status=CaseStatus.APPROVED)
    for act in ("resume", "expire", "cancel"):
        code, said = await claimwright(act, case.id)
        assert (code, len(said.splitlines())) == (1, 1)


async def test_what_the_operators_page_says_of_somebody_who_is_stuck_works(
    db: Database, persona: launch.Running, claimwright: Any
) -> None:
    (block,) = re.findall(r"^```sh case\n(.*?)^```", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.split("#")[0].split() for line in block.splitlines()]
    assert [line[:2] for line in lines] == [["claimwright", "case"]] * len(lines)
    case = await opened(db, persona)
    for line in lines:
        code, said = await claimwright(*(case.id if word == "CASE_ID" else word for word in line[2:]))
        assert code == 0, said
