"""Every bad line of input is refused by name, before anything is written or anybody is called."""

import pytest
import sqlalchemy as sa

from issuer.cases.tables import Case
from tests.factories import WALLET
from tests.integration.api.conftest import Api, run_api

BODY = {"level": "basic", "wallet": WALLET}
pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


async def nothing_happened(api: Api) -> bool:
    async with api.db.read() as session:
        count = await session.scalar(sa.select(sa.func.count()).select_from(Case))
    return count == 0 and not api.provider.started


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"level": "gold"}, "level"),
        ({"level": 1}, "level"),
        ({"level": None}, "level"),
        ({"wallet": WALLET[:-1]}, "wallet"),
        ({"wallet": WALLET + "0"}, "wallet"),
        ({"wallet": WALLET[2:]}, "wallet"),
        ({"wallet": WALLET.swapcase()}, "wallet"),
        ({"wallet": WALLET.upper()}, "wallet"),
        ({"wallet": WALLET[:-1] + "g"}, "wallet"),
        ({"wallet": WALLET + "\n"}, "wallet"),
        ({"wallet": "0x" + "0" * 40}, "wallet"),
        ({"wallet": "vitalik.eth"}, "wallet"),
        ({"identity": "0x" + "0" * 40}, "identity"),
        ({"chain_ids": []}, "chain_ids"),
        ({"chain_ids": [1]}, "chain_ids"),
        ({"chain_ids": [31337, 1]}, "chain_ids"),
        ({"chain_ids": 31337}, "chain_ids"),
        ({"chain_ids": ["x"]}, "chain_ids"),
        ({"reference": ""}, "reference"),
        ({"reference": "a" * 65}, "reference"),
        ({"reference": "a@b"}, "reference"),
        ({"reference": "é"}, "reference"),
        ({"reference": "a\n"}, "reference"),
        ({"redirect_url": ""}, "redirect_url"),
        ({"redirect_url": "/back"}, "redirect_url"),
        ({"redirect_url": "http://dapp.example/"}, "redirect_url"),
        ({"redirect_url": "javascript:alert(1)"}, "redirect_url"),
        ({"redirect_url": "https://user:word@dapp.example/"}, "redirect_url"),
        ({"redirect_url": "https://dapp.example/#end"}, "redirect_url"),
        ({"redirect_url": "https://dapp.example\\@evil.example/"}, "redirect_url"),
        ({"redirect_url": "https://dapp.example:port/"}, "redirect_url"),
        ({"redirect_url": "https://[::1/"}, "redirect_url"),
        ({"redirect_url": "https:// dapp.example/"}, "redirect_url"),
        ({"redirect_url": "https://dapp.example/" + "a" * 2000}, "redirect_url"),
        ({"prefill": "name"}, "prefill"),
        ({"prefill": []}, "prefill"),
        ({"colour": "blue"}, "colour"),
        ({"status": "approved"}, "status"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, change: dict, field: str) -> None:
    answer = await api.client.post("/v1/cases", json=BODY | change)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["type"], problem["status"]) == ("urn:claimwright:problem:invalid-input", 400)
    assert problem["field"].startswith(field), problem
    assert problem["instance"] == "/v1/cases"
    assert await nothing_happened(api)


@pytest.mark.parametrize("missing", ["level", "wallet"])
async def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    answer = await api.client.post("/v1/cases", json={name: BODY[name] for name in BODY if name != missing})
    assert (answer.status_code, answer.json()["field"]) == (400, missing)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"{'level': 'basic'}", b"[" * 2000])
