"""Each process sees only what is its own, whatever else is set."""

import re

from hypothesis import given
from hypothesis import strategies as st

from issuer.commands.roles import own_environment
from issuer.settings import ApiSettings, DaemonSettings

NAMES = """
CLAIMWRIGHT_ENV CLAIMWRIGHT_CHAIN_ID CLAIMWRIGHT_API_HOST CLAIMWRIGHT_API_PORT CLAIMWRIGHT_RPC_URL
CLAIMWRIGHT_DEPLOYMENT_FILE CLAIMWRIGHT_DECISION_KEYS CLAIMWRIGHT_DATA_KEYS CLAIMWRIGHT_SENDER_KEYSTORE
CLAIMWRIGHT_SENDER_PASSWORD CLAIMWRIGHT_SENDER_KEY CLAIMWRIGHT_CLAIM_SIGNER_KEYSTORE CLAIMWRIGHT_CLAIM_SIGNER_PASSWORD
CLAIMWRIGHT_CLAIM_SIGNER_KEY CLAIMWRIGHT_DEPLOYER_KEYSTORE CLAIMWRIGHT_DEPLOYER_PASSWORD CLAIMWRIGHT_DEPLOYER_KEY
CLAIMWRIGHT_SENDER_REMOTE CLAIMWRIGHT_CLAIM_SIGNER_REMOTE CLAIMWRIGHT_REVOKER_KEY CLAIMWRIGHT_KEYSTORE_PASSWORD
PERSONA_API_KEY PERSONA_WEBHOOK_SECRET PERSONA_TEMPLATE_ID PERSONA_ENVIRONMENT_ID
PERSONA_ENVIRONMENT
"""
ENDINGS = ("", "_FILE", "_SANDBOX", "_PRODUCTION_FILE", "_137", "_137_FILE")
EVERYTHING = {name + ending: "x" for name in NAMES.split() for ending in ENDINGS}
OTHERS = {"PATH": "/bin", "HOME": "/root", "HTTPS_PROXY": "http://proxy", "DATABASE_URL": "sqlite:///x"}
SIGNING = re.compile(r"^CLAIMWRIGHT_.*(KEY|KEYSTORE|REMOTE|PASSWORD|DECISION|DATA_KEYS|RPC_URL)")


def test_the_api_never_sees_what_could_sign():
    seen = own_environment(ApiSettings, {**EVERYTHING, **OTHERS})
    assert [name for name in seen if SIGNING.match(name)] == []
    assert {"PERSONA_WEBHOOK_SECRET", "PERSONA_WEBHOOK_SECRET_PRODUCTION_FILE", "PERSONA_API_KEY_FILE"} <= set(seen)
    assert OTHERS.items() <= seen.items()


def test_the_daemon_never_sees_a_webhook_secret_nor_the_deployers_key():
    seen = own_environment(DaemonSettings, {**EVERYTHING, **OTHERS})
    assert [name for name in seen if "WEBHOOK" in name or "DEPLOYER" in name or "API_PORT" in name] == []
    assert {"CLAIMWRIGHT_RPC_URL_137", "CLAIMWRIGHT_SENDER_KEYSTORE_137_FILE"} <= set(seen)
    assert {"CLAIMWRIGHT_SENDER_PASSWORD_FILE", "CLAIMWRIGHT_DECISION_KEYS", "PERSONA_API_KEY"} <= set(seen)
    assert OTHERS.items() <= seen.items()


def test_credentials_of_a_key_service_are_the_daemons_alone():
    env = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "x"}
    assert own_environment(DaemonSettings, env) == env
    assert own_environment(ApiSettings, env) == {}


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_", max_size=30))
def test_an_unknown_variable_of_ours_goes_to_neither(tail):
    for prefix in ("CLAIMWRIGHT_X", "PERSONA_X"):
        env = {prefix + tail: "x"}
        assert own_environment(ApiSettings, env) == own_environment(DaemonSettings, env) == {}


@given(st.dictionaries(st.text(alphabet="abcdefgh_", min_size=1), st.text()))
def test_what_is_not_ours_stays(env):
    assert own_environment(ApiSettings, env) == own_environment(DaemonSettings, env) == env
