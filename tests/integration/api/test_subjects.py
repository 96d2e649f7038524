"""Attempts, their limit and their reset; restriction; the notice; where people are lost."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from issuer import history
from issuer.cases.levels import LEVELS
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Subject
from issuer.clock import now
from issuer.ids import new_id
from issuer.providers.protocol import Outcome
from issuer.subjects import store
from issuer.subjects.stats import Day, Report, chart
from tests.factories import WALLET
from tests.integration.api.conftest import Api, run_api

BODY = {"level": "basic", "wallet": WALLET}


@pytest.fixture
def two_attempts() -> Iterator[None]:
    shipped = LEVELS["basic"]
    LEVELS["basic"] = msgspec.structs.replace(shipped, attempts=2)
    yield
    LEVELS["basic"] = shipped


async def end(api: Api, case_id: str, status: CaseStatus) -> None:
    async with api.db.write() as session:
        case = await session.get(Case, case_id)
        assert case is not None
        history.record(session, case_id=case_id, at=now(), source=case.status, target=status, cause="provider")
        case.status = status


async def test_after_so_many_attempts_only_a_reset_allows_another(api: Api, two_attempts: None) -> None:
    for status in (CaseStatus.DECLINED, CaseStatus.EXPIRED, CaseStatus.FAILED):
        opened = await api.client.post("/v1/cases", json=BODY)
        assert opened.status_code == 201, opened.text
        await end(api, opened.json()["id"], status)
    refused = await api.client.post("/v1/cases", json=BODY)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:claimwright:problem:attempts-spent")
    stats = (await api.client.get(f"/v1/subjects/{WALLET}/stats")).json()
    assert (stats["total"], stats["by_status"]) == (3, {"declined": 1, "expired": 1, "failed": 1})
    reads = await api.key("subjects:read")
    assert (await api.anonymous.post(f"/v1/subjects/{WALLET}/reset", headers=reads)).status_code == 403
    assert (await api.client.post(f"/v1/subjects/{WALLET}/reset")).status_code == 200
    assert (await api.client.post("/v1/cases", json=BODY)).status_code == 201


async def test_for_a_subject_whose_erasure_was_asked_for_nothing_is_opened(api: Api) -> None:
    assert (await api.client.post("/v1/cases", json=BODY)).status_code == 201
    async with api.db.write() as session:
        (await store.of_wallet(session, WALLET)).restricted_at = now()
    refused = await api.client.post("/v1/cases", json=BODY)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:claimwright:problem:subject-restricted")


async def test_a_wallet_that_was_never_seen_has_no_stats(api: Api) -> None:
    assert (await api.client.get(f"/v1/subjects/{WALLET}/stats")).status_code == 404


async def test_with_a_notice_a_case_needs_the_holders_word(store_url: str) -> None:
    async with run_api(store_url, CLAIMWRIGHT_NOTICE_VERSION="2026-11") as api:
        for word in ({}, {"notice": "2025-01"}):
            refused = await api.client.post("/v1/cases", json=BODY | word)
            assert (refused.status_code, refused.json()["type"]) == (409, "urn:claimwright:problem:notice-not-accepted")
        opened = await api.client.post("/v1/cases", json=BODY | {"notice": "2026-11"})
        async with api.db.read() as session:
            case = await session.get(Case, opened.json()["id"])
        assert case is not None
        assert case.notice == "2026-11"


async def test_a_cancelled_case_stays_cancelled_and_its_check_is_closed(api: Api) -> None:
    case = (await api.client.post("/v1/cases", json=BODY)).json()
    cancelled = await api.client.post(f"/v1/cases/{case['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["summary"] == "not_verified"
    assert api.provider.checks[case["provider_ref"]].outcome == Outcome.EXPIRED
    again = await api.client.post(f"/v1/cases/{case['id']}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "urn:claimwright:problem:illegal-move")


async def test_where_people_are_lost(api: Api) -> None:
    for status in (CaseStatus.EXPIRED, CaseStatus.EXPIRED, CaseStatus.DECLINED, CaseStatus.APPROVED):
        case = (await api.client.post("/v1/cases", json=BODY)).json()
        await end(api, case["id"], status)
    report = (await api.client.get("/v1/reports/failures")).json()
    assert (report["opened"], report["approved"]) == (4, 1)
    assert [(loss["step"], loss["ended"], loss["count"]) for loss in report["losses"]] == [
        ("created", "expired", 2), ("created", "declined", 1),
    ]  # fmt: skip
    assert sum(day["lost"] for day in report["days"]) == 3
    other = await api.key("cases:read", tenant_id="other")
    assert (await api.anonymous.get("/v1/reports/failures", headers=other)).json()["opened"] == 0


@pytest.mark.parametrize(
    "query",
    [{"since": "2026-11-20T00:00:00"}, {"since": "yesterday"}, {"since": "2020-01-01T00:00:00Z"}],
)
async def test_a_period_that_is_none_is_named(api: Api, query: dict[str, str]) -> None:
    answer = await api.client.get("/v1/reports/failures", params=query)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:claimwright:problem:invalid-input")


def test_the_chart_has_a_bar_for_each_day() -> None:
    at = now()
    days = [Day(day="2026-11-25", opened=10, approved=5, lost=3), Day(day="2026-11-26", opened=0, approved=0, lost=0)]
    lines = chart(Report(since=at - timedelta(days=2), until=at, opened=10, approved=5, losses=[], days=days), width=10)
    assert lines[0].split()[1] == "#####---.."
    assert lines[1].startswith("2026-11-26")


async def test_a_subject_is_known_by_its_wallet_alone(api: Api) -> None:
    async with api.db.write() as session:
        session.add(Subject(id=new_id("sub"), created_at=now()))
    assert (await api.client.get(f"/v1/subjects/{WALLET}/stats")).status_code == 404
