"""@claimwright/contracts as a dapp gets it: packed, installed offline from the tarball, compiled, and used."""

import json
import os
import re
import subprocess
import tomllib

import pytest

from tests.integration.contracts.evm import ROOT, Compiled, Reverted
from tests.integration.contracts.ourselves import TOPIC

FOLDER = ROOT / "contracts"
SOLIDITY = re.compile(r"^```solidity\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OLD_SOLC = """
const resolve = (name) => require.resolve(name, {paths: [process.cwd()]});
const read = (name) => ({contents: require("fs").readFileSync(resolve(name), "utf8")});
const input = require("fs").readFileSync(0, "utf8");
process.stdout.write(require(process.argv[1]).compile(input, {import: read}));
"""


def npm(*arguments, cwd):
    run = subprocess.run(["npm", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The tarball, and the names of the files in it."""
    target = tmp_path_factory.mktemp("packed")
    (made,) = json.loads(npm("pack", "--json", "--pack-destination", str(target), str(FOLDER), cwd=target))
    return target / made["filename"], {file["path"] for file in made["files"]}


@pytest.fixture(scope="module")
def dapp(packed, tmp_path_factory):
    """A project of its own that has the package and nothing else."""
    project = tmp_path_factory.mktemp("dapp")
    (project / "package.json").write_text('{"name": "dapp", "private": true}', encoding="utf-8")
    npm("install", "--offline", "--no-audit", "--no-fund", str(packed[0]), cwd=project)
    assert [path.name for path in (project / "node_modules").iterdir() if path.name[0] != "."] == ["@claimwright"]
    return project


def request(sources):
    outputs = {"*": {"*": ["abi", "evm.bytecode.object"]}}
    return json.dumps({"language": "Solidity", "sources": sources, "settings": {"outputSelection": outputs}})


def answer_of(command, sources, project):
    """Of any compiler that takes standard JSON, run in the project. Not even a warning is forgiven."""
    environment = {**os.environ, "NODE_PATH": str(ROOT / "node_modules")}  # where OpenZeppelin's are
    run = subprocess.run(
        command, cwd=project, env=environment, input=request(sources), capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert [each["formattedMessage"] for each in answer.get("errors", [])] == []
    return answer["contracts"]


def compiled(project, sources):
    """By our compiler, which finds imports in the project's node_modules."""
    command = [ROOT / "scripts" / "solc", "--standard-json", "--base-path", ".", "--include-path", "node_modules"]
    return answer_of(command, sources, project)


def compiled_by_the_oldest(project, sources):
    """By solc 0.8.20, the oldest that the sources name."""
    return answer_of(["node", "-e", OLD_SOLC, str(ROOT / "node_modules/solc-0.8.20")], sources, project)


def test_the_package_holds_what_a_dapp_imports_and_no_implementation(packed):
    interfaces = {f"interfaces/{path.name}" for path in (FOLDER / "interfaces").glob("*.sol")}
    examples = {f"examples/{path.name}" for path in (FOLDER / "examples").glob("*.sol")}
    assert packed[1] == {"LICENSE", "README.md", "TOPICS.md", "package.json", *interfaces, *examples}
    assert {"interfaces/IClaimIssuerRegistry.sol", "examples/ClaimGated.sol"} <= packed[1]


def test_it_has_the_version_and_the_licence_of_the_project():
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (package["version"], package["license"]) == (project["version"], project["license"])
    assert (FOLDER / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


async def test_a_dapp_that_inherits_the_gate_lets_in_the_verified_only(dapp, we):
    (source,) = SOLIDITY.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    club = compiled(dapp, {"Club.sol": {"content": source}})["Club.sol"]["Club"]
    code = Compiled(tuple(club["abi"]), bytes.fromhex(club["evm"]["bytecode"]["object"]))
    wallet = we.evm.person("member")
    contract = await we.evm.deploy(code, we.registry.address, TOPIC, sender=wallet)

    with pytest.raises(Reverted):
        await we.evm.send(contract, "join", sender=wallet)
    assert not await we.evm.ask(contract, "isAllowed", wallet.address)

    identity = await we.onboard(wallet.address)
    assert await we.evm.ask(contract, "isAllowed", wallet.address)
    await we.evm.send(contract, "join", sender=wallet)
    assert await we.evm.ask(contract, "joinedAt", wallet.address) > 0

    await we.revoke(identity)
    with pytest.raises(Reverted):
        await we.evm.send(contract, "join", sender=wallet)


def test_the_gate_compiles_with_the_oldest_solc(dapp):
    (source,) = SOLIDITY.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    assert compiled_by_the_oldest(dapp, {"Club.sol": {"content": source}})["Club.sol"]["Club"]["evm"]["bytecode"][
        "object"
    ]


def test_the_snippets_of_the_page_on_contracts_compile(dapp):
    sources = SOLIDITY.findall((ROOT / "docs/contracts.md").read_text(encoding="utf-8"))
    assert len(sources) == 2
    for source in sources:
        compiled(dapp, {"Snippet.sol": {"content": source}})
        compiled_by_the_oldest(dapp, {"Snippet.sol": {"content": source}})


def test_every_interface_compiles_with_the_oldest_solc(dapp):
    folder = dapp / "node_modules/@claimwright/contracts/interfaces"
    names = [f"@claimwright/contracts/interfaces/{path.name}" for path in sorted(folder.glob("*.sol"))]
    lines = ["// SPDX-License-Identifier: MIT", "pragma solidity ^0.8.20;", *(f'import "{name}";' for name in names)]
    assert set(names) <= set(compiled_by_the_oldest(dapp, {"All.sol": {"content": "\n".join(lines)}}))


def test_what_others_wrote_under_other_licences_is_for_tests_only():
    """ONCHAINID and T-REX are GPL: they are run beside ours, never imported by ours or shipped."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, entry in lock.items() if name and not entry.get("dev")] == []
    imports = re.compile(r"""^import .*["'](@[^"'/]+)""", re.MULTILINE)
    imported = {scope for path in FOLDER.rglob("*.sol") for scope in imports.findall(path.read_text(encoding="utf-8"))}
    assert imported == {"@openzeppelin"}


def test_the_lock_names_no_host_and_every_integrity():
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    packages = json.loads(text)["packages"].items()
    assert [name for name, entry in packages if name and "integrity" not in entry and not entry.get("optional")] == []
