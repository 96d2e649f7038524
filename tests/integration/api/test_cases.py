"""Opening, finding and entering cases."""

import asyncio

import pytest
import sqlalchemy as sa

from issuer.cases.tables import Case, SubjectWallet
from issuer.errors import ProviderRefused, ProviderUnavailable
from tests.factories import WALLET
from tests.integration.api.conftest import Api, until

BODY = {"level": "basic", "wallet": WALLET}


async def test_a_new_case_answers_with_a_way_in(api: Api) -> None:
    answer = await api.client.post(
        "/v1/cases", json=BODY | {"reference": "order-1", "tag": "spring", "chain_ids": [31337]}
    )

    assert answer.status_code == 201
    case = answer.json()
    assert set(case) == {
        "id", "status", "summary", "level", "wallet", "reference", "tag", "provider", "provider_ref", "environment",
        "reasons", "session", "claims", "decision", "created_at", "updated_at",
    }  # fmt: skip
    assert (case["status"], case["summary"], case["wallet"], case["reference"]) == (
        "created", "pending", WALLET, "order-1",
    )  # fmt: skip
    assert case["provider_ref"] in api.provider.checks
    assert set(case["session"]) == {"token", "url", "expires_at"}
    assert case["claims"] == []
    assert case["decision"] is None

    again = (await api.client.get(f"/v1/cases/{case['id']}")).json()
    assert "session" not in again
    assert again == {name: value for name, value in case.items() if name != "session"}


async def test_the_provider_sees_a_subject_and_never_a_wallet(api: Api) -> None:
    await api.client.post("/v1/cases", json=BODY | {"prefill": {"name_first": "Ada"}})
    await api.client.post("/v1/cases", json=BODY)

    first, second = api.provider.started
    assert first.reference == second.reference
    assert first.reference.startswith("sub_")
    assert first.prefill == {"name_first": "Ada"}
    async with api.db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(SubjectWallet)) == 1


