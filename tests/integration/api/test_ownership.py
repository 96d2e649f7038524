"""The owner of a wallet signs before a case on a live chain, and each signature opens one case."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from eth_account import Account
from eth_account.messages import encode_defunct

from issuer.cases.challenges import WalletChallenge
from issuer.cases.tables import Case
from issuer.claims.preflight import _is_asked_for
from tests.fakes import FakeProvider
from tests.integration.api.conftest import Api, run_api

OWNER, OTHER = (Account.from_key("0x" + byte * 32) for byte in ("11", "22"))
ASK = {"level": "basic", "domain": "dapp.example"}


def live() -> dict[str, Any]:
    """Two live chains, and what may reach them."""
    return {
        "CLAIMWRIGHT_CHAIN_ID": "1 137",
        "PERSONA_ENVIRONMENT": "production",
        "provider": FakeProvider("production"),
    }


async def challenge(api: Api, wallet: str = OWNER.address, **more: object) -> dict:
    answer = await api.client.post(f"/v1/subjects/{wallet}/challenge", json=ASK | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def proof(message: str, key=OWNER) -> dict[str, str]:
    return {"message": message, "signature": "0x" + key.sign_message(encode_defunct(text=message)).signature.hex()}


def body(given: dict[str, str] | None, **more: object) -> dict[str, object]:
    return {"level": "basic", "wallet": OWNER.address, **({"proof": given} if given else {}), **more}


async def refused(api: Api, asked: dict[str, object]) -> str:
    answer = await api.client.post("/v1/cases", json=asked)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:claimwright:problem:wallet-not-proved"), (
        answer.text
    )
    async with api.db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Case)) == 0
    return answer.json()["detail"]


async def test_the_owners_signature_opens_one_case(store_url: str) -> None:
    async with run_api(store_url, **live()) as api:
        message = (await challenge(api))["message"]
        assert message.startswith("dapp.example wants you to sign in")
        assert "chain 1, 137." in message
        answer = await api.client.post("/v1/cases", json=body(proof(message)))
        assert answer.status_code == 201, answer.text
        assert "proof" not in answer.json()
        async with api.db.read() as session:
            (case,) = await session.scalars(sa.select(Case))
        assert [_is_asked_for(case, chain_id) for chain_id in (1, 137, 10)] == [True, True, False]
        again = await api.client.post("/v1/cases", json=body(proof(message)))
        assert again.status_code == 409
        assert "used" in again.json()["detail"]


async def test_a_repeat_with_its_idempotency_key_finds_the_case(store_url: str) -> None:
    async with run_api(store_url, **live()) as api:
        asked, header = body(proof((await challenge(api))["message"])), {"Idempotency-Key": "signup-1"}
        first = await api.client.post("/v1/cases", json=asked, headers=header)
        second = await api.client.post("/v1/cases", json=asked, headers=header)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] == second.json()["id"]


async def test_what_the_owner_did_not_sign_is_refused(store_url: str) -> None:
    async with run_api(store_url, **live()) as api:
        message = (await challenge(api, chain_ids=[1]))["message"]
        assert "/challenge" in await refused(api, body(None))
        assert "another wallet, level or chain" in await refused(api, body(proof(message, OTHER)))
        assert "another wallet, level or chain" in await refused(api, body(proof(message)))  # for both chains
        other = body(proof(message), wallet=OTHER.address, chain_ids=[1])
        assert "another wallet" in await refused(api, other)
        assert "not one that was given out" in await refused(api, body(proof("hello"), chain_ids=[1]))
        forged = message.replace("Nonce: ", "Nonce: 00", 1)[:-2]
        assert await refused(api, body(proof(forged), chain_ids=[1]))
        strange = message.replace(message.split("Nonce: ")[1][:32], "0" * 32)
        assert "never given out" in await refused(api, body(proof(strange), chain_ids=[1]))
        assert (await api.client.post("/v1/cases", json=body(proof(message), chain_ids=[1]))).status_code == 201


async def test_a_challenge_ends(store_url: str) -> None:
    now = [datetime(2026, 11, 25, 12, tzinfo=UTC)]
    async with run_api(store_url, clock=lambda: now[0], **live()) as api:
        made = await challenge(api)
        now[0] += timedelta(minutes=15)
        assert "has ended" in await refused(api, body(proof(made["message"])))
        now[0] += timedelta(days=2)
        await challenge(api)
        async with api.db.read() as session:
            assert await session.scalar(sa.select(sa.func.count()).select_from(WalletChallenge)) == 1


async def test_a_challenge_is_its_tenants(store_url: str) -> None:
    async with run_api(store_url, **live()) as api:
        message = (await challenge(api))["message"]
        theirs = await api.key("cases:write", tenant_id="other")
        answer = await api.client.post("/v1/cases", json=body(proof(message)), headers=theirs)
        assert answer.status_code == 409


async def test_a_local_chain_needs_no_proof_and_believes_no_wrong_one(store_url: str) -> None:
    async with run_api(store_url) as api:
        message = (await challenge(api))["message"]
        assert await refused(api, body(proof(message, OTHER)))
        assert (await api.client.post("/v1/cases", json=body(proof(message)))).status_code == 201
        assert (await api.client.post("/v1/cases", json=body(None))).status_code == 201


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        (OWNER.address, ASK | {"level": "gold"}, "level"),
        (OWNER.address, ASK | {"domain": "https://dapp.example"}, "domain"),
        (OWNER.address, ASK | {"domain": "Dapp.example"}, "domain"),
        (OWNER.address, ASK | {"chain_ids": [5]}, "chain_ids"),
        ("0x1", ASK, "wallet"),
    ],
)
async def test_a_wrong_question_is_named(api: Api, path: str, asked: dict, field: str) -> None:
    answer = await api.client.post(f"/v1/subjects/{path}/challenge", json=asked)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_wallet_shows_only_hosts_of_ours(store_url: str) -> None:
    async with run_api(store_url, CLAIMWRIGHT_REDIRECT_HOSTS="dapp.example") as api:
        for domain, status in (("dapp.example", 201), ("dapp.example:8443", 201), ("evil.example", 400)):
            answer = await api.client.post(f"/v1/subjects/{OWNER.address}/challenge", json=ASK | {"domain": domain})
            assert answer.status_code == status, domain


@pytest.mark.parametrize(
    ("environment", "chains", "away"),
    [("sandbox", "31337 1", [1]), ("sandbox", "424242", [424242]), ("production", "1 11155111", [11155111])],
)
async def test_a_case_for_a_chain_that_its_check_does_not_reach_is_refused_at_once(
    store_url: str, environment: str, chains: str, away: list[int]
) -> None:
    more = {"CLAIMWRIGHT_CHAIN_ID": chains, "PERSONA_ENVIRONMENT": environment}
    async with run_api(store_url, provider=FakeProvider(environment), **more) as api:
        answer = await api.client.post("/v1/cases", json=body(None))
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:claimwright:problem:chain-out-of-reach")
        assert answer.json()["detail"].endswith(f": {', '.join(map(str, away))}")
        assert api.provider.started == []


async def test_production_reaches_a_local_chain_for_a_rehearsal_that_was_asked_for(store_url: str) -> None:
    more = {"PERSONA_ENVIRONMENT": "production", "CLAIMWRIGHT_PRODUCTION_TO_TEST_CHAINS": "yes"}
    async with run_api(store_url, provider=FakeProvider("production"), **more) as api:
        assert (await api.client.post("/v1/cases", json=body(None))).status_code == 201
