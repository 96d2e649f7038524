"""From a dapp's request to a contract's yes, and back to its no, through every process."""

import asyncio
import hashlib
import hmac
import json
import time

import pytest
import sqlalchemy as sa

from issuer.inbox.tables import InboxEvent
from tests.e2e.rig import Rig, fixture, new_wallet, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_approved_then_declined(rig: Rig) -> None:
    wallet = new_wallet()
    case = await rig.open_case(wallet, reference="user-42")
    assert (case["status"], case["summary"]) == ("created", "pending")
    assert case["session"]["token"]
    assert not await rig.is_verified(wallet)

    await rig.approve(case)
    done = await rig.until_claim(case["id"], "confirmed")
    (claim,) = done["claims"]
    assert (done["status"], done["summary"], done["reasons"]) == ("approved", "verified", [])
    assert claim["tx_hash"].startswith("0x")
    assert claim["block_number"] > 0
    assert await rig.is_verified(wallet)
    status = (await rig.dapp.get(f"/v1/subjects/{wallet}/status")).json()
    assert (status["summary"], status["topics"]) == ("verified", [claim["topic"]])

    await rig.simulate(case["provider_ref"], "decline_inquiry")
    gone = await rig.until_claim(case["id"], "revoked")
    assert (gone["status"], gone["summary"], gone["reasons"]) == ("declined", "rejected", ["declined_by_provider"])
    assert gone["claims"][0]["revoked_tx_hash"].startswith("0x")
    assert not await rig.is_verified(wallet)

    moves = (await rig.dapp.get(f"/v1/cases/{case['id']}/timeline")).json()["items"]
    assert [move["to"] for move in moves if move["kind"] == "claim"] == [
        "queued", "signed", "mined", "confirmed", "revoking", "revoked",
    ]  # fmt: skip


async def test_a_person_revokes_over_http_and_the_provider_cannot_undo_it(rig: Rig) -> None:
    case = await rig.open_case()
    await rig.approve(case)
    (claim,) = (await rig.until_claim(case["id"], "confirmed"))["claims"]
    answer = await rig.dapp.post(f"/v1/claims/{claim['id']}/revoke", json={"reason": "court order"})
    assert answer.status_code == 202, answer.text
    gone = await rig.until_claim(case["id"], "revoked")
    assert (gone["status"], gone["reasons"]) == ("revoked", ["revoked_by_person"])
    await rig.simulate(case["provider_ref"], "decline_inquiry", "approve_inquiry")

    async def handled() -> bool | None:
        async with rig.db.read() as session:
            rows = await session.scalars(sa.select(InboxEvent).where(InboxEvent.check_ref == case["provider_ref"]))
            return True if all(row.handled_at for row in rows) else None

    await until(handled, 15, rig.tail)
    assert not await rig.is_verified(case["wallet"])
    assert len((await rig.case(case["id"]))["claims"]) == 1


async def test_one_webhook_twenty_times_at_once_and_another_event_make_one_claim(rig: Rig) -> None:
    case = await rig.open_case()
    before = await rig.sender_nonce()
    await rig.control("/chaos", {"drop": True})
    await rig.approve(case)
    await rig.control("/chaos", {"drop": False})
    bodies = []
    for key in ("evt_first00000000000000000000001", "evt_second0000000000000000000002"):
        body = fixture("synthetic/webhook.inquiry.approved.json")
        body["data"]["id"] = key + case["id"][-8:]
        payload = body["data"]["attributes"]["payload"]["data"]
        payload["id"] = case["provider_ref"]
        bodies.append(json.dumps(body).encode())

    async def deliver(body: bytes) -> int:
        t = str(int(time.time()))
        mac = hmac.new(rig.webhook_secret.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"Persona-Signature": f"t={t},v1={mac}", "Content-Type": "application/json"}
        return (await rig.dapp.post("/webhooks/persona", content=body, headers=headers)).status_code

    answers = await asyncio.gather(*[deliver(bodies[0]) for _ in range(20)], deliver(bodies[1]))
    assert set(answers) == {202}
    done = await rig.until_claim(case["id"], "confirmed")
    assert len(done["claims"]) == 1
    assert await rig.sender_nonce() == before + 1