async def test_twenty_at_once_with_one_key_make_one_case_and_one_check(api: Api) -> None:
    headers = {"idempotency-key": "k-1"}
    answers = await asyncio.gather(*(api.client.post("/v1/cases", json=BODY, headers=headers) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(api.provider.checks) == 1
    assert len(api.provider.started) == 1
    assert all(answer.json()["session"]["token"] for answer in answers)


async def test_twenty_wallets_at_once_without_a_key_share_one_subject(api: Api) -> None:
    answers = await asyncio.gather(*(api.client.post("/v1/cases", json=BODY) for _ in range(20)))

    assert len({answer.json()["id"] for answer in answers}) == 20
    assert len({check.reference for check in api.provider.checks.values()}) == 1


async def test_a_key_stands_for_one_body(api: Api) -> None:
    headers = {"idempotency-key": "k-1"}
    first = await api.client.post("/v1/cases", json=BODY, headers=headers)
    for other in (BODY | {"reference": "x"}, BODY | {"prefill": {"name_first": "Ada"}}):
        answer = await api.client.post("/v1/cases", json=other, headers=headers)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:claimwright:problem:idempotency-mismatch"
    same = await api.client.post("/v1/cases", json=BODY, headers=headers)
    assert same.json()["id"] == first.json()["id"]
    assert same.json()["session"]["token"] != first.json()["session"]["token"]


async def test_a_key_of_another_caller_is_another_key(api: Api) -> None:
    headers = {"idempotency-key": "k-1"}
    first = await api.client.post("/v1/cases", json=BODY, headers=headers)
    other = await api.client.post("/v1/cases", json=BODY, headers=headers | await api.key("cases:write"))
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]


async def test_a_provider_that_is_down_leaves_a_case_to_come_back_to(api: Api) -> None:
    api.provider.failures.append(ProviderUnavailable("down", retry_after=7))
    headers = {"idempotency-key": "k-1"}
    answer = await api.client.post("/v1/cases", json=BODY, headers=headers)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/problem+json"
    kept = (await api.client.get(f"/v1/cases/{answer.json()['case_id']}")).json()
    assert (kept["status"], kept["provider_ref"]) == ("created", None)

    again = await api.client.post("/v1/cases", json=BODY, headers=headers)
    assert again.status_code == 201
    assert again.json()["id"] == kept["id"]
    assert len(api.provider.checks) == 1


@pytest.mark.parametrize("same_key", [True, False])
@pytest.mark.parametrize("way", ["repeat", "resume"])
async def test_a_lost_answer_never_makes_a_second_check(api: Api, same_key: bool, way: str) -> None:
    api.provider.lost_answers.append(ProviderUnavailable("gone", same_key=same_key))
    headers = {"idempotency-key": "k-1"}
    body = BODY | {"prefill": {"name_first": "Ada"}}
    lost = await api.client.post("/v1/cases", json=body, headers=headers)
    assert lost.status_code == 503
    case_id = lost.json()["case_id"]

    if way == "repeat":
        again = await api.client.post("/v1/cases", json=body, headers=headers)
    else:
        again = await api.client.post(f"/v1/cases/{case_id}/resume")

    assert again.status_code in (200, 201)
    assert again.json()["id"] == case_id
    assert again.json()["session"]["url"]
    assert list(api.provider.checks) == [again.json()["provider_ref"]]


async def test_a_lost_check_of_one_case_is_not_taken_from_another(api: Api) -> None:
    first = (await api.client.post("/v1/cases", json=BODY)).json()
    api.provider.failures.append(ProviderUnavailable("down", same_key=False))
    failed = (await api.client.post("/v1/cases", json=BODY)).json()
    second = (await api.client.post(f"/v1/cases/{failed['case_id']}/resume")).json()

    assert second["provider_ref"] != first["provider_ref"]
    assert len(api.provider.checks) == 2


async def test_a_refusal_of_the_provider_is_502_and_the_next_try_uses_a_new_key(api: Api) -> None:
    api.provider.failures.append(ProviderRefused("no such template", status=422))
    answer = await api.client.post("/v1/cases", json=BODY)
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:claimwright:problem:provider-refused"
    case_id = answer.json()["case_id"]

    assert (await api.client.post(f"/v1/cases/{case_id}/resume")).status_code == 200
    assert api.provider.started[-1].idempotency_key == f"{case_id}-1"


async def test_resume_gives_a_fresh_session_until_the_case_is_decided(api: Api) -> None:
    case = (await api.client.post("/v1/cases", json=BODY)).json()
    again = await api.client.post(f"/v1/cases/{case['id']}/resume")
    assert again.status_code == 200
    assert again.json()["session"]["token"] != case["session"]["token"]

    for status in ("approved", "declined", "failed", "cancelled", "revoked"):
        async with api.db.write() as session:
            await session.execute(sa.update(Case).values(status=status))
        refused = await api.client.post(f"/v1/cases/{case['id']}/resume")
        assert refused.status_code == 409, status
        assert refused.json()["type"] == "urn:claimwright:problem:illegal-move"


async def test_expire_asks_the_provider_and_leaves_the_move_to_the_daemon(api: Api) -> None:
    case = (await api.client.post("/v1/cases", json=BODY)).json()
    answer = await api.client.post(f"/v1/cases/{case['id']}/expire")
    assert answer.status_code == 202
    assert answer.json()["status"] == "created"
    assert api.provider.checks[case["provider_ref"]].status == "expired"


@pytest.mark.parametrize("path", ["", "/timeline", "/claims"])
async def test_another_tenants_case_is_not_there(api: Api, path: str) -> None:
    case = (await api.client.post("/v1/cases", json=BODY)).json()
    stranger = await api.key("*", tenant_id="other")
    answer = await api.client.get(f"/v1/cases/{case['id']}{path}", headers=stranger)
    assert answer.status_code == 404
    assert (await api.client.get("/v1/cases", headers=stranger)).json()["items"] == []
    assert (await api.client.post(f"/v1/cases/{case['id']}/resume", headers=stranger)).status_code == 404


async def test_the_timeline_begins_with_the_request(api: Api) -> None:
    case = (await api.client.post("/v1/cases", json=BODY)).json()
    moves = (await api.client.get(f"/v1/cases/{case['id']}/timeline")).json()["items"]
    assert moves == [
        {
            "at": case["created_at"], "kind": "case", "claim_id": None, "from": None, "to": "created",
            "cause": "request", "detail": {},
        }
    ]  # fmt: skip


async def test_a_repeat_after_the_person_is_done_gives_the_case_without_a_way_in(api: Api) -> None:
    headers = {"idempotency-key": "k-1"}
    case = (await api.client.post("/v1/cases", json=BODY, headers=headers)).json()
    api.provider.failures.append(ProviderRefused("the inquiry is completed", status=409))
    repeated = await api.client.post("/v1/cases", json=BODY, headers=headers)
    assert (repeated.status_code, repeated.json()["id"]) == (201, case["id"])
    assert "session" not in repeated.json()

    async with api.db.write() as session:
        await session.execute(sa.update(Case).values(status="approved"))
    decided = await api.client.post("/v1/cases", json=BODY, headers=headers)
    assert (decided.status_code, decided.json()["status"]) == (201, "approved")
    assert "session" not in decided.json()
    assert api.provider.resumed == []


async def test_those_who_wait_for_a_try_that_fails_do_not_each_try_again(api: Api) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def hang(_request: object) -> None:
        begun.set()
        await go.wait()
        raise ProviderUnavailable("down")

    api.provider.start = hang  # type: ignore[method-assign,assignment]
    headers = {"idempotency-key": "k-1"}
    first = asyncio.create_task(api.client.post("/v1/cases", json=BODY, headers=headers))
    await begun.wait()
    others = [asyncio.create_task(api.client.post("/v1/cases", json=BODY, headers=headers)) for _ in range(5)]
    case_id = (await api.client.get("/v1/cases")).json()["items"][0]["id"]

    async def all_wait() -> bool:
        lock = api.services.opener._locks[case_id]
        return len(lock._waiters or ()) == 5

    await until(all_wait)
    begun.clear()
    go.set()
    answers = [await task for task in (first, *others)]
    assert {(answer.status_code, answer.json()["case_id"]) for answer in answers} == {(503, case_id)}
    assert not begun.is_set()


async def test_a_level_without_a_template_takes_no_other_check(api: Api) -> None:
    answer = await api.client.post("/v1/cases", json=BODY | {"level": "full"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:claimwright:problem:level-not-set-up")
    listed = {one["name"]: one["available"] for one in (await api.client.get("/v1/levels")).json()["items"]}
    assert listed == {"contact": False, "basic": True, "enhanced": False, "full": False, "business": False}
