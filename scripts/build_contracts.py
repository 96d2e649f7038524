#!/usr/bin/env python3
"""Compiles contracts/ into issuer/chain/artifacts/, so that running needs no compiler.

The settings are those of foundry.toml. The sources go in by the very names that forge gives them, with everything that
they import and nothing else: the bytecode is then forge's, byte for byte (tests/unit/test_artifacts.py).

    scripts/build_contracts.py           compile if a source or a setting has changed
    scripts/build_contracts.py --check   say whether the artifacts are stale (exit status 1)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import posixpath
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "issuer" / "chain" / "artifacts"
MANIFEST = ARTIFACTS / "manifest.json"
CONTRACTS = {
    "Identity": "contracts/Identity.sol",
    "IdentityFactory": "contracts/IdentityFactory.sol",
    "ClaimIssuer": "contracts/ClaimIssuer.sol",
    "ClaimIssuerRegistry": "contracts/ClaimIssuerRegistry.sol",
    "ClaimGated": "contracts/examples/ClaimGated.sol",
}
OUTPUTS = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*\sfrom\s+)?["']([^"']+)["']\s*;""", re.MULTILINE)


def profile() -> dict[str, Any]:
    """The default profile of foundry.toml."""
    with (ROOT / "foundry.toml").open("rb") as file:
        found: dict[str, Any] = tomllib.load(file)["profile"]["default"]
    return found


def sources(remappings: list[str]) -> dict[str, str]:
    """Every source under contracts/ and what it imports, by the name that forge gives it."""
    found: dict[str, str] = {}
    wanted = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "contracts").rglob("*.sol"))
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found[name] = (ROOT / name).read_text(encoding="utf-8")
        wanted += [resolve(name, target, remappings) for target in IMPORT.findall(found[name])]
    return dict(sorted(found.items()))


def resolve(importer: str, target: str, remappings: list[str]) -> str:
    """The name of the source that `importer` calls `target`."""
    if target.startswith("."):
        return posixpath.normpath(posixpath.join(posixpath.dirname(importer), target))
    for prefix, replacement in (remapping.split("=", 1) for remapping in remappings):
        if target.startswith(prefix):
            return replacement + target[len(prefix) :]
    return target


def standard_json() -> dict[str, Any]:
    """What the compiler is asked."""
    forge = profile()
    return {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources(forge["remappings"]).items()},
        "settings": {
            "remappings": forge["remappings"],
            "optimizer": {"enabled": forge["optimizer"], "runs": forge["optimizer_runs"]},
            "metadata": {"bytecodeHash": forge["bytecode_hash"], "appendCBOR": forge["cbor_metadata"]},
            "outputSelection": {"*": {"*": OUTPUTS}},
            "evmVersion": forge["evm_version"],
            "viaIR": forge["via_ir"],
        },
    }


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def manifest_of(request: dict[str, Any]) -> dict[str, str]:
    """What the artifacts depend on: sources, settings, compiler."""
    package = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]["node_modules/solc"]
    return {
        "compiler": package["version"],
        "settingsHash": digest(request["settings"]),
        "sourceHash": digest(request["sources"]),
    }


def compiled(request: dict[str, Any], manifest: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The artifact of each contract that is shipped."""
    from solcx import compile_standard  # slow to import, and not needed to see that nothing has changed

    answer = compile_standard(request, solc_binary=str(ROOT / "scripts" / "solc"))
    artifacts = {}
    for name, source in CONTRACTS.items():
        contract = answer["contracts"][source][name]
        evm = contract["evm"]
        artifacts[name] = {
            "contractName": name,
            "abi": contract["abi"],
            "bytecode": "0x" + evm["bytecode"]["object"],
            "deployedBytecode": "0x" + evm["deployedBytecode"]["object"],
            "immutableReferences": evm["deployedBytecode"].get("immutableReferences", {}),
            **manifest,
        }
    return artifacts


def is_fresh(manifest: dict[str, str]) -> bool:
    """Whether the artifacts there were made from just this, and are as they were written."""
    try:
        recorded = json.loads(MANIFEST.read_text(encoding="utf-8"))
        files = {name: hashlib.sha256((ARTIFACTS / f"{name}.json").read_bytes()).hexdigest() for name in CONTRACTS}
    except FileNotFoundError:
        return False
    return bool(recorded == {**manifest, "files": files})


def write(artifacts: dict[str, dict[str, Any]], manifest: dict[str, str]) -> None:
    """Writes the artifacts, and last of all the manifest."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, artifact in artifacts.items():
        text = json.dumps(artifact, sort_keys=True, indent=1) + "\n"
        (ARTIFACTS / f"{name}.json").write_text(text, encoding="utf-8")
        files[name] = hashlib.sha256(text.encode()).hexdigest()
    MANIFEST.write_text(json.dumps({**manifest, "files": files}, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Builds or checks; the exit status."""
    parser = argparse.ArgumentParser(description="Compile contracts/ into issuer/chain/artifacts/.")
    parser.add_argument("--check", action="store_true", help="compile nothing; exit 1 if the artifacts are stale")
    check = parser.parse_args().check
    request = standard_json()
    manifest = manifest_of(request)
    if is_fresh(manifest):
        return 0
    if check:
        print("The contract artifacts are stale: run scripts/build_contracts.py", file=sys.stderr)
        return 1
    write(compiled(request, manifest), manifest)
    print(f"Wrote {len(CONTRACTS)} artifacts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
