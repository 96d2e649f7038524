"""Looking at claims, pages of them, a wallet's standing, and taking a claim back."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from eth_abi.abi import decode
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from api import inputs
from issuer import history
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.chain import abi
from issuer.clock import now as clock_now
from issuer.errors import InvalidInput
from issuer.ids import new_id
from issuer.queue.tables import Job
from tests import factories
from tests.factories import IDENTITY, WALLET
from tests.integration.api.conftest import Api


async def approved(api: Api, *, claim: dict[str, Any] | None = None, **case: Any) -> tuple[str, str]:
    """A case that was approved, and its claim."""
    async with api.db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        row = factories.case(subject.id, **({"status": CaseStatus.APPROVED} | case))
        session.add(row)
        await session.flush()
        decision = factories.decision(row.id)
        session.add(decision)
        await session.flush()
        made = factories.claim(row.id, decision.id, **(claim or {}))
        session.add(made)
        at = row.created_at
        history.record(session, case_id=row.id, at=at, source="created", target="approved", cause="provider")
        history.record(session, case_id=row.id, claim_id=made.id, at=at, source=None, target="queued", cause="approved")
    return row.id, made.id


async def test_a_claim_in_all_the_places_where_it_shows(api: Api) -> None:
    case_id, claim_id = await approved(api, claim={"tx_hash": "0x" + "cd" * 32, "block_number": 7})
    inside = (await api.client.get(f"/v1/cases/{case_id}")).json()
    assert inside["claims"] == [
        {
            "id": claim_id, "claim_id": "0x" + "ab" * 32, "topic": "1129054209", "chain_id": 31337,
            "identity": IDENTITY, "form": "signed", "status": "queued", "tx_hash": "0x" + "cd" * 32,
            "block_number": 7, "valid_until": None, "revoked_tx_hash": None,
        }
    ]  # fmt: skip
    assert inside["summary"] == "verified"
    assert inside["decision"]["outcome"] == "approved"
    alone = (await api.client.get(f"/v1/claims/{claim_id}")).json()
    assert alone.items() >= inside["claims"][0].items()
    assert alone["case_id"] == case_id
    assert (await api.client.get(f"/v1/cases/{case_id}/claims")).json()["items"] == [alone]
    assert (await api.client.get("/v1/claims")).json() == {"items": [alone], "next_cursor": None}
    moves = (await api.client.get(f"/v1/cases/{case_id}/timeline")).json()["items"]
    assert [(move["kind"], move["claim_id"], move["from"], move["to"], move["cause"]) for move in moves] == [
        ("case", None, "created", "approved", "provider"),
        ("claim", claim_id, None, "queued", "approved"),
    ]


async def test_filters_of_claims(api: Api) -> None:
    _, first = await approved(api, reference="order-1")
    other = inputs.wallet("0x" + "ab" * 20)
    _, second = await approved(api, wallet=other, claim={"wallet": other, "identity": other, "status": "confirmed"})
    for query, expected in (
        (f"wallet={WALLET.lower()}", [first]),
        ("status=confirmed", [second]),
        ("reference=order-1", [first]),
        ("level=basic", [second, first]),
        (f"wallet={other}&status=queued", []),
    ):
        page = (await api.client.get(f"/v1/claims?{query}")).json()
        assert [item["id"] for item in page["items"]] == expected, query
    stranger = await api.key("*", tenant_id="other")
    assert (await api.client.get("/v1/claims", headers=stranger)).json()["items"] == []
    assert (await api.client.get(f"/v1/claims/{first}", headers=stranger)).status_code == 404
    refused = await api.client.post(f"/v1/claims/{first}/revoke", headers=stranger, json={"reason": "x"})
    assert refused.status_code == 404


async def test_a_revocation_is_accepted_and_wakes_the_lane(api: Api) -> None:
    case_id, claim_id = await approved(api, claim={"status": "confirmed", "signature": "0x" + "00" * 64})
    answer = await api.client.post(f"/v1/claims/{claim_id}/revoke", json={"reason": "sanctions-hit"})
    assert (answer.status_code, answer.json()["status"]) == (202, "revoking")
    case = (await api.client.get(f"/v1/cases/{case_id}")).json()
    assert (case["status"], case["summary"]) == ("revoked", "rejected")
    moves = (await api.client.get(f"/v1/cases/{case_id}/timeline")).json()["items"]
    assert {move["cause"] for move in moves[2:]} == {"person"}
    assert all(move["detail"]["actor"].startswith("key_") for move in moves[2:])
    if api.db.is_sqlite:
        async with api.db.read() as session:
            assert await session.scalar(sa.select(Job.key).where(Job.topic == "lane")) == "31337"
    again = await api.client.post(f"/v1/claims/{claim_id}/revoke", json={"reason": "sanctions-hit"})
    assert (again.status_code, again.json()["status"]) == (202, "revoking")


async def test_what_cannot_be_revoked_is_a_conflict(api: Api) -> None:
    _, claim_id = await approved(api, claim={"status": "superseded"})
    assert (await api.client.post(f"/v1/claims/{claim_id}/revoke", json={"reason": "x"})).status_code == 409
    assert (await api.client.post("/v1/claims/clm_none/revoke", json={"reason": "x"})).status_code == 404


async def standing(api: Api) -> dict[str, Any]:
    answer = await api.client.get(f"/v1/subjects/{WALLET.lower()}/status")
    assert answer.status_code == 200
    return answer.json()


async def test_a_wallets_standing_is_that_of_its_newest_decided_case(api: Api) -> None:
    nothing = {"wallet": WALLET, "verified_at": None, "verified_until": None, "topics": []}
    assert await standing(api) == nothing | {"summary": "not_verified"}

    await api.client.post("/v1/cases", json={"level": "basic", "wallet": WALLET})
    assert await standing(api) == nothing | {"summary": "pending"}

    until = clock_now().replace(microsecond=0) + timedelta(days=1)
    await approved(api, claim={"status": "confirmed", "valid_until": until})
    await api.client.post("/v1/cases", json={"level": "basic", "wallet": WALLET})  # an open case takes nothing away
    verified = await standing(api)
    assert (verified["summary"], verified["topics"]) == ("verified", ["1129054209"])
    assert verified["verified_until"] == until.isoformat().replace("+00:00", "Z")
    assert verified["verified_at"] is not None

    async with api.db.write() as session:
        await session.execute(sa.text("UPDATE claims SET valid_until = 1"))
    assert await standing(api) == nothing | {"summary": "not_verified"}

    async with api.db.write() as session:
        await session.execute(sa.update(Case).where(Case.status == "approved").values(status="revoked"))
    assert await standing(api) == nothing | {"summary": "rejected"}


async def test_pages_of_any_size_show_everything_once_and_newest_first(api: Api) -> None:
    async with api.db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        rows = [factories.case(subject.id, reference=f"r-{number % 2}", tag=f"t-{number % 5}") for number in range(25)]
        session.add_all(rows)
    newest_first = [row.id for row in reversed(rows)]
    for size in (1, 7, 12, 25, 26, 100):
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await api.client.get(f"/v1/cases?limit={size}{cursor}")).json()
            assert len(page["items"]) <= size
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == newest_first, size
    assert len((await api.client.get("/v1/cases")).json()["items"]) == 20
    odd = (await api.client.get("/v1/cases?reference=r-1&limit=100")).json()["items"]
    tagged = (await api.client.get("/v1/cases?tag=t-1&limit=100")).json()["items"]
    assert (len(tagged), {one["tag"] for one in tagged}) == (5, {"t-1"})
    assert [item["id"] for item in odd] == [row.id for row in reversed(rows) if row.reference == "r-1"]


async def test_a_page_costs_the_same_few_queries_however_long_it_is(api: Api) -> None:
    for number in range(5):
        await approved(api, claim={"status": "cancelled", "topic": str(number)})
    await api.client.get("/v1/cases?limit=1")  # from now on the key is remembered
    seen: list[str] = []
    event.listen(api.db.engine.sync_engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    await api.client.get("/v1/cases?limit=1")
    short = len(seen)
    await api.client.get("/v1/cases?limit=100")
    assert len(seen) - short == short


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_cursor_reads_back_and_any_other_text_is_refused_by_name(text: str) -> None:
    last_id = new_id("case")
    assert inputs.from_cursor(inputs.to_cursor(last_id)) == last_id
    with pytest.raises(InvalidInput, match="cursor"):
        inputs.from_cursor(inputs.to_cursor(text) if text else text)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_filters_of_cases(api: Api) -> None:
    case_id, _ = await approved(api, reference="order-1")
    for query, found in (
        (f"wallet={WALLET}", True),
        ("wallet=0x" + "ab" * 20, False),
        ("status=approved", True),
        ("status=declined", False),
        ("reference=order-1", True),
        ("reference=order-2", False),
        ("level=basic&status=approved&reference=order-1", True),
    ):
        items = (await api.client.get(f"/v1/cases?{query}")).json()["items"]
        assert [item["id"] for item in items] == ([case_id] if found else []), query


async def test_a_signed_claim_is_offered_to_its_holder_as_calldata(api: Api) -> None:
    issuer, signature, word = inputs.wallet("0x" + "cd" * 20), "0x" + "11" * 64, "0x01" + "22" * 31
    signed = {"status": "signed", "issuer": issuer, "signature": signature, "word": word}
    _, claim_id = await approved(api, claim=signed)
    answer = (await api.client.get(f"/v1/claims/{claim_id}/calldata")).json()
    shown = (await api.client.get(f"/v1/claims/{claim_id}")).json()
    assert (answer["to"], answer["chain_id"], answer["claim_id"]) == (
        shown["identity"],
        shown["chain_id"],
        shown["claim_id"],
    )
    data = bytes.fromhex(answer["data"][2:])
    assert data[:4] == abi.ADD_CLAIM.selector
    assert decode(abi.ADD_CLAIM.inputs, data[4:]) == (
        int(shown["topic"]),
        1,
        issuer.lower(),
        bytes.fromhex(signature[2:]),
        bytes.fromhex(word[2:]),
        "",
    )
    stranger = await api.key("*", tenant_id="other")
    assert (await api.client.get(f"/v1/claims/{claim_id}/calldata", headers=stranger)).status_code == 404


@pytest.mark.parametrize(
    "claim", [{"status": "queued"}, {"status": "revoked"}, {"status": "confirmed", "form": "hosted"}]
)
async def test_what_was_not_signed_or_is_over_is_not_offered(api: Api, claim: dict[str, str]) -> None:
    _, claim_id = await approved(api, claim=claim)
    answer = await api.client.get(f"/v1/claims/{claim_id}/calldata")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:claimwright:problem:conflict")


async def test_the_templates_of_a_provider_are_listed_with_their_levels(api: Api) -> None:
    (one,) = (await api.client.get("/v1/providers/persona/templates")).json()["items"]
    assert (one["environment"], one["levels"]) == ("sandbox", ["basic"])
    assert one["template"] == api.services.settings.providers[0].template
    for name in ("sumsub", "nobody"):
        answer = await api.client.get(f"/v1/providers/{name}/templates")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:claimwright:problem:not-found")
