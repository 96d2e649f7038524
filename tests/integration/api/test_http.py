"""What every answer looks like: problems, headers, health, and the pages."""

import json
import re
from typing import Any

import httpx
import jsonschema
import pytest
import sqlalchemy as sa

from api import app as api_app
from tests.factories import api_settings
from tests.integration.api.conftest import Api, run_api, serving

sqlite_only = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/cases/case_x", 404),
        ("GET", "/v1/cases/%00%ff", 404),
        ("GET", "/v1/cases/case_01a1fda4965973b0a3a0ada0a603c9ea", 404),
        ("GET", "/v1/claims/clm_%00", 404),
        ("POST", "/v1/cases/%00/resume", 404),
        ("GET", "/schema/nothing", 404),
        ("GET", "/schema/assets/nothing.js", 404),
        ("GET", "/schema/assets/..%2f__init__.py", 404),
        ("DELETE", "/v1/cases", 405),
        ("POST", "/health/live", 405),
    ],
)
async def test_every_refusal_is_a_problem(api: Api, method: str, path: str, status: int) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = answer.json()
    assert (problem["status"], problem["type"].rpartition(":")[0]) == (status, "urn:claimwright:problem")
    assert {"title", "detail"} <= set(problem)


@sqlite_only
async def test_a_fault_of_ours_is_500_with_an_id_and_no_word_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr("issuer.cases.store.page", broken)
    answer = await api.client.get("/v1/cases")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert answer.json()["request_id"].startswith("err_")


@sqlite_only
async def test_answers_of_v1_are_kept_by_nobody(api: Api) -> None:
    answer = await api.client.get("/v1/levels")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    (basic,) = [one for one in answer.json()["items"] if one["name"] == "basic"]
    assert (basic["topics"], basic["validity_seconds"], basic["form"]) == ([str(0x434C0001)], 31536000, "signed")


@sqlite_only
async def test_the_log_has_the_path_and_neither_query_nor_key_nor_body(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    await api.client.get("/v1/cases?reference=swordfish", headers={"x-note": "swordfish"})
    await api.client.post("/v1/cases", json={"level": "swordfish", "wallet": "swordfish"})
    await api.client.get("/v1/cases?cursor=swordfish")
    written = "".join(capsys.readouterr())
    assert "/v1/cases" in written
    assert "swordfish" not in written
    assert "cwk_" not in written


async def test_ready_is_about_the_database_and_nothing_else(api: Api) -> None:
    for _ in range(2):
        answer = await api.anonymous.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert (await api.anonymous.get("/health/live")).json() == {"status": "ok"}


async def test_an_old_schema_is_not_ready(store_url: str) -> None:
    async with run_api(store_url) as api:
        async with api.db.write() as session:
            await session.execute(sa.text("UPDATE alembic_version SET version_num = 'older'"))
        answer = await api.anonymous.get("/health/ready")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["type"] == "urn:claimwright:problem:not-ready"


async def test_a_database_that_is_away_is_503_and_the_process_lives() -> None:
    app = api_app.build_app(api_settings("postgresql://nobody@127.0.0.1:9/none"), providers={})
    async with serving(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.invalid") as client:
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/health/ready")).status_code == 503
            answer = await client.get("/v1/levels", headers={"authorization": "Bearer cwk_" + "A" * 43})
            assert answer.status_code == 503
            assert answer.headers["retry-after"]


@sqlite_only
async def test_the_page_asks_nobody_else_for_anything(api: Api) -> None:
    page = await api.anonymous.get("/schema")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert re.findall(r"https?://", page.text) == []
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = await api.anonymous.get(asset)
        assert answer.status_code == 200, asset
        if asset.endswith(".css"):
            assert re.findall(r"url\(['\"]?https?:", answer.text) == []
    assert (await api.anonymous.get("/schema/page.json")).json()["openapi"] == "3.0.3"


@sqlite_only
async def test_the_document_names_every_route_and_its_key(api: Api) -> None:
    answer = await api.anonymous.get("/schema/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert {"/webhooks/{provider}", "/webhooks/{provider}/{environment}", "/health/ready"} <= set(document["paths"])
    operations = [
        (path, operation)
        for path, methods in document["paths"].items()
        for name, operation in methods.items()
        if name in ("get", "post")
    ]
    assert len(operations) >= 16
    for path, operation in operations:
        assert operation["summary"], path
        for status, response in operation["responses"].items():
            (content,) = response["content"].items()
            assert content[0] == ("application/json" if status < "3" else "application/problem+json"), (path, status)
            assert content[1]["schema"], (path, status)
        assert bool(operation.get("security")) == path.startswith("/v1"), path
    assert len({operation["operationId"] for _, operation in operations}) == len(operations)
    assert _dangling(document) == []


@sqlite_only
async def test_a_case_is_what_the_document_says(api: Api) -> None:
    document = (await api.anonymous.get("/schema/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/CaseView", "components": document["components"]}
    made = await api.client.post("/v1/cases", json={"level": "basic", "wallet": "0x" + "ab" * 20})
    jsonschema.Draft202012Validator(schema).validate(made.json())
    shown = await api.client.get(f"/v1/cases/{made.json()['id']}")
    jsonschema.Draft202012Validator(schema).validate(shown.json())


def _dangling(document: dict[str, Any]) -> list[str]:
    """References to components that are not there."""
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    return sorted(named - set(document["components"]["schemas"]))
