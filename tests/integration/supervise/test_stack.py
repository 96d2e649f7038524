"""The whole stack as real processes: what each may see, what happens when one is killed, and what is left behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from eth_utils.address import to_checksum_address

from issuer import migrations
from issuer.cases.levels import BASIC_TOPIC
from issuer.chain.gateway import Gateway
from issuer.db import Database
from issuer.errors import AlreadyRunning
from issuer.inbox.store import refusal_counts
from issuer.secrets import Secret
from scripts.dapp import Dapp
from scripts.dev import facts
from scripts.ground import ROOT, base_environment, free_ports, rpc
from scripts.stack import Stack
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory):
    async with Stack(tmp_path_factory.mktemp("stack") / "it") as running:
        yield running
        pids = list(running.pids.values())
    assert not any(map(alive, pids)), "a process outlived its stack"


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if entry)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def claimwright(settings: dict[str, str], *argv: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "issuer", *argv),
        cwd=ROOT,
        env={**base_environment(), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


def role_of(pid: int) -> str:
    """`api` in `python -m issuer api`."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[3].decode()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - the condition lies in another process
            await asyncio.sleep(0.02)


async def healthy(stack: Stack) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"{stack.api_url}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def test_what_dev_json_holds(stack):
    told = facts(stack)
    assert list(told) == [
        "api_url", "api_key", "persona_url", "persona_api_key", "webhook_url", "webhook_secret", "rpc_url", "chain_id",
        "contracts", "database_url", "pids",
    ]  # fmt: skip
    assert set(told["contracts"]) == {"IdentityFactory", "ClaimIssuer", "ClaimIssuerRegistry", "ClaimGated"}
    assert set(told["pids"]) == {"api", "daemon", "anvil", "persona"}
    assert json.loads(json.dumps(told)) == told


async def test_each_process_sees_only_its_own_secrets(stack):
    api, daemon = environment(stack.pids["api"]), environment(stack.pids["daemon"])
    assert stack.webhook_secret in api.values()
    assert stack.webhook_secret not in daemon.values()
    for secret in (*stack.private, stack.rpc_url):
        assert secret in daemon.values()
        assert secret not in api.values()
    assert not [name for name in api if "KEYSTORE" in name or "PASSWORD" in name]
    assert "DEPLOYER" not in " ".join([*api, *daemon])
    for name in ("anvil", "persona"):
        assert not [
            key for key in environment(stack.pids[name]) if key.startswith("CLAIMWRIGHT_") and key[12:] != "ENV"
        ]


async def test_keystores_are_private_and_funded_afresh(stack):
    settings = stack.deploy_settings()
    for name in ("deployer", "sender", "claim_signer"):
        assert (stack.directory / f"{name}.keystore.json").stat().st_mode & 0o777 == 0o600
    assert int(rpc(stack.rpc_url, "eth_getBalance", settings["CLAIMWRIGHT_SENDER_ADDRESS"], "latest"), 16) > 10**18
    assert int(rpc(stack.rpc_url, "eth_getBalance", settings["CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS"], "latest"), 16) == 0


async def test_a_second_stack_in_the_same_place_is_refused_and_harms_nothing(stack):
    with pytest.raises(AlreadyRunning, match=rf"already running in .*/it \(pid {os.getpid()}\)"):
        async with Stack(stack.directory):
            pass
    assert (stack.directory / "deployment.json").exists()
    assert await healthy(stack)


@pytest.mark.parametrize("role", ["api", "daemon"])
async def test_a_second_process_of_a_role_is_refused_on_sqlite(stack, role):
    settings = stack.api_settings() if role == "api" else stack.daemon_settings()
    code, out, err = await claimwright({**settings, "CLAIMWRIGHT_API_PORT": str(free_ports(1)[0])}, role)
    last = err.strip().splitlines()[-1]
    assert (code, out) == (1, "")
    assert last.startswith(f"claimwright: the {role} is already running on this database (pid {stack.pids[role]})")


@pytest.mark.parametrize("role", ["api", "daemon"])
async def test_a_killed_process_is_back_with_another_pid_and_its_workers_are_gone(stack, role):
    pid = stack.pids[role]
    workers = children(pid)
    assert bool(workers) == (role == "api")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: stack.pids[role] != pid)
    await until(lambda: not any(map(alive, [pid, *workers])))
    await eventually(lambda: healthy(stack))
    await until(lambda: stack.log("daemon").read_text().count('"daemon_ready"') == (1 if role == "api" else 2))