async def test_persona_down_keeps_the_case_and_opens_no_second_inquiry(rig: Rig) -> None:
    fault = {"kind": "status", "method": "POST", "path": "*/inquiries", "status": 503, "when": "after"}
    await rig.control("/faults", fault)
    wallet, headers = new_wallet(), {"Idempotency-Key": f"try-{time.time_ns()}"}
    body = {"level": "basic", "wallet": wallet}
    down = await rig.dapp.post("/v1/cases", json=body, headers=headers)
    assert down.status_code == 503, down.text
    assert down.headers["Retry-After"]
    assert down.headers["Content-Type"].startswith("application/problem+json")
    again = await rig.dapp.post("/v1/cases", json=body, headers=headers)
    assert again.status_code == 201, again.text
    assert again.json()["id"] == down.json()["case_id"]
    async with rig.db.read() as session:
        subject = await session.scalar(
            sa.text("SELECT subject_id FROM cases WHERE id = :id").bindparams(id=again.json()["id"])
        )
    count = await rig.persona.get("/_sim/inquiries/count", params={"reference_id": subject})
    assert count.json()["count"] == 1


async def test_chain_down_cases_are_accepted_and_wait(rig: Rig) -> None:
    assert rig.proxy is not None
    rig.proxy.down = True
    try:
        case = await rig.open_case()
        await rig.approve(case)

        async def approved() -> bool | None:
            return True if (await rig.case(case["id"]))["status"] == "approved" else None

        await until(approved, 15, rig.tail)
        assert (await rig.dapp.get("/health/ready")).status_code == 200
    finally:
        rig.proxy.down = False
    await rig.until_claim(case["id"], "confirmed", seconds=40)
    assert await rig.is_verified(case["wallet"])


async def test_webhooks_that_never_arrive_cost_time_and_nothing_else(rig: Rig) -> None:
    case = await rig.open_case()
    await rig.control("/chaos", {"drop": True})
    try:
        await rig.approve(case)
        await rig.until_claim(case["id"], "confirmed", seconds=30)
    finally:
        await rig.control("/chaos", {"drop": False})
    assert await rig.is_verified(case["wallet"])


async def test_events_that_are_nobodys_are_kept_and_do_nothing(rig: Rig) -> None:
    before = await rig.sender_nonce()
    for name in ("inquiry.approved", "inquiry.something-new", "report/watchlist.matched"):
        body = fixture("synthetic/webhook.inquiry.approved.json")
        body["data"]["id"] = f"evt_nobody{time.time_ns()}"
        body["data"]["attributes"]["name"] = name
        body["data"]["attributes"]["payload"]["data"]["id"] = "inq_SomebodyElses000000000000001"
        answer = await rig.control("/deliver", {"json": body})
        assert answer["status"] == 202

    async def settled() -> dict[str, str] | None:
        async with rig.db.read() as session:
            where = InboxEvent.check_ref == "inq_SomebodyElses000000000000001"
            rows = list(await session.scalars(sa.select(InboxEvent).where(where)))
        done = {row.name: row.outcome or "" for row in rows if row.handled_at}
        return done if len(done) == 3 else None

    outcomes = await until(settled, 15, rig.tail)
    assert outcomes["inquiry.approved"] == "unknown_check"
    assert outcomes["inquiry.something-new"] == "not_followed"
    assert await rig.sender_nonce() == before


async def test_a_watchlist_hit_long_after_the_approval_waits_for_a_person_and_no_dapp_hears_of_it(rig: Rig) -> None:
    case = await rig.open_case()
    await rig.simulate(case["provider_ref"], "start_inquiry")
    verification = {
        "type": "create_passed_verification",
        "data": {"verification-template-id": "vtmpl_government_id"},
    }
    answer = await rig.persona.post(
        f"/api/v1/inquiries/{case['provider_ref']}/perform-simulate-actions",
        json={"meta": {"simulate-actions": [verification]}},
    )
    assert answer.status_code == 200, answer.text
    await rig.simulate(case["provider_ref"], "complete_inquiry", "approve_inquiry")
    await rig.until_claim(case["id"], "confirmed")
    checks = (await rig.dapp.get(f"/v1/cases/{case['id']}/checks")).json()["items"]
    assert {check["outcome"] for check in checks} == {"passed"}
    await rig.control("/reports", {"inquiry-id": case["provider_ref"], "type": "watchlist"})

    async def flagged() -> bool | None:
        waiting = (await rig.dapp.get("/v1/reviews", params={"limit": 100})).json()["items"]
        return any(each["case_id"] == case["id"] and each["flag"] == "watchlist_hit" for each in waiting) or None

    await until(flagged, 15, rig.tail)
    assert await rig.is_verified(case["wallet"])
    told = [(await rig.dapp.get(f"/v1/cases/{case['id']}{page}")).text for page in ("", "/timeline", "/checks")]
    assert "watchlist" not in "".join(told)
