"""Who is let in at the Persona door. The mistakes are ones that public handlers really made."""

import hashlib
import hmac
import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import SettingsError, WebhookRefused
from issuer.providers.persona_webhook import PersonaDoor

SECRET = "wbhsec_00000000-1111-4222-8333-444444444444"
OTHER = "wbhsec_99999999-8888-4777-8666-555555555555"
NOW = 1795176143
BODY = b'{"data":{"type":"event","id":"evt_x","attributes":{"name":"inquiry.approved"}}}'
REASONS = {"unsigned", "malformed-signature", "bad-signature", "stale", "malformed"}


def group(body: bytes = BODY, secret: str = SECRET, t: int | str = NOW) -> str:
    digest = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"


def refusal(header: str | None, body: bytes = BODY, *, now: float = NOW, secrets: tuple[str, ...] = (SECRET,)) -> str:
    headers = {} if header is None else {"persona-signature": header}
    with pytest.raises(WebhookRefused) as refused:
        PersonaDoor("sandbox", secrets).verify(headers, body, now)
    return refused.value.reason


def accept(header: str, body: bytes = BODY, *, now: float = NOW, secrets: tuple[str, ...] = (SECRET,)) -> None:
    PersonaDoor("sandbox", secrets).verify({"persona-signature": header}, body, now)


def test_every_published_vector(vectors):
    assert len(vectors) == 13
    for vector in vectors:
        body = vector["body"].encode()
        if vector["expect_valid"]:
            accept(vector["header"], body, now=vector["now"], secrets=tuple(vector["secrets"]))
        else:
            reason = refusal(vector["header"], body, now=vector["now"], secrets=tuple(vector["secrets"]))
            assert reason in REASONS, vector["name"]


@pytest.mark.parametrize("name", ["persona-signature", "Persona-Signature", "PERSONA-SIGNATURE"])
def test_header_names_have_no_case(name):
    PersonaDoor("sandbox", [SECRET]).verify({name: group()}, BODY, NOW)


def test_each_group_is_checked_with_its_own_time():
    accept(f"{group(secret=OTHER, t=NOW - 200)} {group(t=NOW)}")
    accept(f"{group(t=NOW)} {group(secret=OTHER, t=NOW - 200)}")


def test_a_fresh_group_carries_a_stale_one_and_not_the_other_way_round():
    accept(f"{group(t=NOW - 9999)} {group(t=NOW)}")
    assert refusal(f"{group(t=NOW - 9999)} {group(secret=OTHER, t=NOW)}") == "stale"


def test_tolerance_is_inclusive_both_ways():
    for now in (NOW - 300, NOW + 300):
        accept(group(), now=now)
    for now in (NOW - 301, NOW + 301, float("nan")):
        assert refusal(group(), now=now) == "stale"


def test_stale_is_said_only_of_what_was_ours():
    assert refusal(group(secret=OTHER, t=NOW - 9999)) == "bad-signature"


def test_tolerance_is_a_setting():
    door = PersonaDoor("sandbox", [SECRET], tolerance_seconds=5000)
    door.verify({"persona-signature": group(t=NOW - 4999)}, BODY, NOW)


def test_a_tolerance_that_lets_nothing_in_is_named():
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_WEBHOOK_TOLERANCE_SECONDS"):
        PersonaDoor("sandbox", [SECRET], tolerance_seconds=0)


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [SECRET, ""], [f"{SECRET}\n"]])
def test_a_door_without_a_usable_secret_is_not_built(secrets):
    with pytest.raises(SettingsError, match="PERSONA_WEBHOOK_SECRET"):
        PersonaDoor("sandbox", secrets)


def test_a_door_shows_no_secret():
    assert SECRET not in repr(PersonaDoor("sandbox", [SECRET]))
    assert "0000" not in str(PersonaDoor("sandbox", [SECRET]))


# ---- mistakes of public handlers ------------------------------------------------------------------------------


def test_mistake_hmac_over_a_body_that_was_parsed_and_written_again():
    body = b'{"data": {"note":"A \\u0026 B","n":118.356500327000}}'
    accept(group(body), body)
    assert refusal(group(json.dumps(json.loads(body)).encode()), body) == "bad-signature"
    assert refusal(group(b"[object Object]"), body) == "bad-signature"


