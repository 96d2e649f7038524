"""Every order of arrival in delivery-scenarios.json ends as it says, through the whole stack."""

import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from eth_utils.address import to_checksum_address

from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Subject
from issuer.clock import now
from issuer.inbox.tables import InboxEvent
from tests.e2e.rig import SETTLED, Rig, fixture, new_wallet, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCENARIOS = fixture("delivery-scenarios.json")["scenarios"]
INQUIRY = "inq_4G5Y92jqjWysUcMhrzZzhaemxiLn"
REFERENCE = "sub_0192f0c4-7c1e-7a6e-9d0b-1f2e3d4c5b6a"
TEMPLATE = "itmpl_6sVmH1cxngytfoAhLxYmWlB40Yaw"
OUR_STATUS = {"approved": "approved", "declined": "declined", "completed": "submitted"}
FORCED = ("status", "created-at", "updated-at", "completed-at", "decisioned-at", "redacted-at")


def body_of(arrival: Any) -> dict[str, Any]:
    name = arrival if isinstance(arrival, str) else arrival["body"]
    body = copy.deepcopy(fixture(f"synthetic/webhook.{name}.json"))
    for pointer, value in {} if isinstance(arrival, str) else arrival["set"].items():
        *path, last = pointer.strip("/").split("/")
        place = body
        for part in path:
            place = place[part]
        place[last] = value
    return body


async def begin(rig: Rig) -> str:
    """The receiver has created the scenario's inquiry and knows no other."""
    wiped = ("transaction_claims", "claims", "decisions", "history", "case_requests", "cases", "inbox_events")
    wallet, at = new_wallet(), now()
    async with rig.db.write() as session:
        for table in wiped:
            await session.execute(sa.text(f"DELETE FROM {table}"))
        if await session.get(Subject, REFERENCE) is None:
            session.add(Subject(id=REFERENCE, created_at=at))
            await session.flush()
        case = Case(
            id=f"case_{wallet[2:34]}",
            subject_id=REFERENCE,
            level="basic",
            wallet=to_checksum_address(wallet),
            chain_ids=[rig.chain_id],
            provider="persona",
            environment="sandbox",
            template=TEMPLATE,
            check_ref=INQUIRY,
            status=CaseStatus.CREATED,
            reasons=[],
            next_check_at=at + timedelta(hours=1),
            created_at=at,
            updated_at=at,
        )
        session.add(case)
    await rig.control("/reset", {})
    await rig.control("/inquiries", {"id": INQUIRY, "reference-id": REFERENCE, "template-id": TEMPLATE})
    return case.id


async def all_events_are_handled(rig: Rig) -> bool | None:
    async with rig.db.read() as session:
        where = InboxEvent.handled_at.is_(None)
        return None if await session.scalar(sa.select(sa.func.count()).select_from(InboxEvent).where(where)) else True


async def all_work_is_run(rig: Rig, case_id: str) -> dict[str, Any]:
    async def settled() -> dict[str, Any] | None:
        handled = await all_events_are_handled(rig)
        case = await rig.case(case_id)
        moving = [claim for claim in case["claims"] if claim["status"] not in SETTLED]
        return case if handled and not moving else None

    return await until(settled, 20, rig.tail)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
async def test_scenario(rig: Rig, scenario: dict[str, Any]) -> None:
    case_id = await begin(rig)
    wallet = (await rig.case(case_id))["wallet"]
    newest = datetime.min.replace(tzinfo=UTC)
    for arrival in scenario["arrivals"]:
        if not isinstance(arrival, str) and "step" in arrival:
            await all_work_is_run(rig, case_id)
            continue
        body = body_of(arrival)
        occurred = datetime.fromisoformat(body["data"]["attributes"]["created-at"])
        if occurred > newest:
            newest = occurred
            attributes = body["data"]["attributes"]["payload"]["data"]["attributes"]
            forced = {name: attributes[name] for name in FORCED}
            assert (await rig.persona.patch(f"/_sim/inquiries/{INQUIRY}", json=forced)).status_code == 200
        answer = await rig.control("/deliver", {"json": body})
        assert answer["status"] == scenario["expect"].get("http", 202), answer
        # The provider answers with its newest state, so an arrival is only seen if it is handled before the next one.
        await until(partial(all_events_are_handled, rig), 15, rig.tail)
    case = await all_work_is_run(rig, case_id)

    expect = scenario["expect"]
    statuses = [claim["status"] for claim in case["claims"]]
    if expect.get("effect") == "none":
        assert (case["status"], statuses) == ("created", [])
        return
    assert case["status"] == OUR_STATUS[expect["status"]]
    assert statuses.count("confirmed") == expect["claims_to_issue"]
    assert await rig.is_verified(wallet) is bool(expect["claims_to_issue"])
    if "claims_to_revoke" in expect:
        assert statuses.count("revoked") + statuses.count("cancelled") == expect["claims_to_revoke"]
