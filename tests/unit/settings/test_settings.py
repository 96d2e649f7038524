"""Settings: what is missing, weak or contradictory stops the start with one line that names the variable."""

import contextlib
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import SettingsError
from issuer.secrets import Secret
from issuer.settings import ApiSettings, DaemonSettings, DeploySettings, StoreSettings, load, load_chain, lookup, strong

_INVENTED = Random(712)


def hexed(size: int) -> str:
    """Hex digits that look random."""
    return _INVENTED.randbytes(size).hex()


KEY = "persona_sandbox_" + hexed(20)
HOOK = "wbhsec_" + hexed(16)
PERSONA = {"PERSONA_API_KEY": KEY, "PERSONA_TEMPLATE_ID": "itmpl_1", "CLAIMWRIGHT_CHAIN_ID": "31337"}
API = {**PERSONA, "PERSONA_WEBHOOK_SECRET": HOOK}
DAEMON = {
    **PERSONA,
    "CLAIMWRIGHT_RPC_URL": "http://127.0.0.1:8545",
    "CLAIMWRIGHT_DECISION_KEYS": "1:" + hexed(32),
    "CLAIMWRIGHT_DATA_KEYS": "1:" + hexed(32),
}
DEPLOY = {
    "CLAIMWRIGHT_RPC_URL": "http://127.0.0.1:8545",
    "CLAIMWRIGHT_CHAIN_ID": "31337",
    "CLAIMWRIGHT_SENDER_ADDRESS": "0x" + "1" * 40,
    "CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS": "0x" + "2" * 40,
}
KINDS = {ApiSettings: API, DaemonSettings: DAEMON, DeploySettings: DEPLOY, StoreSettings: {}}


def refusal(kind, env) -> str:
    with pytest.raises(SettingsError) as caught:
        load(kind, env)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_required_is_enough(kind):
    assert load(kind, KINDS[kind])


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, env in KINDS.items() for name in env])
@pytest.mark.parametrize("value", [None, ""])
def test_each_required_setting_is_named_when_it_is_missing_or_empty(kind, name, value):
    env = {key: text for key, text in KINDS[kind].items() if key != name}
    if value is not None:
        env[name] = value
    assert refusal(kind, env) == f"{name}: is required and not set"


WRONG = [
    (ApiSettings, "CLAIMWRIGHT_CHAIN_ID", "mainnet"),
    (ApiSettings, "CLAIMWRIGHT_CHAIN_ID", "0"),
    (ApiSettings, "CLAIMWRIGHT_CHAIN_ID", "-1"),
    (ApiSettings, "CLAIMWRIGHT_CHAIN_ID", "1 137 1"),
    (ApiSettings, "CLAIMWRIGHT_CHAIN_ID", "1,mainnet"),
    (ApiSettings, "CLAIMWRIGHT_API_PORT", "0"),
    (ApiSettings, "CLAIMWRIGHT_API_PORT", "65536"),
    (ApiSettings, "CLAIMWRIGHT_API_PORT", "http"),
    (ApiSettings, "CLAIMWRIGHT_API_WORKERS", "0"),
    (ApiSettings, "CLAIMWRIGHT_WEBHOOK_TOLERANCE_SECONDS", "0"),
    (ApiSettings, "CLAIMWRIGHT_ENV", "staging"),
    (ApiSettings, "CLAIMWRIGHT_LOG_LEVEL", "loud"),
    (ApiSettings, "PERSONA_ENVIRONMENT", "live"),
    (ApiSettings, "PERSONA_ENVIRONMENT", "sandbox,sandbox"),
    (ApiSettings, "PERSONA_API_BASE_URL", "http://api.withpersona.com/api/v1"),
    (ApiSettings, "PERSONA_API_BASE_URL", "http://127.0.0.1:1/api/v1"),  # plain http, in production
    (ApiSettings, "PERSONA_HOSTED_URL", "ftp://inquiry.withpersona.com"),
    (ApiSettings, "PERSONA_API_KEY", "short"),
    (ApiSettings, "PERSONA_API_KEY", "change-me-please-now"),
    (ApiSettings, "PERSONA_API_KEY", "a" * 64),
    (ApiSettings, "PERSONA_WEBHOOK_SECRET", "short"),
    (ApiSettings, "PERSONA_WEBHOOK_SECRET", "your-webhook-secret-here"),
    (ApiSettings, "PERSONA_WEBHOOK_SECRET", f"{HOOK} weak"),
    (DaemonSettings, "CLAIMWRIGHT_DEPTH", "0"),
    (DaemonSettings, "CLAIMWRIGHT_BATCH_SIZE", "201"),
    (DaemonSettings, "CLAIMWRIGHT_MAX_FEE_GWEI", "-1"),
    (DaemonSettings, "CLAIMWRIGHT_CRASH_AT", "issue.sent"),  # in production, as everything here
    (DaemonSettings, "CLAIMWRIGHT_DECISION_KEYS", hexed(32)),
    (DaemonSettings, "CLAIMWRIGHT_DECISION_KEYS", "1:" + "00" * 32),
    (DaemonSettings, "CLAIMWRIGHT_DECISION_KEYS", "1:" + hexed(16)),
    (DaemonSettings, "CLAIMWRIGHT_DECISION_KEYS", f"1:{hexed(32)} 1:{hexed(32)}"),
    (DaemonSettings, "CLAIMWRIGHT_DATA_KEYS", DAEMON["CLAIMWRIGHT_DECISION_KEYS"]),
    (DeploySettings, "CLAIMWRIGHT_SENDER_ADDRESS", "0x1234"),
    (DeploySettings, "CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS", "claim-signer"),
]


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_a_wrong_or_weak_value_is_refused_by_name_and_never_repeated(kind, name, value):
    message = refusal(kind, {**KINDS[kind], name: value})
    assert message.startswith(f"{name}: ")
    if len(value) >= 16 and "://" not in value:
        assert value not in message


