"""Signature vectors and bodies of the four vendors: which bytes are theirs, and what a body must lead to.

The vendors' own published vectors and bodies are not ours to copy. Where `CLAIMWRIGHT_OFFICIAL_FIXTURES` names a folder
that holds them beside Persona's, they run too.
"""

import json
import os
from pathlib import Path

import pytest

from issuer.errors import WebhookRefused
from issuer.providers import registry
from issuer.providers.protocol import WebhookDoor
from issuer.providers.sumsub import SumsubProvider
from issuer.providers.vendors import VENDORS, ProviderSettings
from issuer.secrets import Secret
from scripts.vendor_simulators.launch import PREFIXES

OURS = Path(__file__).parents[2] / "fixtures" / "providers"
OFFICIAL = Path(os.environ.get("CLAIMWRIGHT_OFFICIAL_FIXTURES", "/nonexistent")) / "providers"
FOLDER = OFFICIAL if (OFFICIAL / "signature-vectors.json").exists() else OURS
VECTORS = json.loads((FOLDER / "signature-vectors.json").read_text())["vectors"]
WEBHOOKS = [vector for vector in VECTORS if vector["kind"] == "webhook"]
REQUESTS = [vector for vector in VECTORS if vector["kind"] == "request-signing"]
VERIFF_KEY = "00000000-aaaa-4bbb-8ccc-dddddddddddd"


def configured(provider: str, secrets: list[str], environment: str = "sandbox", **changed: str) -> ProviderSettings:
    """As `load` would make it, but for the strength that real secrets must have."""
    vendor = VENDORS[provider]
    keys = {name: Secret(changed.get(name, f"{PREFIXES.get(name, '')}0123456789abcdef")) for name in vendor.keys}
    return ProviderSettings(
        vendor=provider,
        environment=environment,
        template="default",
        api_url="http://127.0.0.1:1",
        keys=keys,
        options={**vendor.options, **{name: value for name, value in changed.items() if name in vendor.options}},
        webhook_secrets=tuple(Secret(secret) for secret in secrets),
    )


def door(provider: str, secrets: list[str], environment: str = "sandbox", **changed: str) -> WebhookDoor:
    return registry.DOORS[provider](configured(provider, secrets, environment, **changed), 300)


def body_of(vector: dict) -> bytes:
    if "body_file" in vector:
        content = (FOLDER / vector["body_file"]).read_bytes()
        assert len(content) == vector["body_bytes"], "the fixture was reformatted"
        return content
    return vector["body_utf8"].encode()


@pytest.mark.parametrize("vector", WEBHOOKS, ids=lambda vector: vector["name"])
def test_exactly_the_vendors_bytes_are_accepted(vector):
    config = vector.get("config", {})
    changed = {"VERIFF_API_KEY": VERIFF_KEY}
    if "accepted_algorithm" in config:
        changed["SUMSUB_DIGEST_ALG"] = config["accepted_algorithm"]
    headers = dict(vector["other_headers"])
    if vector["header_value"] is not None:
        headers[vector["header_name"]] = vector["header_value"]
    if vector["provider"] == "veriff" and vector["published"]:
        headers["X-AUTH-CLIENT"] = VERIFF_KEY  # that vector shows the digest alone
    own = door(vector["provider"], vector["secrets"], **changed)
    if vector["expect_valid"]:
        own.verify(headers, body_of(vector), 0)
    else:
        with pytest.raises(WebhookRefused):
            own.verify(headers, body_of(vector), 0)


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda vector: vector["name"])
def test_our_own_calls_are_signed_as_the_vendor_wants(vector):
    one = configured("sumsub", [], SUMSUB_SECRET_KEY=vector["secrets"][0])
    provider = SumsubProvider(one, clock=lambda: float(vector["other_headers"]["X-App-Access-Ts"]))
    signed = provider._signed(vector["method"], vector["path"], vector["body_utf8"].encode())
    assert signed["X-App-Access-Sig"] == vector["header_value"]


def parsed(provider: str, file: str):
    return door(provider, ["a-webhook-secret-0001"]).parse((OURS / file).read_bytes())