async def test_deploying_again_adopts_what_is_there_and_sends_nothing(stack):
    before = rpc(stack.rpc_url, "eth_blockNumber")
    code, out, _ = await claimwright(stack.deploy_settings(), "deploy", "--json")
    assert code == 0
    assert json.loads(out)["contracts"] == stack.contracts
    assert rpc(stack.rpc_url, "eth_blockNumber") == before


async def test_a_doctor_finds_nothing_wrong_with_it(stack):
    code, out, err = await claimwright({**stack.daemon_settings(), **stack.api_settings()}, "doctor", "--json")
    found = {row["check"]: row["result"] for row in json.loads(out)}
    assert (code, err) == (0, "")
    assert set(found.values()) == {"ok"}
    assert list(found) == [
        "api settings", "store", "daemon settings", "issuing", "audit", "chain 31337 rpc-1", "chain 31337",
        "chain 31337 sender",
        "chain 31337 claim signer", "chain 31337 deployment", "chain 31337 balance", "persona sandbox", "clock",
        "webhooks",
    ]  # fmt: skip


async def refused(stack) -> list[int]:
    db = Database(stack.database_url)
    try:
        async with db.read() as session:
            return [row.count for row in await refusal_counts(session)]
    finally:
        await db.aclose()


async def doctored(stack, url: str, **changed: str) -> dict[str, tuple[str, str]]:
    settings = {**stack.daemon_settings(), **stack.api_settings(), **changed}
    _, out, _ = await claimwright(settings, "doctor", "--url", url, "--json")
    return {row["check"]: (row["result"], row["what"]) for row in json.loads(out)}


async def test_a_doctor_tries_the_way_of_webhooks_and_looks_at_what_persona_has_set_up(stack):
    before = await refused(stack)
    found = await doctored(stack, stack.api_url)
    assert found["persona sandbox webhook"][0] == "ok"
    result, what = found["persona sandbox webhook at Persona"]
    assert result == "wrong"  # the simulator's own webhook does not block attributes
    assert "provider persona setup --url" in what
    code, _, err = await claimwright(
        {**stack.daemon_settings(), **stack.api_settings()},
        *("provider", "persona", "setup", "--url", stack.webhook_url, "--json"),
    )
    assert (code, err) == (0, "")
    assert (await doctored(stack, stack.api_url))["persona sandbox webhook at Persona"] == (
        "ok",
        "rings us, as it should",
    )
    assert await refused(stack) == before, "the doctor's question is no delivery"
    elsewhere = await doctored(stack, stack.persona_url)
    assert "not by our API" in elsewhere["persona sandbox webhook"][1]
    assert "no enabled webhook rings" in elsewhere["persona sandbox webhook at Persona"][1]
    (free,) = free_ports(1)
    assert "does not answer" in (await doctored(stack, f"http://127.0.0.1:{free}"))["persona sandbox webhook"][1]


