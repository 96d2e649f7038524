"""The commands in the documents do what the documents say."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.dev import facts
from scripts.stack import rpc
from tests.e2e.rig import Rig, until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.asyncio(loop_scope="module")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```sh {kind}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


async def shell(script: str, **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
    return out.decode()


async def test_the_tour_of_the_readme(rig: Rig, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the tour is written with curl, which is not on this machine")
    notice = tmp_path / "dev.json"
    notice.write_text(json.dumps(facts(rig)))
    tour = blocks("README.md", "tour")
    assert len(tour) >= 6
    out = await shell("\n".join(tour).replace(".claimwright/dev.json", str(notice)))
    answers = [line for line in out.splitlines() if line in ("true", "false")]
    assert answers == ["false", "true", "false"]
    assert '"rejected"' in out.splitlines()[-1]


async def test_the_commands_of_the_operator(rig: Rig, tmp_path: Path) -> None:
    """The set-up on a store and keys of its own against the running chain, then the looks."""
    lines = [
        line.partition("#")[0].strip() for block in blocks("docs/operations.md", "ops") for line in block.splitlines()
    ]
    keystores, rest = lines[:2], [line for line in lines[2:] if line]
    assert rest.pop(rest.index("claimwright serve"))  # its two halves run beside this test
    assert rest[0] == "claimwright migrate"
    assert {"claimwright deploy", "claimwright lane list", "claimwright reconcile"} <= set(rest)
    password = "a long enough phrase"
    env = {
        **rig.operator_environment(),
        "DATABASE_URL": f"sqlite:///{tmp_path}/ops.sqlite3",
        "CLAIMWRIGHT_DEPLOYMENT_FILE": str(tmp_path / "deployment.json"),
        "CLAIMWRIGHT_KEYSTORE_PASSWORD": password,
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
    }
    (tmp_path / "keys").mkdir()
    for role, command in zip(("SENDER", "CLAIM_SIGNER"), keystores, strict=True):
        out = await shell(command.replace("keys/", f"{tmp_path}/keys/"), **env)
        found = re.search(r"0x[0-9a-fA-F]{40}", out)
        assert found
        env[f"CLAIMWRIGHT_{role}_ADDRESS"] = found[0]
        env[f"CLAIMWRIGHT_{role}_KEYSTORE"] = command.split()[-1].replace("keys/", f"{tmp_path}/keys/")
        env[f"CLAIMWRIGHT_{role}_PASSWORD"] = password
    await asyncio.to_thread(rpc, rig.rpc_url, "anvil_setBalance", env["CLAIMWRIGHT_SENDER_ADDRESS"], hex(10**18))
    out = await shell("\n".join(rest), **env)
    assert "cwk_" in out
    first = (tmp_path / "deployment.json").read_text()
    await shell("claimwright deploy; claimwright migrate", **env)
    assert (tmp_path / "deployment.json").read_text() == first


async def audited(rig: Rig, env: dict[str, str]) -> None:
    """The audit chain has caught up, its head is kept outside, and all of it holds."""

    async def holds() -> bool | None:
        if not (rig.directory / "audit-heads.jsonl").exists():
            return None
        found = json.loads(await shell("claimwright audit verify --json", **env))
        assert found["wrong"] == []
        return (found["not_yet"] == 0 and found["anchored"] > 0) or None

    await until(holds, 30, rig.tail)


async def test_two_people_approve_a_case_persona_is_told_and_it_can_be_proved(rig: Rig, tmp_path: Path) -> None:
    """As docs/review.md and docs/compliance.md say, through every process."""
    env = {**rig.operator_environment(), "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    (commands,) = blocks("docs/review.md", "operator")
    await shell(commands, **env)
    tokens = [
        json.loads(await shell(f"claimwright operator new {name} --json", **env))["token"] for name in ("Ben", "Cleo")
    ]
    case = await rig.open_case()
    await rig.simulate(case["provider_ref"], "start_inquiry", "complete_inquiry", "mark_for_review_inquiry")

    async def in_review() -> bool | None:
        return (await rig.case(case["id"]))["status"] == "in_review" or None

    await until(in_review, 15, rig.tail)
    (waiting,) = [
        each for each in json.loads(await shell("claimwright case queue --json", **env)) if each["case"] == case["id"]
    ]
    approve = f"claimwright case approve {case['id']} --reason evidence_accepted --seen '{waiting['seen']}' --json"
    ruling = json.loads(await shell(approve, **env, CLAIMWRIGHT_OPERATOR_TOKEN=tokens[0]))
    await shell(f"claimwright case second {ruling['id']}", **env, CLAIMWRIGHT_OPERATOR_TOKEN=tokens[1])
    await rig.until_claim(case["id"], "confirmed")
    assert await rig.is_verified(case["wallet"])

    async def told() -> bool | None:
        shown = json.loads(await shell(f"claimwright case show {case['id']} --json", **env))
        return shown["rulings"][0]["told"] == "told" or None

    await until(told, 15, rig.tail)
    inquiry = (await rig.persona.get(f"/api/v1/inquiries/{case['provider_ref']}")).json()
    assert inquiry["data"]["attributes"]["status"] == "approved"

    await audited(rig, env)
    evidence = tmp_path / "evidence.json"
    await shell(f"claimwright case evidence {case['id']} > {evidence}", **env)
    document = json.loads(json.loads(evidence.read_text())["document"])
    assert document["claims"][0]["opening"]["case_id"] == case["id"]
    assert await shell(f"claimwright audit bundle {evidence}", **env) == "ok\n"


async def test_a_person_is_exported_and_erased(rig: Rig) -> None:
    """As docs/compliance.md says, through every process, with the period over at once."""
    env = {**rig.operator_environment(), "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    env |= {"CLAIMWRIGHT_RETENTION_DAYS": "0"}
    case = await rig.open_case(reference="to-be-erased")
    await rig.approve(case)
    await rig.until_claim(case["id"], "confirmed")
    wallet = case["wallet"]
    exported = json.loads(await shell(f"claimwright subject export {wallet}", **env))
    assert [one["reference"] for one in exported["cases"]] == ["to-be-erased"]
    asked = json.loads(await shell(f"claimwright subject erase {wallet} --json", **env))
    assert (asked["claims_taken_back"], asked["waits_for"]) == (1, "claims_stand")
    await rig.until_claim(case["id"], "revoked")
    assert not await rig.is_verified(wallet)
    refused = await rig.dapp.post("/v1/cases", json={"level": "basic", "wallet": wallet})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:claimwright:problem:subject-restricted")

    async def erased() -> bool | None:
        done = json.loads(await shell("claimwright retention --json", **env))
        return done["subjects_erased"] >= 1 or None

    await until(erased, 30, rig.tail)
    assert (await rig.dapp.get(f"/v1/subjects/{wallet}/stats")).status_code == 404
    gone = await rig.persona.get(f"/api/v1/inquiries/{case['provider_ref']}")
    assert "to-be-erased" not in gone.text
    assert (await rig.case(case["id"]))["wallet"] == "erased"
    nothing = json.loads(await shell("claimwright retention --dry-run --json", **env))
    assert nothing["would_be"] is True
    await audited(rig, env)


async def test_persona_is_set_up_and_caught_up_with(rig: Rig) -> None:
    """As docs/providers.md says: the webhook that is there is mended, and an event that none brought is found."""
    env = {**rig.operator_environment(), "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    env["WEBHOOK_URL"] = rig.webhook_url
    await rig.control("/chaos", {"drop": True})
    case = await rig.open_case()
    await rig.approve(case)
    (commands,) = blocks("docs/providers.md", "persona")
    out = await shell(commands, **env)
    assert "enabled" in out
    assert "wbhsec_" not in out  # it was there before
    await rig.until_claim(case["id"], "confirmed")
    await rig.control("/chaos", {"drop": False})