@pytest.mark.parametrize(
    ("file", "name", "status"),
    [
        ("idenfy-approved-final.json", "identification.approved.final", "APPROVED"),
        ("idenfy-approved-final-false.json", "identification.approved.not_final", "APPROVED"),
        ("idenfy-suspected.json", "identification.suspected.final", "SUSPECTED"),
        ("idenfy-denied.json", "identification.denied.final", "DENIED"),
        ("idenfy-expired.json", "identification.expired.final", "EXPIRED"),
    ],
)
def test_idenfy_bodies(file, name, status):
    event = parsed("idenfy", file)
    assert (event.name, event.status, event.known) == (name, status, True)
    assert event.check_ref.startswith("5f0c2c1e-1111")
    assert event.reference == "sub_0192f0c4-7c1e-7a6e-9d0b-1f2e3d4c5b6a"
    assert not any(word in repr(event).lower() for word in ("testa", "exempel", "märta", "passport"))


def test_idenfy_webhooks_of_one_scan_have_keys_of_their_own():
    final, not_final = (parsed("idenfy", f"idenfy-approved-final{end}.json") for end in ("", "-false"))
    assert final.key != not_final.key


@pytest.mark.parametrize(
    ("file", "kind", "status"),
    [
        ("sumsub-applicant-reviewed-red-final.json", "applicantReviewed", "completed"),
        ("sumsub-applicant-reviewed-green-sandbox.json", "applicantReviewed", "completed"),
    ],
)
def test_sumsub_bodies(file, kind, status):
    event = parsed("sumsub", file)
    assert (event.name, event.status, event.known) == (kind, status, True)
    assert event.occurred_at is not None


@pytest.mark.parametrize(
    "file",
    [
        "sumsub-applicant-reviewed-green-completed.json",  # a boolean
        "sumsub-applicant-reviewed-red-retry.json",  # the text "false"
        "sumsub-applicant-reset.json",
    ],
)
def test_a_sumsub_body_of_production_does_not_come_in_by_the_sandbox_door(file):
    with pytest.raises(WebhookRefused, match="other-environment"):
        parsed("sumsub", file)


def test_a_sumsub_sandbox_body_does_not_come_in_by_the_production_door():
    production = door("sumsub", ["a-webhook-secret-0001"], "production")
    with pytest.raises(WebhookRefused, match="other-environment"):
        production.parse((OURS / "sumsub-applicant-reviewed-green-sandbox.json").read_bytes())


def test_an_onfido_run_is_a_hint_and_its_address_is_not_looked_at():
    event = parsed("onfido", "onfido-workflow-run-completed.constructed.json")
    assert (event.name, event.known, event.status) == ("workflow_run.completed", True, "approved")
    assert event.check_ref == "bc77c6e5-753a-4580-96a6-aaed3e5a8d19"
    assert "href" not in repr(event)
    assert "onfido.com" not in repr(event)


@pytest.mark.parametrize("resource", ["workflow_task", "check", "report"])
def test_other_onfido_events_are_kept_and_ring_nobody(resource):
    body = {"payload": {"resource_type": resource, "action": f"{resource}.completed", "object": {"id": "x-1"}}}
    event = door("onfido", ["a-webhook-secret-0001"]).parse(json.dumps(body).encode())
    assert (event.known, event.check_ref) == (False, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (
            {"id": "f04bdb47-d3be", "action": "started", "code": 7001, "attemptId": "a-1", "vendorData": "sub_1"},
            "started",
        ),
        (
            {"verification": {"id": "f04bdb47-d3be", "status": "approved", "code": 9102, "vendorData": "sub_1"}},
            "approved",
        ),
        ({"eventType": "fullauto", "sessionId": "f04bdb47-d3be", "vendorData": "sub_1"}, "fullauto"),
    ],
)
def test_veriff_has_three_shapes_and_codes_are_not_read(body, status):
    event = door("veriff", ["a-webhook-secret-0001"]).parse(json.dumps(body).encode())
    assert (event.check_ref, event.status, event.known) == ("f04bdb47-d3be", status, True)
    assert event.reference == "sub_1"