@pytest.mark.parametrize("kind", [ApiSettings, DaemonSettings])
def test_no_secret_shows_in_a_repr(kind):
    env = KINDS[kind]
    shown = repr(load(kind, {**env, "DATABASE_URL": "postgresql://u:hidden-word@db/x"}))
    for name in ("PERSONA_API_KEY", "PERSONA_WEBHOOK_SECRET", "CLAIMWRIGHT_DECISION_KEYS", "CLAIMWRIGHT_DATA_KEYS"):
        assert env.get(name, "hidden-word") not in shown
    assert "hidden-word" not in shown


def test_the_two_types_share_no_secret_but_the_providers_key_and_the_database():
    api, daemon = set(ApiSettings.__struct_encode_fields__), set(DaemonSettings.__struct_encode_fields__)
    assert not [name for name in api if any(word in name for word in ("KEY", "PASSWORD", "RPC", "DECISION", "DATA_"))]
    assert not [name for name in daemon if "WEBHOOK" in name]
    assert all(not one.webhook_secrets for one in load(DaemonSettings, {**DAEMON, **API}).providers)


def test_loopback_over_http_is_for_development():
    settings = load(
        ApiSettings, {**API, "CLAIMWRIGHT_ENV": "development", "PERSONA_API_BASE_URL": "http://127.0.0.1:1"}
    )
    assert settings.providers[0].api_url == "http://127.0.0.1:1"
    refusal(ApiSettings, {**API, "CLAIMWRIGHT_ENV": "development", "PERSONA_API_BASE_URL": "http://10.0.0.1/api"})


def test_webhook_secrets_are_a_list_while_one_replaces_another():
    second = "wbhsec_" + hexed(16)
    for text in (f"{HOOK} {second}", f"{HOOK},{second}", f" {HOOK}\n{second} "):
        found = load(ApiSettings, {**API, "PERSONA_WEBHOOK_SECRET": text}).providers[0].webhook_secrets
        assert found == (Secret(HOOK), Secret(second))


def test_two_environments_take_endings():
    env = {"CLAIMWRIGHT_CHAIN_ID": "31337", "PERSONA_ENVIRONMENT": "sandbox,production"}
    for ending in ("SANDBOX", "PRODUCTION"):
        env |= {
            f"PERSONA_API_KEY_{ending}": KEY + ending,
            f"PERSONA_TEMPLATE_ID_{ending}": f"itmpl_{ending}",
            f"PERSONA_WEBHOOK_SECRET_{ending}": HOOK + ending,
        }
    both = load(ApiSettings, env).providers
    assert [one.environment for one in both] == ["sandbox", "production"]
    assert [one.template for one in both] == ["itmpl_SANDBOX", "itmpl_PRODUCTION"]
    assert both[0].keys["PERSONA_API_KEY"] == Secret(KEY + "SANDBOX")
    assert refusal(ApiSettings, {**env, "PERSONA_API_KEY_PRODUCTION": ""}) == (
        "PERSONA_API_KEY_PRODUCTION: is required and not set"
    )


def test_with_one_environment_an_ending_is_no_substitute():
    env = {name: value for name, value in API.items() if name != "PERSONA_API_KEY"}
    assert "PERSONA_API_KEY:" in refusal(ApiSettings, {**env, "PERSONA_API_KEY_SANDBOX": KEY})


TWO_CHAINS = {name: value for name, value in DAEMON.items() if name != "CLAIMWRIGHT_RPC_URL"} | {
    "CLAIMWRIGHT_CHAIN_ID": "1, 137",
    "CLAIMWRIGHT_RPC_URL_1": "http://127.0.0.1:1",
    "CLAIMWRIGHT_RPC_URL_137": "http://127.0.0.1:2 http://127.0.0.1:3",
}