async def test_a_body_that_is_no_object_is_400(api: Api, body: bytes) -> None:
    answer = await api.client.post("/v1/cases", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_over_64_kib_is_413(api: Api) -> None:
    answer = await api.client.post("/v1/cases", json=BODY | {"prefill": {"x": "y" * 65536}})
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:claimwright:problem:body-too-large"


@pytest.mark.parametrize("key", ["", "a b", "a" * 256, "a\tb", b"\xc3\xa9"])
async def test_an_idempotency_key_is_visible_ascii(api: Api, key: str | bytes) -> None:
    answer = await api.client.post("/v1/cases", json=BODY, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
    assert await nothing_happened(api)


async def test_a_lower_case_wallet_and_good_urls_are_taken(api: Api) -> None:
    for url in ("https://dapp.example/back?x=1", "http://127.0.0.1:3000/", "http://localhost/", "http://[::1]:3000/"):
        answer = await api.client.post("/v1/cases", json=BODY | {"wallet": WALLET.lower(), "redirect_url": url})
        assert answer.status_code == 201
        assert answer.json()["wallet"] == WALLET
        assert api.provider.started[-1].redirect_url == url


async def test_a_prefill_is_in_no_table(api: Api) -> None:
    await api.client.post(
        "/v1/cases", json=BODY | {"prefill": {"name_first": "Xanthippe"}}, headers={"idempotency-key": "k"}
    )
    async with api.db.read() as session:
        for table in ("cases", "case_requests", "history", "subjects", "subject_wallets"):
            rows = await session.execute(sa.text(f"SELECT * FROM {table}"))
            assert "Xanthippe" not in repr(rows.all())


async def test_redirects_can_be_kept_to_named_hosts(store_url: str) -> None:
    async with run_api(store_url, CLAIMWRIGHT_REDIRECT_HOSTS="a.example, b.example") as api:
        for host, status in (("a.example", 201), ("B.example", 201), ("x.a.example", 400), ("a.example.evil", 400)):
            answer = await api.client.post("/v1/cases", json=BODY | {"redirect_url": f"https://{host}/"})
            assert answer.status_code == status, host


async def test_in_production_loopback_is_not_https_either(store_url: str) -> None:
    more = {
        "CLAIMWRIGHT_ENV": "production",
        "PERSONA_API_BASE_URL": "https://kyc.invalid/api/v1",
        "PERSONA_HOSTED_URL": "https://kyc.invalid/verify",
    }
    async with run_api(store_url, **more) as api:
        answer = await api.client.post("/v1/cases", json=BODY | {"redirect_url": "http://127.0.0.1/"})
        assert answer.json()["field"] == "redirect_url"


async def test_cases_take_the_configured_chains_each_once(store_url: str) -> None:
    async with run_api(store_url, CLAIMWRIGHT_CHAIN_ID="31337 11155111") as api:
        for asked in (None, [11155111], [31337, 11155111]):
            more = {} if asked is None else {"chain_ids": asked}
            answer = await api.client.post("/v1/cases", json=BODY | more)
            assert answer.json()["type"] == "urn:claimwright:problem:wallet-not-proved", asked
        answer = await api.client.post("/v1/cases", json=BODY | {"chain_ids": [31337, 31337]})
        assert answer.status_code == 201
        async with api.db.read() as session:
            (case,) = await session.scalars(sa.select(Case))
        assert case.chain_ids == [31337]


async def test_a_public_chain_wants_the_owner_to_sign_first(store_url: str) -> None:
    async with run_api(store_url, CLAIMWRIGHT_CHAIN_ID="11155111") as api:
        answer = await api.client.post("/v1/cases", json=BODY)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:claimwright:problem:wallet-not-proved"
        assert await nothing_happened(api)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("status=done", "status"),
        ("level=gold", "level"),
        ("wallet=0x1", "wallet"),
        ("reference=a@b", "reference"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=AAAA", "cursor"),
        ("cursor=é", "cursor"),
        ("cursor=" + "A" * 3000, "cursor"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/cases", "/v1/claims"])
async def test_a_wrong_filter_is_named(api: Api, path: str, query: str, field: str) -> None:
    answer = await api.client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize("reason", ["", " ", "a" * 201, "a\nb", "a\x00b", None, 5])
async def test_a_reason_is_one_short_line(api: Api, reason: object) -> None:
    answer = await api.client.post("/v1/claims/clm_1/revoke", json={"reason": reason})
    assert (answer.status_code, answer.json()["field"]) == (400, "reason")


async def test_a_wrong_wallet_in_a_path_is_400(api: Api) -> None:
    answer = await api.client.get("/v1/subjects/0xABC/status")
    assert (answer.status_code, answer.json()["field"]) == (400, "wallet")
