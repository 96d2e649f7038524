"""The deployment file: written whole or not at all, and never believed blindly."""

import json

import pytest

from issuer.chain.deployment import NAMES, Deployment
from issuer.errors import SettingsError

ADDRESS = "0x" + "ab" * 20
DEPLOYMENT = Deployment(chain_id=31337, genesis_hash="0x" + "11" * 32, contracts=dict.fromkeys(NAMES, ADDRESS))


def test_it_is_read_back_with_checksummed_addresses(tmp_path):
    DEPLOYMENT.save(tmp_path / "deployment.json")
    read = Deployment.load(tmp_path / "deployment.json")
    assert set(read.contracts.values()) == {"0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB"}
    assert (read.chain_id, read.genesis_hash, read.complete()) == (31337, DEPLOYMENT.genesis_hash, True)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deployment.json"
    DEPLOYMENT.save(path)
    before = path.read_bytes()
    broken = Deployment(chain_id=1, genesis_hash="0x", contracts={"ClaimIssuer": object()})
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(SettingsError, match=r"CLAIMWRIGHT_DEPLOYMENT_FILE: .*run `claimwright deploy`"):
        Deployment.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", "\x00", '{"chain_id": "1", "genesis_hash": "0x", "contracts": {}}',
        json.dumps({"chain_id": 1, "genesis_hash": "0x", "contracts": {"ClaimIssuer": "nowhere"}}),
        json.dumps({"chain_id": 1, "genesis_hash": "0x", "contracts": {"ClaimIssuer": ADDRESS[:-2]}}),
    ],
)  # fmt: skip
def test_what_is_no_deployment_is_refused(tmp_path, content):
    (tmp_path / "deployment.json").write_text(content)
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_DEPLOYMENT_FILE"):
        Deployment.load(tmp_path / "deployment.json")
