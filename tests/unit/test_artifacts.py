"""The shipped artifacts are fresh, and what forge tests is what is shipped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "issuer" / "chain" / "artifacts"
BUILD = [sys.executable, str(ROOT / "scripts" / "build_contracts.py")]
NAMES = ["Identity", "IdentityFactory", "ClaimIssuer", "ClaimIssuerRegistry", "ClaimGated"]


def artifact(name: str) -> dict[str, Any]:
    return json.loads((ARTIFACTS / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def forge_out() -> Path:
    """forge's own build, made by its native binary (the npm shim is slow and leaves children behind)."""
    [forge] = (ROOT / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge*")
    done = subprocess.run([forge, "build", "--offline"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "out"


def test_artifacts_are_fresh() -> None:
    done = subprocess.run([*BUILD, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_manifest_names_every_artifact() -> None:
    manifest = json.loads((ARTIFACTS / "manifest.json").read_text())
    assert sorted(manifest["files"]) == sorted(NAMES)
    assert {path.stem for path in ARTIFACTS.glob("*.json")} == {*NAMES, "manifest"}


@pytest.mark.parametrize("name", NAMES)
def test_bytecode_is_forges(name: str, forge_out: Path) -> None:
    [built] = forge_out.glob(f"{name}.sol/{name}.json")
    forge = json.loads(built.read_text())
    ours = artifact(name)
    assert ours["bytecode"] == forge["bytecode"]["object"]
    assert ours["deployedBytecode"] == forge["deployedBytecode"]["object"]
    assert len(ours["deployedBytecode"]) > 100


@pytest.mark.parametrize("name", NAMES)
def test_artifact_can_be_deployed(name: str) -> None:
    found = artifact(name)
    assert found["contractName"] == name
    assert "__$" not in found["bytecode"], "unlinked library"
    assert len(found["deployedBytecode"]) // 2 - 1 <= 24_576, "EIP-170"
    assert any(entry["type"] == "function" for entry in found["abi"])


def test_artifacts_name_no_path_of_a_machine() -> None:
    for name in NAMES:
        text = (ARTIFACTS / f"{name}.json").read_text()
        assert str(ROOT) not in text
        assert "node_modules" not in text
