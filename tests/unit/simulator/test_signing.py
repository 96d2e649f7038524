"""The signer against the vectors that every receiver is tested with."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from scripts.persona_simulator.signing import corrupted, group, signature_header
from tests.unit.simulator.shapes import FIXTURES

VECTORS: list[dict[str, Any]] = json.loads((FIXTURES / "signature-vectors.json").read_text())["vectors"]
SECRETS = sorted({secret for vector in VECTORS for secret in vector["secrets"]})
POLICY = {"stale-300s-policy", "future-t"}
"""Rightly signed; the receiver refuses them for the age of `t` alone."""
SIGNED_BY_ANOTHER = {"wrong-secret"}


def groups(header: str) -> list[str]:
    return [part for part in header.split(" ") if part]


def test_there_are_thirteen_vectors() -> None:
    assert len(VECTORS) == 13


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["expect_valid"]], ids=lambda v: v["name"])
def test_every_group_of_a_valid_vector_is_reproduced(vector: dict[str, Any]) -> None:
    body = vector["body"].encode()
    for given in groups(vector["header"]):
        t = int(re.fullmatch(r"t=(\d+),v1=[0-9a-f]{64}", given)[1])  # type: ignore[index]
        assert given in {group(secret, body, t) for secret in SECRETS}
    assert set(groups(vector["header"])) & {
        group(secret, body, int(vector["header"][2:12])) for secret in vector["secrets"]
    }, "one group must be the receiver's own secret"


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v["expect_valid"]], ids=lambda v: v["name"])
def test_an_invalid_vector_is_not_what_we_would_send(vector: dict[str, Any]) -> None:
    stamp = re.search(r"t=(\d+)", vector["header"])
    t = int(stamp[1]) if stamp else vector["now"]
    ours = signature_header(vector["secrets"], vector["body"].encode(), t)
    assert (ours == vector["header"]) is (vector["name"] in POLICY)
    if vector["name"] in SIGNED_BY_ANOTHER:
        others = [secret for secret in SECRETS if secret not in vector["secrets"]]
        assert signature_header(others, vector["body"].encode(), t) == vector["header"]


def test_rotation_writes_the_new_secret_first_and_a_space_between() -> None:
    vector = next(v for v in VECTORS if v["name"] == "rotation-two-groups-same-t")
    new, old = SECRETS
    t = int(vector["header"][2:12])
    assert signature_header([new, old], vector["body"].encode(), t) == vector["header"]


def test_a_corrupted_header_keeps_its_form_but_not_one_digest() -> None:
    header = signature_header(SECRETS, b"{}", 1)
    damaged = corrupted(header)
    assert [part[:5] for part in groups(damaged)] == [part[:5] for part in groups(header)]
    assert all(re.fullmatch(r"t=1,v1=[0-9a-f]{64}", part) for part in groups(damaged))
    assert not set(groups(damaged)) & set(groups(header))
