"""Rulings over HTTP, and who is told which reason."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from issuer.access import store as access
from issuer.access.operators import Signer, signer_of
from issuer.cases import reasons
from issuer.cases.reasons import REASONS, Audience
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.ids import new_id
from issuer.queue.tables import Job
from issuer.reviews.rules import PROPOSE, SECOND, Act, Terms
from issuer.reviews.tables import Ruling
from tests import factories
from tests.factories import WALLET
from tests.integration.api.conftest import Api
from tests.integration.api.test_claims import approved


async def operator(api: Api, name: str) -> Signer:
    async with api.db.write() as session:
        _, token = await access.create_operator(session, name, datetime.now(UTC))
    return signer_of(token)


async def in_review(api: Api, **more: Any) -> str:
    async with api.db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        case = factories.case(subject.id, **({"status": CaseStatus.IN_REVIEW} | more))
        session.add(case)
    return str(case.id)


def body(signer: Signer, case_id: str, reason: str = "evidence_accepted", **more: Any) -> Any:
    """As `claimwright operator sign` prints it, with what a test changes afterwards."""
    terms = Terms(id=new_id("rul"), case_id=case_id, act=Act.APPROVE, reason=reason, seen="in_review@0")
    half = terms.sign(PROPOSE, signer, datetime.now(UTC))
    words = {"id": terms.id, "act": "approve", "reason": reason, "seen": terms.seen}
    return {**words, "operator_id": half.operator_id, "at": half.at.isoformat(), "signature": half.signature, **more}


def half(signer: Signer, case_id: str, ruling: Any) -> Any:
    terms = Terms(id=ruling["id"], case_id=case_id, act=Act(ruling["act"]), reason=ruling["reason"], seen="in_review@0")
    signed = terms.sign(SECOND, signer, datetime.now(UTC))
    return {"operator_id": signed.operator_id, "at": signed.at.isoformat(), "signature": signed.signature}


async def test_two_people_rule_over_http_and_the_daemon_is_rung(api: Api) -> None:
    ada, ben = await operator(api, "Ada"), await operator(api, "Ben")
    case_id = await in_review(api)
    (waiting,) = (await api.client.get("/v1/reviews")).json()["items"]
    assert (waiting["case_id"], waiting["seen"], waiting["ruling"]) == (case_id, "in_review@0", None)
    proposed = await api.client.post(f"/v1/cases/{case_id}/rulings", json=body(ada, case_id))
    assert (proposed.status_code, proposed.json()["status"]) == (202, "proposed")
    ruling = proposed.json()
    path = f"/v1/rulings/{ruling['id']}/second"
    own = await api.client.post(path, json=half(ada, case_id, ruling))
    assert (own.status_code, own.json()["type"]) == (409, "urn:claimwright:problem:conflict")
    seconded = await api.client.post(path, json=half(ben, case_id, ruling))
    assert (seconded.status_code, seconded.json()["status"]) == (202, "ready")
    listed = (await api.client.get(f"/v1/cases/{case_id}/rulings")).json()["items"]
    assert [one["seconded_by"] for one in listed] == [ben.operator_id]
    async with api.db.read() as session:
        if api.db.is_sqlite:
            assert (await session.scalars(sa.select(Job.key).where(Job.topic == "ruling"))).all() == [ruling["id"]]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"signature": "00" * 64}, 403),
        ({"signature": "no hex"}, 403),
        ({"operator_id": "opr_" + "0" * 32}, 403),
        ({"reason": "watchlist_hit"}, 400),
        ({"seen": "approved@0"}, 409),
        ({"act": "bless"}, 400),
        ({"id": "x"}, 400),
        ({"at": "2026-11-20T12:00:00"}, 400),
        ({"at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}, 400),
        ({"more": 1}, 400),
    ],
)
async def test_a_ruling_that_is_not_right_changes_nothing(api: Api, change: dict[str, object], status: int) -> None:
    ada = await operator(api, "Ada")
    case_id = await in_review(api)
    answer = await api.client.post(f"/v1/cases/{case_id}/rulings", json=body(ada, case_id) | change)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    async with api.db.read() as session:
        assert (await session.scalars(sa.select(Ruling))).all() == []


async def test_a_ruling_is_handed_in_once_and_withdrawn_while_it_waits(api: Api) -> None:
    ada = await operator(api, "Ada")
    case_id = await in_review(api)
    sent = body(ada, case_id)
    assert (await api.client.post(f"/v1/cases/{case_id}/rulings", json=sent)).status_code == 202
    assert (await api.client.post(f"/v1/cases/{case_id}/rulings", json=sent)).status_code == 409
    withdrawn = await api.client.post(f"/v1/rulings/{sent['id']}/withdraw")
    assert withdrawn.json()["status"] == "withdrawn"
    assert (await api.client.post(f"/v1/rulings/{sent['id']}/withdraw")).status_code == 409
    assert (await api.client.post(f"/v1/cases/{case_id}/rulings", json=sent)).status_code == 409  # it is used up


async def test_only_a_key_for_it_reviews_and_only_its_tenants_cases(api: Api) -> None:
    case_id = await in_review(api)
    reads = await api.key("cases:read", "cases:write", "claims:read", "subjects:read")
    other = await api.key("cases:review", tenant_id="other")
    assert (await api.anonymous.get("/v1/reviews", headers=reads)).status_code == 403
    assert (await api.anonymous.get("/v1/reviews", headers=other)).json()["items"] == []
    assert (await api.anonymous.get(f"/v1/cases/{case_id}/rulings", headers=other)).status_code == 404


async def test_the_queue_comes_in_pages(api: Api) -> None:
    ids = [await in_review(api, wallet=wallet) for wallet in (WALLET, factories.IDENTITY, WALLET)]
    first = (await api.client.get("/v1/reviews", params={"limit": 2})).json()
    rest = (await api.client.get("/v1/reviews", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["case_id"] for one in first["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("code", sorted(REASONS))
async def test_every_reason_keeps_its_audience_in_every_output(api: Api, code: str) -> None:
    """Each page that a dapp's key opens is read for a case that has the code in every place that can hold one."""
    ada = await operator(api, "Ada")
    case_id, claim_id = await approved(api)
    now = datetime.now(UTC)
    async with api.db.write() as session:
        case = await session.get(Case, case_id)
        assert case is not None
        case.reasons = ["declined_by_person", code]
        session.add(
            Ruling(
                id=new_id("rul"),
                case_id=case_id,
                act="decline",
                reason=code,
                seen="approved@0",
                four_eyes=False,
                status="applied",
                proposed_by=ada.operator_id,
                proposed_at=now,
                proposal_signature="00",
                told="told",
                updated_at=now,
            )
        )
    dapp = await api.key("cases:read", "cases:write", "claims:read", "claims:revoke", "subjects:read")
    told = {"case_id": case_id, "claim_id": claim_id, "wallet": WALLET}
    schema = (await api.anonymous.get("/schema/openapi.json")).json()
    pages = [path for path, each in schema["paths"].items() if "get" in each and path.startswith("/v1/")]
    opened = 0
    for path in pages:
        answer = await api.anonymous.get(re.sub(r"{(\w+)}", lambda found: told.get(found[1], "x"), path), headers=dapp)
        opened += answer.status_code == 200
        assert _says(answer.text, code) <= (Audience.DAPP in REASONS[code].audience), path
    assert opened >= 8
    review = await api.key("cases:review")
    assert code in (await api.anonymous.get(f"/v1/cases/{case_id}/rulings", headers=review)).text


def _says(text: str, code: str) -> bool:
    """As a word of its own: `other` is part of many."""
    return f'"{code}"' in json.dumps(json.loads(text))


def test_what_could_tip_somebody_off_is_for_compliance_alone() -> None:
    tipping = ("watchlist", "pep", "adverse", "fraud")
    for code, reason in REASONS.items():
        if any(word in code for word in tipping):
            assert reason.audience == {Audience.COMPLIANCE}, code
    assert all(Audience.COMPLIANCE in reason.audience for reason in REASONS.values())


@given(st.lists(st.sampled_from(sorted(REASONS)) | st.text(max_size=20)))
def test_a_subject_never_sees_more_than_a_dapp_and_nobody_but_compliance_an_unknown_code(codes: list[str]) -> None:
    subject, dapp = reasons.shown(codes, Audience.SUBJECT), reasons.shown(codes, Audience.DAPP)
    assert set(subject) <= set(dapp) <= set(REASONS)
    assert reasons.shown(codes, Audience.COMPLIANCE) == codes
