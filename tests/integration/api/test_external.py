"""PUT /v1/cases/{id}/claims/{topic}: an outside issuer's claim is told, and nothing is believed yet."""

import pytest
import sqlalchemy as sa

from issuer.claims.tables import ExternalClaim
from tests.integration.api.conftest import Api
from tests.integration.api.test_claims import approved

ISSUER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
TOLD = {"tx_hash": "0x" + "AB" * 32, "chain_id": 31337, "issuer": ISSUER}


async def test_what_is_told_is_pending_and_a_repeat_changes_nothing(api: Api) -> None:
    case_id, _ = await approved(api)
    first = await api.client.put(f"/v1/cases/{case_id}/claims/7", json=TOLD)
    assert first.status_code == 202
    row = first.json()
    assert (row["status"], row["reason"], row["topic"], row["tx_hash"]) == ("pending", None, "7", "0x" + "ab" * 32)
    assert (await api.client.put(f"/v1/cases/{case_id}/claims/7", json=TOLD)).json() == row
    assert (await api.client.get(f"/v1/cases/{case_id}/external-claims")).json() == {"items": [row]}
    assert (await api.client.get(f"/v1/cases/{case_id}/claims")).json()["items"][0]["status"] == "queued"  # ours alone


async def set_status(api: Api, status: str, reason: str | None = None) -> None:
    async with api.db.write() as session:
        await session.execute(sa.update(ExternalClaim).values(status=status, reason=reason))


async def test_what_is_recorded_stays_and_what_was_refused_is_tried_again(api: Api) -> None:
    case_id, _ = await approved(api)
    path, other = f"/v1/cases/{case_id}/claims/7", TOLD | {"tx_hash": "0x" + "cd" * 32}
    await api.client.put(path, json=TOLD)
    await set_status(api, "recorded")
    assert (await api.client.put(path, json=TOLD)).status_code == 200
    refused = await api.client.put(path, json=other)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:claimwright:problem:conflict")
    await set_status(api, "refused", "tx_failed")
    for told in (TOLD, other):
        again = await api.client.put(path, json=told)
        assert (again.status_code, again.json()["status"], again.json()["reason"]) == (202, "pending", None)


@pytest.mark.parametrize(
    ("topic", "more", "field"),
    [
        ("0", {}, "topic"),
        ("07", {}, "topic"),
        (str(2**256), {}, "topic"),
        ("-1", {}, "topic"),
        ("7", {"tx_hash": "0x12"}, "tx_hash"),
        ("7", {"issuer": ISSUER.replace("d8dA", "d8da")}, "issuer"),
        ("7", {"chain_id": 1}, "chain_id"),
        ("7", {"status": "recorded"}, "status"),
    ],
)
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_what_is_not_well_told_is_refused_by_name(
    api: Api, topic: str, more: dict[str, object], field: str
) -> None:
    case_id, _ = await approved(api)
    answer = await api.client.put(f"/v1/cases/{case_id}/claims/{topic}", json=TOLD | more)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_it_needs_a_scope_and_a_case_of_ones_own(api: Api) -> None:
    case_id, _ = await approved(api)
    path = f"/v1/cases/{case_id}/claims/7"
    assert (await api.client.put(path, json=TOLD, headers=await api.key("claims:read"))).status_code == 403
    stranger = await api.key("*", tenant_id="other")
    assert (await api.client.put(path, json=TOLD, headers=stranger)).status_code == 404
    assert (await api.client.get(f"/v1/cases/{case_id}/external-claims", headers=stranger)).status_code == 404