async def asked(stack: Stack, *argv: str) -> Any:
    code, out, err = await claimwright({"DATABASE_URL": stack.database_url}, *argv, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


async def test_an_operator_sees_a_case_replays_its_event_and_takes_its_claim_back(stack):
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        gateway = Gateway(Secret(stack.rpc_url))
        dapp = Dapp(stack, http, gateway)
        wallet = to_checksum_address(os.urandom(20))
        case = await dapp.create_case(wallet)
        for act in ("start", "submit", "approve"):
            await dapp.at_provider(case["provider_ref"], act)

        async def claim() -> dict[str, Any]:
            return next(iter((await dapp.case(case["id"]))["claims"]), {"status": None})

        async def claim_is(status: str) -> bool:
            return (await claim())["status"] == status

        await eventually(lambda: claim_is("confirmed"))
        issued = await claim()
        (listed,) = await asked(stack, "case", "list", "--wallet", wallet)
        assert (listed["id"], listed["status"], listed["summary"]) == (case["id"], "approved", "verified")
        shown = await asked(stack, "case", "show", case["id"])
        assert [one["id"] for one in shown["claims"]] == [issued["id"]]
        assert [move["to"] for move in shown["timeline"] if move["claim"]] == ["queued", "signed", "mined", "confirmed"]
        assert [one["id"] for one in await asked(stack, "claim", "list", "--case", case["id"])] == [issued["id"]]

        approved = [event for event in await asked(stack, "event", "list") if event["name"] == "inquiry.approved"]
        replayed = await asked(stack, "event", "replay", approved[0]["id"])
        assert (replayed["outcome"], replayed["attempts"]) == (None, 0)

        revoked = await asked(stack, "claim", "revoke", issued["id"], "--reason", "test")
        assert revoked["status"] == "revoking"
        await eventually(lambda: claim_is("revoked"))
        assert (await claim())["revoked_tx_hash"] is not None
        assert (await asked(stack, "claim", "show", issued["id"]))["revoke_reason"] == "test"
        assert await dapp.contract_says(wallet, BASIC_TOPIC) == (False, False)
        await gateway.aclose()


async def test_a_paused_lane_signs_nothing_until_it_is_resumed(stack):
    (lane,) = await asked(stack, "lane", "list")
    assert (lane["paused_by"], lane["held_because"]) == (None, None)
    paused = await asked(stack, "lane", "pause", lane["id"])
    assert paused["paused_by"] == "cli"
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        gateway = Gateway(Secret(stack.rpc_url))
        dapp = Dapp(stack, http, gateway)
        case = await dapp.create_case(to_checksum_address(os.urandom(20)))
        for act in ("start", "submit", "approve"):
            await dapp.at_provider(case["provider_ref"], act)

        async def claim_is(status: str) -> bool:
            return [claim["status"] for claim in (await dapp.case(case["id"]))["claims"]] == [status]

        await eventually(lambda: claim_is("queued"))
        before = rpc(stack.rpc_url, "eth_blockNumber")
        # The daemon looks at its lane several times a second; it has to say that it will not sign.
        await until(
            lambda: "lane-held" in stack.log("daemon").read_text() or "paused" in stack.log("daemon").read_text()
        )
        assert await claim_is("queued")
        assert rpc(stack.rpc_url, "eth_blockNumber") == before
        await asked(stack, "lane", "resume", lane["id"])
        await eventually(lambda: claim_is("confirmed"))
        await gateway.aclose()


async def test_a_doctor_says_what_is_wrong_and_what_to_do(stack, tmp_path):
    poor = stack.daemon_settings() | {"CLAIMWRIGHT_DEPLOYMENT_FILE": str(tmp_path / "none.json")}
    code, out, _ = await claimwright({**poor, **stack.api_settings()}, "doctor")
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("chain 31337 deployment")]
    assert "wrong" in line
    assert line.endswith("run `claimwright deploy`")


async def test_a_port_that_is_taken_is_named(stack, tmp_path):
    url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    code, _, err = await claimwright({**stack.api_settings(), "DATABASE_URL": url}, "api")
    assert code == 2
    assert err.strip().splitlines()[-1].startswith("claimwright: CLAIMWRIGHT_API_PORT: ")


async def test_serve_runs_both_with_their_own_secrets_and_ends_both(stack, tmp_path):
    """Beside the stack: the same chain and provider, a store and a port of its own."""
    url, (port,) = f"sqlite:///{tmp_path / 'serve.sqlite3'}", free_ports(1)
    await asyncio.to_thread(migrations.upgrade, url)
    settings = {**stack.daemon_settings(), **stack.api_settings()}
    settings |= {"DATABASE_URL": url, "CLAIMWRIGHT_API_PORT": str(port)}
    settings = {name: value for name, value in settings.items() if not name.endswith("_PRIVATE_PORT")}
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "issuer", "serve"), cwd=ROOT, env={**base_environment(), **settings}, stderr=output
        )
        try:
            await until(lambda: '"daemon_ready"' in log.read_text())
            both = {role_of(pid): pid for pid in children(process.pid)}
            assert set(both) == {"api", "daemon"}
            assert stack.private[0] not in environment(both["api"]).values()
            assert stack.webhook_secret not in environment(both["daemon"]).values()
            family = [*both.values(), *children(both["api"])]
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 10) == 0
            assert not any(map(alive, family))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
