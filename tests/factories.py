"""Settings, rows and signed deliveries for tests; each says only what it differs in."""

import hmac
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision, Subject
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.ids import new_id
from issuer.settings import ApiSettings, load

WALLET = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
IDENTITY = "0x52908400098527886E0F7030069857D2E4169EE7"
TEMPLATE = "itmpl_ABCDEFGHIJ0123456789"
WEBHOOK_SECRET = "wbhsec_5b1c9f64-3f0e-4d52-9a7b-2f8f6d1e0c43"
PROVIDER_KEY = "persona_sandbox_5b1c9f64-3f0e-4d52-9a7b"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def api_environment(store_url: str, **more: str) -> dict[str, str]:
    """Environment variables of an API on a local chain."""
    return {
        "CLAIMWRIGHT_ENV": "test",
        "CLAIMWRIGHT_CHAIN_ID": "31337",
        "DATABASE_URL": store_url,
        "PERSONA_API_KEY": PROVIDER_KEY,
        "PERSONA_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "PERSONA_TEMPLATE_ID": TEMPLATE,
        "PERSONA_API_BASE_URL": "http://127.0.0.1:9/api/v1",
        "PERSONA_HOSTED_URL": "http://127.0.0.1:9/verify",
    } | more


def api_settings(store_url: str = "sqlite://", **more: str) -> ApiSettings:
    return load(ApiSettings, api_environment(store_url, **more))


def event_body(
    key: str, *, name: str = "inquiry.approved", check_ref: str = "inq_1", status: str = "approved"
) -> bytes:
    """A Persona delivery about one inquiry."""
    inquiry = {
        "type": "inquiry",
        "id": check_ref,
        "attributes": {"status": status, "reference-id": "sub_1"},
        "relationships": {"inquiry-template": {"data": {"type": "inquiry-template", "id": TEMPLATE}}},
    }
    attributes = {"name": name, "created-at": "2026-11-20T12:00:00.000Z", "payload": {"data": inquiry}}
    return msgspec.json.encode({"data": {"type": "event", "id": key, "attributes": attributes}})


def signature(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> str:
    """The value of Persona-Signature; `at` in Unix seconds, now if not said."""
    moment = str(int(time.time() if at is None else at))
    return f"t={moment},v1={hmac.new(secret.encode(), moment.encode() + b'.' + body, 'sha256').hexdigest()}"


def subject(**more: Any) -> Subject:
    return Subject(**({"id": new_id("sub"), "tenant_id": "default", "created_at": NOW} | more))


def case(subject_id: str, **more: Any) -> Case:
    values = {
        "id": new_id("case"),
        "tenant_id": "default",
        "subject_id": subject_id,
        "level": "basic",
        "wallet": WALLET,
        "chain_ids": [31337],
        "provider": "persona",
        "environment": "sandbox",
        "template": TEMPLATE,
        "check_ref": new_id("inq"),
        "status": CaseStatus.CREATED,
        "start_attempt": 0,
        "reasons": [],
        "next_check_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Case(**(values | more))


def decision(case_id: str, **more: Any) -> Decision:
    values = {
        "id": new_id("dec"),
        "tenant_id": "default",
        "case_id": case_id,
        "outcome": "approved",
        "provider_status": "approved",
        "decided_at": NOW,
        "read_at": NOW,
        "mac": "1:00",
    }
    return Decision(**(values | more))


def claim(case_id: str, decision_id: str, **more: Any) -> Claim:
    values = {
        "id": new_id("clm"),
        "tenant_id": "default",
        "case_id": case_id,
        "decision_id": decision_id,
        "revision": 0,
        "wallet": WALLET,
        "identity": IDENTITY,
        "topic": "1129054209",
        "chain_id": 31337,
        "form": "signed",
        "onchain_id": "0x" + "ab" * 32,
        "status": ClaimStatus.QUEUED,
        "validity_seconds": 31536000,
        "salt": "1:00",
        "failures": 0,
        "next_try_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Claim(**(values | more))