def test_mistake_letting_in_a_request_without_the_header():
    assert refusal(None) == "unsigned"
    assert refusal("") == "unsigned"


def test_mistake_splitting_on_commas_only_which_fails_during_rotation():
    accept(f"{group(secret=OTHER)} {group()}")
    accept(f"{group()} {group(secret=OTHER)}")


def test_mistake_reading_the_header_as_stripes():
    digests = ",".join(text.partition(",")[2] for text in (group(secret=OTHER), group()))
    assert refusal(f"t={NOW},{digests}") == "malformed-signature"


def test_mistake_wrong_header_name():
    door = PersonaDoor("sandbox", [SECRET])
    with pytest.raises(WebhookRefused, match="unsigned"):
        door.verify({"X-Persona-Signature": group()}, BODY, NOW)


def test_mistake_stripping_or_changing_the_prefix_of_the_secret():
    assert refusal(group(secret=SECRET.removeprefix("wbhsec_"))) == "bad-signature"
    assert refusal(group(secret=SECRET.replace("wbhsec_", "whsec_"))) == "bad-signature"


def test_mistake_base64_digest():
    digest = hmac.digest(SECRET.encode(), f"{NOW}.".encode() + BODY, "sha256")
    assert refusal(f"t={NOW},v1={b64encode(digest).decode()}") == "malformed-signature"


def test_mistake_hmac_without_the_time():
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert refusal(f"t={NOW},v1={digest}") == "bad-signature"


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW}",
        f"t={NOW},v1=",
        f"t={NOW},v1=abc",
        f"t={NOW},v1={'a' * 63}",
        f"t={NOW},v1={'A' * 64}",
        f"t={NOW},v1={'a' * 65}",
        f"t={NOW},v1={'é' * 64}",
        f"t={NOW}, v1={'a' * 64}",
        f"t=-1,v1={'a' * 64}",
        f"t=١٢٣,v1={'a' * 64}",
        f"t=,v1={'a' * 64}",
        f"t={'9' * 400},v1={'a' * 64}",
        f"v1={'a' * 64},t={NOW}",
        f"t={NOW},v1={'a' * 64}\n",
        f"t={NOW},v1={'a' * 64}  t={NOW},v1={'a' * 64}",
        f" t={NOW},v1={'a' * 64}",
        f"t={NOW},v1={'a' * 64},v2=x",
        "\ud800",
    ],
)
def test_mistake_a_malformed_header_raises_something_else(header):
    assert refusal(header) == "malformed-signature"


def test_a_good_group_beside_a_malformed_one_is_refused():
    assert refusal(f"{group()} t=1") == "malformed-signature"


def test_more_groups_than_any_rotation_needs_are_not_computed():
    accept(" ".join([group(secret=OTHER)] * 3 + [group()]))
    assert refusal(" ".join([group()] * 5)) == "malformed-signature"


# ---- no header and no body does anything but refuse -------------------------------------------------------------

GROUPISH = st.from_regex(r"t=[0-9]{1,12},v1=[0-9a-f]{64}", fullmatch=True)
HEADERS = st.one_of(st.text(), GROUPISH, st.lists(GROUPISH, max_size=6).map(" ".join), st.none())


@given(header=HEADERS, body=st.binary(), now=st.floats())
def test_what_we_did_not_sign_is_refused_with_a_known_reason(header, body, now):
    assert refusal(header, body, now=now) in REASONS


@given(body=st.binary(max_size=300), flip=st.integers(min_value=0), t=st.integers(0, 10**10))
def test_one_changed_byte_of_what_we_did_sign_is_refused(body, flip, t):
    header = group(body, t=t)
    accept(header, body, now=t)
    signed = bytearray(f"{t}.".encode() + body)
    at = flip % len(signed)
    if at <= len(str(t)):
        changed = bytes(body) + b"x"
    else:
        signed[at] ^= 1
        changed = bytes(signed[len(str(t)) + 1 :])
    assert refusal(header, changed, now=t) == "bad-signature"
