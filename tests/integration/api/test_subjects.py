"""Attempts, their limit and their reset; restriction; the notice; where people are lost."""

import os
from collections.abc import Iterator
from datetime import timedelta

import httpx
import msgspec
import pytest
from msgspec import UNSET

from issuer import history
from issuer.cases.levels import LEVELS
from issuer.cases.reasons import Audience
from issuer.cases.rules import CaseStatus, reasons
from issuer.cases.tables import Case, Check, Subject
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.clock import now
from issuer.ids import new_id
from issuer.providers.protocol import Outcome
from issuer.subjects import store
from issuer.subjects.stats import Day, Report, chart, of_period
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
        case.status, case.reasons = status, reasons(status)


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
    assert report["reasons"] == [
        {"code": "check_expired", "count": 2}, {"code": "declined_by_provider", "count": 1},
    ]  # fmt: skip
    assert "checks" not in report
    assert sum(day["lost"] for day in report["days"]) == 3
    other = await api.key("cases:read", tenant_id="other")
    assert (await api.anonymous.get("/v1/reports/failures", headers=other)).json()["opened"] == 0


async def test_why_people_are_lost_is_told_by_audience(api: Api) -> None:
    case = (await api.client.post("/v1/cases", json=BODY)).json()
    await end(api, case["id"], CaseStatus.DECLINED)
    async with api.db.write() as session:
        row = await session.get(Case, case["id"])
        assert row is not None
        row.reasons = ["declined_by_provider", "watchlist_hit"]
        for ref, codes in (
            ("ver_1", ["selfie_liveness"]),
            ("ver_2", ["selfie_liveness", "selfie_pose"]),
            ("ver_3", []),
        ):
            session.add(
                Check(
                    id=new_id("chk"), case_id=row.id, ref=ref, kind="selfie", outcome="failed", reasons=codes,
                    updated_at=now(),
                )
            )  # fmt: skip
    report = (await api.client.get("/v1/reports/failures")).json()
    assert [one["code"] for one in report["reasons"]] == ["declined_by_provider"]
    assert "checks" not in report
    until = now() + timedelta(seconds=1)
    async with api.db.read() as session:
        whole = await of_period(session, "default", until - timedelta(days=1), until, Audience.COMPLIANCE)
    assert {one.code for one in whole.reasons} == {"declined_by_provider", "watchlist_hit"}
    assert whole.checks is not UNSET
    assert {(one.kind, one.code, one.count) for one in whole.checks} == {
        ("selfie", "selfie_liveness", 2), ("selfie", "selfie_pose", 1), ("selfie", "", 1),
    }  # fmt: skip


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
    lines = chart(
        Report(since=at - timedelta(days=2), until=at, opened=10, approved=5, losses=[], reasons=[], days=days),
        width=10,
    )
    assert lines[0].split()[1] == "#####---.."
    assert lines[1].startswith("2026-11-26")


async def test_a_subject_is_known_by_its_wallet_alone(api: Api) -> None:
    async with api.db.write() as session:
        session.add(Subject(id=new_id("sub"), created_at=now()))
    assert (await api.client.get(f"/v1/subjects/{WALLET}/stats")).status_code == 404


# ---- several wallets -----------------------------------------------------------------------------------------


class Owner:
    """Somebody's wallet."""

    def __init__(self) -> None:
        self.key = LocalSigner(os.urandom(32))
        self.wallet = self.key.address

    async def sign(self, message: str) -> dict[str, str]:
        body = message.encode()
        prefixed = b"\x19Ethereum Signed Message:\n" + str(len(body)).encode() + body
        made = await checked_sign(self.key, prefixed)
        raw = made.r.to_bytes(32, "big") + made.s.to_bytes(32, "big") + bytes([27 + made.y_parity])
        return {"message": message, "signature": "0x" + raw.hex()}


