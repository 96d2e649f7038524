"""The vendors' signature vectors as deliveries over HTTP: what is genuine is stored once, the rest leaves no event."""

from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from issuer.inbox.tables import InboxEvent
from tests.integration.api.conftest import run_api
from tests.unit.providers.test_vendor_vectors import VERIFF_KEY, WEBHOOKS, body_of, door

ENVIRONMENTS = ("sandbox", "production")


def delivered(vector: dict[str, Any]) -> dict[str, str]:
    headers = {"content-type": "application/json", **vector["other_headers"]}
    if vector["header_value"] is not None:
        headers[vector["header_name"]] = vector["header_value"]
    if vector["provider"] == "veriff" and vector["published"]:
        headers["X-AUTH-CLIENT"] = VERIFF_KEY
    return headers


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("vector", WEBHOOKS, ids=lambda vector: vector["name"])
async def test_a_delivery_ends_as_its_vector_says(store_url: str, vector: dict[str, Any]) -> None:
    changed = {"VERIFF_API_KEY": VERIFF_KEY}
    if "accepted_algorithm" in vector.get("config", {}):
        changed["SUMSUB_DIGEST_ALG"] = vector["config"]["accepted_algorithm"]
    provider, body = vector["provider"], body_of(vector)
    doors = {(provider, one): door(provider, vector["secrets"], one, **changed) for one in ENVIRONMENTS}
    async with run_api(store_url, doors=doors) as api:
        answers = {
            one: await api.anonymous.post(f"/webhooks/{provider}/{one}", content=body, headers=delivered(vector))
            for one in ENVIRONMENTS
        }
        again = [
            await api.anonymous.post(f"/webhooks/{provider}/{one}", content=body, headers=delivered(vector))
            for one in ENVIRONMENTS
        ]
        async with api.db.read() as session:
            stored = list(await session.scalars(sa.select(InboxEvent)))
    statuses = {one: answer.status_code for one, answer in answers.items()}
    assert [answer.status_code for answer in again] == list(statuses.values()), "a repeat is answered the same"
    if not vector["expect_valid"]:
        assert set(statuses.values()) == {401}
        assert stored == []
        return
    taken = {one for one, status in statuses.items() if status == 202}
    # A body that names its environment, as most of Sumsub's do, comes in by one of the two doors alone.
    assert len(taken) == (1 if b"sandboxMode" in body else 2), statuses
    assert {row.environment for row in stored} == taken
    assert len(stored) == len(taken), "each is stored once"
    assert {row.body_hash for row in stored} == {sha256(body).hexdigest()}