def test_two_chains_take_endings_and_share_the_plain_values():
    env = {
        **TWO_CHAINS,
        "CLAIMWRIGHT_DEPTH": "20",
        "CLAIMWRIGHT_DEPTH_137": "100",
        "CLAIMWRIGHT_SENDER_KEYSTORE": "sender.json",
        "CLAIMWRIGHT_SENDER_PASSWORD_1": "one",
        "CLAIMWRIGHT_DEPLOYMENT_FILE_1": "main.json",
        "CLAIMWRIGHT_DEPLOYMENT_FILE": "of-no-chain.json",
    }
    first, second = load(DaemonSettings, env).chains
    assert [first.chain_id, second.chain_id] == [1, 137]
    assert first.rpc_urls == (Secret("http://127.0.0.1:1"),)
    assert second.rpc_urls == (Secret("http://127.0.0.1:2"), Secret("http://127.0.0.1:3"))
    assert (first.depth, second.depth) == (20, 100)
    assert (first.sender_keystore, second.sender_keystore) == ("sender.json", "sender.json")
    assert (first.sender_password, second.sender_password) == (Secret("one"), None)
    assert (first.deployment_file, second.deployment_file) == ("main.json", "deployment-137.json")


def test_with_two_chains_a_wrong_value_is_named_as_it_is_set():
    plain = {name: value for name, value in TWO_CHAINS.items() if name != "CLAIMWRIGHT_RPC_URL_137"}
    missing = "CLAIMWRIGHT_RPC_URL_137: is required and not set"
    assert refusal(DaemonSettings, {**plain, "CLAIMWRIGHT_RPC_URL": "http://127.0.0.1:4"}) == missing
    assert refusal(DaemonSettings, {**TWO_CHAINS, "CLAIMWRIGHT_DEPTH_137": "0"}).startswith("CLAIMWRIGHT_DEPTH_137: ")
    assert refusal(DaemonSettings, {**TWO_CHAINS, "CLAIMWRIGHT_DEPTH": "deep"}).startswith("CLAIMWRIGHT_DEPTH: ")


def test_with_one_chain_an_ending_changes_nothing():
    (chain,) = load(DaemonSettings, {**DAEMON, "CLAIMWRIGHT_DEPTH_31337": "7"}).chains
    assert (chain.chain_id, chain.depth, chain.deployment_file) == (31337, None, "deployment.json")


def test_one_of_several_chains_is_deployed_on_by_name():
    both = {name: value for name, value in {**DEPLOY, **TWO_CHAINS}.items() if name != "CLAIMWRIGHT_RPC_URL"}
    found = load_chain(DeploySettings, both, 137)
    assert (found.chain_id, found.deployment_file) == (137, "deployment-137.json")
    for chain_id, says in ((None, "lists several chains (1, 137); say which one"), (5, "does not list chain 5")):
        with pytest.raises(SettingsError, match=re.escape(says)):
            load_chain(DeploySettings, both, chain_id)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_may_come_from_a_file(tmp_path, ending):
    path = tmp_path / "key"
    path.write_text(KEY + ending)
    env = {name: value for name, value in API.items() if name != "PERSONA_API_KEY"}
    settings = load(ApiSettings, {**env, "PERSONA_API_KEY_FILE": str(path)})
    assert settings.providers[0].keys["PERSONA_API_KEY"] == Secret(KEY)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    env = {name: value for name, value in DAEMON.items() if name != "CLAIMWRIGHT_DATA_KEYS"}
    for path in (tmp_path / "missing", tmp_path):
        message = refusal(DaemonSettings, {**env, "CLAIMWRIGHT_DATA_KEYS_FILE": str(path)})
        assert message.startswith("CLAIMWRIGHT_DATA_KEYS_FILE: cannot be read")


def test_a_value_and_a_file_for_it_are_a_contradiction(tmp_path):
    message = refusal(DaemonSettings, {**DAEMON, "CLAIMWRIGHT_DATA_KEYS_FILE": str(tmp_path / "x")})
    assert message.startswith("CLAIMWRIGHT_DATA_KEYS: is set twice")


@given(st.text(alphabet=st.characters(blacklist_characters="\x00", blacklist_categories=("Cs",)), min_size=1))
def test_whatever_the_database_url_is_loading_neither_fails_nor_changes_it(value):
    settings = load(StoreSettings, {"DATABASE_URL": value})
    assert settings.database_url == Secret(value)
    assert value not in repr(settings) or len(value) < 5


@given(st.text(max_size=15))
def test_a_short_secret_is_weak_whatever_it_is(value):
    with pytest.raises(SettingsError, match=r"^NAME: is shorter than 16 characters$"):
        strong("NAME", Secret(value))


@given(st.binary(min_size=16, max_size=32))
def test_random_bytes_in_hex_are_strong(value):
    if len(set(value.hex())) >= 6:
        strong("NAME", Secret("wbhsec_" + value.hex()))


@given(st.dictionaries(st.sampled_from([*API, *DAEMON]), st.text(max_size=40)))
def test_no_environment_brings_anything_but_settings_or_a_named_refusal(env):
    for kind in KINDS:
        with contextlib.suppress(SettingsError):
            assert isinstance(load(kind, {**KINDS[kind], **env}), kind)


def test_lookup_of_nothing_is_nothing():
    assert lookup({}, "NAME") is None
    assert lookup({"NAME": ""}, "NAME") is None
