"""scripts/dev as programs see it: dev.json appears when all is up, follows restarts, and goes with the stack."""

import asyncio
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import httpx
import pytest

from scripts.ground import ROOT, base_environment
from tests.waiting import until

# The same program in another directory, so that it runs beside a developer's own.
ELSEWHERE = """
import sys
from pathlib import Path
from scripts import dev

dev.HOME = Path(sys.argv.pop(1))
dev.NOTICE = dev.HOME / "dev.json"
dev.main()
"""


class Dev:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.notice = home / "dev.json"

    async def __aenter__(self) -> "Dev":
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ELSEWHERE, str(self.home)),
            cwd=ROOT,
            env=base_environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await until(lambda: self.notice.exists() or self.process.returncode is not None, 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    def told(self) -> dict:
        return json.loads(self.notice.read_text())


@pytest.fixture
async def dev(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    async with Dev(home) as running:
        yield running


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_dev_json_is_private_and_what_it_says_is_true(dev):
    told = dev.told()
    assert stat.S_IMODE(dev.notice.stat().st_mode) == 0o600
    assert sorted(told["pids"]) == ["anvil", "api", "daemon", "persona"]
    assert all(map(alive, told["pids"].values()))
    async with httpx.AsyncClient(trust_env=False) as http:
        cases = await http.get(f"{told['api_url']}/v1/cases", headers={"Authorization": f"Bearer {told['api_key']}"})
        inquiries = await http.get(
            f"{told['persona_url']}/api/v1/inquiries", headers={"Authorization": f"Bearer {told['persona_api_key']}"}
        )
        chain = await http.post(told["rpc_url"], json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"})
    assert (cases.status_code, inquiries.status_code) == (200, 200)
    assert int(chain.json()["result"], 16) == told["chain_id"]
    assert told["database_url"] == f"sqlite:///{dev.home / 'dev' / 'claimwright.sqlite3'}"


async def test_a_killed_process_is_started_again_and_only_its_pid_changes(dev):
    for role in ("api", "daemon"):
        before = dev.told()
        os.kill(before["pids"][role], signal.SIGKILL)
        await until(lambda role=role, before=before: dev.told()["pids"][role] != before["pids"][role])
        after = dev.told()
        assert after["pids"].pop(role) != before["pids"].pop(role)
        assert after == before
    assert stat.S_IMODE(dev.notice.stat().st_mode) == 0o600


async def test_sigterm_ends_everything_within_ten_seconds_and_takes_the_notice_away(dev):
    pids = dev.told()["pids"].values()
    started = time.monotonic()
    dev.process.terminate()
    out, _ = await dev.process.communicate()
    assert time.monotonic() - started < 10
    assert dev.process.returncode == 0
    assert out.decode().endswith("dev: all has ended\n")
    assert not any(map(alive, pids))
    assert not dev.notice.exists()
    assert (dev.home / "dev" / "claimwright.sqlite3").exists()
    assert (dev.home / "dev" / "api.log").exists()


async def test_the_loss_of_the_chain_is_the_end_and_is_said(dev):
    pids = dev.told()["pids"]
    os.kill(pids["anvil"], signal.SIGKILL)
    out, _ = await asyncio.wait_for(dev.process.communicate(), 15)
    assert dev.process.returncode == 1
    assert "dev: anvil ended with SIGKILL" in out.decode()
    assert not any(map(alive, pids.values()))
    assert not dev.notice.exists()


async def test_a_second_one_says_so_in_one_line_and_harms_nothing(dev):
    before = dev.notice.read_text()
    async with Dev(dev.home) as second:
        out, _ = await second.process.communicate()
    assert second.process.returncode == 1
    assert out.decode() == (
        f"dev: a stack is already running in {dev.home / 'dev'} (pid {dev.process.pid}); stop it first\n"
    )
    assert dev.notice.read_text() == before


async def test_the_notice_of_one_that_was_killed_does_not_outlive_the_next_start(tmp_path):
    (tmp_path / "dev.json").write_text('{"stale": true}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ELSEWHERE, str(tmp_path), "--block-time", "1"),
        cwd=ROOT,
        env=base_environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: not (tmp_path / "dev.json").exists())
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
