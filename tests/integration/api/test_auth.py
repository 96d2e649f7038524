"""Nothing under /v1 is open, and a key opens what its scopes say."""

import re
from datetime import UTC, datetime

import pytest
from litestar.routes import HTTPRoute

from api.keys import KeyCache
from issuer.access import store
from issuer.errors import NotAuthenticated
from tests.integration.api.conftest import Api


def routes(api: Api) -> list[tuple[str, str]]:
    """Every (method, path) that the app serves, path parameters filled in."""
    return [
        (method, re.sub(r"\{[^}]+\}", "x", route.path_format))
        for route in api.app.routes
        if isinstance(route, HTTPRoute)
        for method in sorted(route.methods - {"OPTIONS"})
    ]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_every_route_of_v1_needs_a_key_and_a_scope(api: Api) -> None:
    walked = [(method, path) for method, path in routes(api) if path.startswith("/v1")]
    assert len(walked) >= 12
    nothing = await api.key("claims:revoke")
    async with api.db.write() as session:
        for row in await store.list_keys(session):
            if row.scopes == ["claims:revoke"]:
                row.scopes = ["none"]
    for method, path in walked:
        open_door = await api.anonymous.request(method, path)
        assert open_door.status_code == 401, (method, path)
        assert open_door.headers["www-authenticate"].startswith("Bearer")
        assert open_door.json()["type"] == "urn:claimwright:problem:not-authenticated"
        scopeless = await api.anonymous.request(method, path, headers=nothing)
        assert scopeless.status_code == 403, (method, path)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_what_is_open_is_known(api: Api) -> None:
    assert {path for _, path in routes(api) if not path.startswith("/v1")} == {
        "/health/live", "/health/ready", "/schema", "/schema/openapi.json", "/schema/page.json", "/schema/x",
        "/schema/assets/x",
    }  # fmt: skip


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("cases:read", "GET", "/v1/cases"),
        ("cases:read", "GET", "/v1/cases/case_x"),
        ("cases:read", "GET", "/v1/cases/case_x/timeline"),
        ("cases:read", "GET", "/v1/levels"),
        ("cases:write", "POST", "/v1/cases"),
        ("cases:write", "POST", "/v1/cases/case_x/resume"),
        ("cases:write", "POST", "/v1/cases/case_x/expire"),
        ("claims:read", "GET", "/v1/claims"),
        ("claims:read", "GET", "/v1/claims/clm_x"),
        ("claims:read", "GET", "/v1/cases/case_x/claims"),
        ("claims:revoke", "POST", "/v1/claims/clm_x/revoke"),
        ("subjects:read", "GET", "/v1/subjects/0xd8da6bf26964af9d7eed9e03e53415d37aa96045/status"),
    ],
)
async def test_each_scope_opens_its_own_doors_only(api: Api, scope: str, method: str, path: str) -> None:
    others = {"cases:read", "cases:write", "claims:read", "claims:revoke", "subjects:read"} - {scope}
    refused = await api.anonymous.request(method, path, headers=await api.key(*others))
    assert refused.status_code == 403
    assert scope in refused.json()["detail"]
    allowed = await api.anonymous.request(method, path, headers=await api.key(scope))
    assert allowed.status_code not in (401, 403)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer cwk_short", "Bearer cwk_" + "A" * 43, "cwk_" + "A" * 43]
)
async def test_anything_but_a_good_key_is_401(api: Api, value: str) -> None:
    answer = await api.anonymous.get("/v1/levels", headers={"authorization": value})
    assert answer.status_code == 401
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_the_caller_is_checked_before_the_body_is_read(api: Api) -> None:
    answer = await api.anonymous.post("/v1/cases", content=b"{")
    assert answer.status_code == 401


async def test_a_revoked_key_lives_for_the_cache_and_no_longer(api: Api) -> None:
    now = 100.0
    keys = KeyCache(api.db, seconds=5.0, monotonic=lambda: now)
    async with api.db.write() as session:
        row, key = await store.create_key(session, "dapp", ["cases:read"], datetime.now(UTC))
    assert (await keys.caller(key.reveal())).key_id == row.id
    async with api.db.write() as session:
        await store.revoke_key(session, row.id, datetime.now(UTC))
    now = 104.9
    await keys.caller(key.reveal())
    now = 105.0
    with pytest.raises(NotAuthenticated):
        await keys.caller(key.reveal())


async def test_a_rotated_key_takes_over_name_and_scopes(api: Api) -> None:
    now = datetime.now(UTC)
    async with api.db.write() as session:
        row, key = await store.create_key(session, "dapp", ["claims:read", "cases:read", "cases:read"], now)
        new_row, new_key = await store.rotate_key(session, row.id, now)
    async with api.db.read() as session:
        assert await store.find_key(session, key.reveal()) is None
        found = await store.find_key(session, new_key.reveal())
        assert found is not None
        assert (found.id, found.name, found.scopes) == (new_row.id, "dapp", ["cases:read", "claims:read"])
        assert key.reveal() not in repr([(one.hash, one.name) for one in await store.list_keys(session)])