async def challenged(api: Api, one: Owner, other: Owner) -> dict[str, str]:
    asked = {"wallet": other.wallet, "domain": "dapp.example"}
    answer = await api.client.post(f"/v1/subjects/{one.wallet}/link/challenge", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def link(api: Api, one: Owner, other: Owner) -> httpx.Response:
    messages = await challenged(api, one, other)
    body = {
        "wallet": other.wallet,
        "proof": await one.sign(messages["message"]),
        "other_proof": await other.sign(messages["other_message"]),
    }
    return await api.client.post(f"/v1/subjects/{one.wallet}/link", json=body)


async def open_at(api: Api, owner: Owner, **more: str) -> httpx.Response:
    return await api.client.post("/v1/cases", json={"level": "basic", "wallet": owner.wallet} | more)


async def test_a_new_wallet_joins_the_person_and_two_persons_are_merged(api: Api) -> None:
    ada, other, third = Owner(), Owner(), Owner()
    assert (await open_at(api, ada)).status_code == 201
    assert (await link(api, ada, other)).status_code == 200
    assert (await open_at(api, other)).status_code == 201
    assert (await open_at(api, third)).status_code == 201
    assert (await link(api, other, third)).json() == {"wallets": [other.wallet, third.wallet]}
    for owner in (ada, other, third):
        assert (await api.client.get(f"/v1/subjects/{owner.wallet}/stats")).json()["total"] == 3
    async with api.db.read() as session:
        subjects = {(await store.of_wallet(session, owner.wallet)).id for owner in (ada, other, third)}
    assert len(subjects) == 2  # what was sealed with a subject stays with it
    assert (await link(api, third, ada)).status_code == 200  # once more changes nothing


async def test_a_link_needs_both_owners_and_serves_once(api: Api) -> None:
    ada, other, thief = Owner(), Owner(), Owner()
    messages = await challenged(api, ada, other)
    good = {"proof": await ada.sign(messages["message"]), "other_proof": await other.sign(messages["other_message"])}
    path = f"/v1/subjects/{ada.wallet}/link"
    for wrong in (
        good | {"other_proof": await thief.sign(messages["other_message"])},
        good | {"other_proof": good["proof"]},
        {"proof": good["other_proof"], "other_proof": good["proof"]},
        good | {"proof": await ada.sign(messages["message"].replace("dapp.example", "evil.example"))},
    ):
        answer = await api.client.post(path, json={"wallet": other.wallet} | wrong)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:claimwright:problem:wallet-not-proved")
    assert (await api.client.post(path, json={"wallet": other.wallet} | good)).status_code == 200
    assert (await api.client.post(path, json={"wallet": other.wallet} | good)).status_code == 409
    assert (await api.client.post(path, json={"wallet": ada.wallet} | good)).status_code == 400


async def test_a_level_may_allow_a_person_so_many_wallets(api: Api) -> None:
    shipped = LEVELS["basic"]
    LEVELS["basic"] = msgspec.structs.replace(shipped, wallets_per_person=1)
    try:
        ada, other = Owner(), Owner()
        first = (await open_at(api, ada)).json()
        await link(api, ada, other)
        await end(api, first["id"], CaseStatus.APPROVED)
        refused = await open_at(api, other)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:claimwright:problem:wallets-spent")
        assert (await open_at(api, ada)).status_code == 201  # the same wallet again
        assert (await open_at(api, other, replaces=first["id"])).status_code == 201  # or instead of it
    finally:
        LEVELS["basic"] = shipped


async def test_a_case_replaces_only_an_approved_one_of_the_same_person(api: Api) -> None:
    ada, other, stranger = Owner(), Owner(), Owner()
    first = (await open_at(api, ada)).json()
    await link(api, ada, other)
    for opened in (
        await open_at(api, other, replaces=first["id"]),  # it is not approved
        await open_at(api, stranger, replaces=first["id"]),
        await open_at(api, ada, replaces=first["id"]),
    ):
        assert (opened.status_code, opened.json().get("field")) == (400, "replaces")
    await end(api, first["id"], CaseStatus.APPROVED)
    assert (await open_at(api, stranger, replaces=first["id"])).status_code == 400
    assert (await open_at(api, other, replaces=first["id"])).status_code == 201
