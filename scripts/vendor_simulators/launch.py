"""Keys and addresses of a local vendor, as the simulator and Claimwright are both told. Random and new each time."""

from __future__ import annotations

import secrets

from issuer.providers.vendors import VENDORS

PREFIXES = {"SUMSUB_APP_TOKEN": "sbx:", "ONFIDO_API_TOKEN": "api_sandbox."}
TEMPLATES = {"onfido": "6f9b2c1e-0000-4000-8000-00000000c1a1", "sumsub": "claims-basic-kyc"}


def environment(vendor: str, base_url: str) -> dict[str, str]:
    """Every variable that `vendor` needs, for one sandbox environment at `base_url`."""
    one = VENDORS[vendor]
    made = {name: PREFIXES.get(name, "") + secrets.token_hex(20) for name in secret_variables(vendor)}
    if one.template is not None:
        made[one.template] = TEMPLATES[vendor]
    return {**made, one.base_url: base_url, one.environment: "sandbox"}


def secret_variables(vendor: str) -> frozenset[str]:
    """Which of them may be found in no log and no table."""
    return frozenset({*VENDORS[vendor].keys, VENDORS[vendor].webhook_secret})


def api_key_variable(vendor: str) -> str:
    """The one that the simulator's controls ask for."""
    return VENDORS[vendor].keys[0]
