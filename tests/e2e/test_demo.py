"""scripts/demo as a program sees it: one JSON line, honest answers, and nothing left running."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from issuer.providers.vendors import VENDORS

ROOT = Path(__file__).parents[2]
ADDRESS, HASH = 42, 66


@pytest.fixture(scope="module")
def run() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "demo", "--json"], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_last_line_is_the_whole_story(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["ok"] is True
    assert told["valid"] == {"before": False, "after_issue": True, "after_revoke": False}
    assert told["chain_id"] == 31337
    assert len(told["identity"]) == ADDRESS
    assert len(told["claim_id"]) == len(told["tx_hash"]) == HASH
    assert told["case_id"].startswith("case_")
    assert set(told["timings_ms"]) == {
        "setup", "webhook_ack", "approval_to_signed", "approval_to_mined", "approval_to_confirmed", "revoke_to_mined",
    }  # fmt: skip
    assert all(value > 0 for value in told["timings_ms"].values())
    assert set(told) == {"ok", "case_id", "claim_id", "identity", "tx_hash", "chain_id", "timings_ms", "valid"}


def test_nothing_is_left_running(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0
    mark = str(ROOT / ".claimwright" / "demo")
    left = [
        process.pid
        for process in psutil.process_iter(["cwd", "environ"])
        if mark in str((process.info["environ"] or {}).get("DATABASE_URL", ""))
    ]
    assert left == []


EVERY = [(provider, kyb) for provider in sorted(VENDORS) for kyb in ((), ("--kyb",))]
EVERY += [("persona", ("--kyb", "--shape", shape)) for shape in ("case", "transaction")]


@pytest.mark.parametrize(("provider", "kyb"), [one for one in EVERY if one != ("persona", ())])
def test_the_story_is_the_same_at_every_provider_for_people_and_businesses(provider: str, kyb: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "scripts.demo", "--json", "--provider", provider, *kyb]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["valid"] == {"before": False, "after_issue": True, "after_revoke": False}
