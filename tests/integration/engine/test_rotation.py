"""A claim signer is replaced with the commands of docs/operations.md, and no claim ever stops counting."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from issuer.chain.keystore import open_keystore
from issuer.chain.signer import LocalSigner
from issuer.claims.queueing import Issuance
from issuer.claims.renewal import Renewals
from issuer.claims.rules import ClaimStatus
from issuer.cli import run
from issuer.providers.protocol import Outcome
from issuer.secrets import KeyRing, Secret
from tests.integration.engine.conftest import CHAIN_ID, ETHER, Engine, rpc

OPERATIONS = (Path(__file__).resolve().parents[3] / "docs/operations.md").read_text(encoding="utf-8")
PASSWORD = "a long enough phrase"


def commands(tag: str) -> list[list[str]]:
    """The lines of the page's blocks with this tag, without comments."""
    block = re.search(rf"```sh {tag}\n(.*?)```", OPERATIONS, re.DOTALL)
    assert block
    lines = [line.partition("#")[0].split() for line in block[1].splitlines()]
    return [line[1:] for line in lines if line]


def renewals(engine: Engine) -> Renewals:
    issuance = Issuance(claim_issuers={CHAIN_ID: engine.at.claim_issuer}, data_keys=engine.data_keys)
    return Renewals(engine.db, issuance, chain_id=CHAIN_ID, decision_keys=engine.decision_keys)


@pytest.fixture
def env(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deployment.json"
    engine.deployment.save(path)
    for name in [name for name in os.environ if name.startswith(("CLAIMWRIGHT_", "PERSONA_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "DATABASE_URL": engine.db.url.render_as_string(hide_password=False),
        "CLAIMWRIGHT_CHAIN_ID": str(CHAIN_ID),
        "CLAIMWRIGHT_RPC_URL": engine.url,
        "CLAIMWRIGHT_DEPLOYMENT_FILE": str(path),
        "CLAIMWRIGHT_DEPLOYER_KEY": engine.keys.deployer._key.secret.hex(),
        "CLAIMWRIGHT_KEYSTORE_PASSWORD": PASSWORD,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()


@pytest.mark.usefixtures("env")
async def test_the_pages_way_to_a_new_claim_signer(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    async def say(argv: list[str], **names: str) -> str:
        capsys.readouterr()
        assert await asyncio.to_thread(run, [names.get(word, word) for word in argv]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    make, add, listed, count, renew, again, remove = commands("rotate")
    await rpc(engine.url, "anvil_setBalance", engine.keys.deployer.address, hex(100 * ETHER))
    keys, old = engine.keys, engine.keys.claim_signer
    cases = [await engine.open_case() for _ in range(2)]
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    await engine.settle()

    await say(make)
    new = open_keystore("CLAIMWRIGHT_CLAIM_SIGNER", Path("keys/claim-signer-2.json"), Secret(PASSWORD))
    named = {"OLD": old.address, "NEW": new.address}
    await say(add, **named)
    removed = False
    try:
        keys.claim_signer = new  # the daemon is started again with the new key
        await engine.lane.release()
        engine.restart(engine.profile)
        rows = json.loads(await say([*listed, "--json"], **named))
        assert [(row["address"], row["accepted"], row["claims"]) for row in rows] == [(old.address, True, 2)]
        assert json.loads(await say([*count, "--json"], **named)) == {"would_be_renewed": 2, "go_on_with": "--expect 2"}
        assert json.loads(await say([*renew, "--json"], **named)) == {"asked_for": 2}
        assert [await engine.is_verified(case.wallet) for case in cases] == [True, True]
        await renewals(engine).step()
        await engine.settle()
        rows = json.loads(await say([*again, "--json"], **named))
        assert [(row["address"], row["claims"]) for row in rows] == [(new.address, 2)]
        assert json.loads(await say([*count, "--json"], **named))["would_be_renewed"] == 0
        await say(remove, **named)
        removed = True
        assert [await engine.is_verified(case.wallet) for case in cases] == [True, True]
        for case in cases:
            claims = await engine.claims_of(case)
            assert [claim.status for claim in claims] == [ClaimStatus.SUPERSEDED, ClaimStatus.CONFIRMED]
            assert [claim.signer for claim in claims] == [old.address, new.address]
    finally:
        keys.claim_signer = old  # the chain is shared: the next test finds it as this one did
        if removed:
            await say(["signer", "add", old.address, "--send"])


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_suspended_key_counts_for_nothing_and_terms_bound_the_next(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    async def say(*argv: str) -> str:
        capsys.readouterr()
        assert await asyncio.to_thread(run, list(argv)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    await rpc(engine.url, "anvil_setBalance", engine.keys.deployer.address, hex(100 * ETHER))
    case, address = await engine.open_case(), engine.keys.claim_signer.address
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(case.wallet)
    await say("signer", "suspend", address, "--send")
    assert not await engine.is_verified(case.wallet)
    (row,) = json.loads(await say("signer", "list", "--json"))
    assert (row["accepted"], row["suspended"]) == (False, True)
    await say("signer", "restore", address, "--send")
    await say("signer", "limit", address, "--issued-until", "2020-01-01", "--send")
    assert not await engine.is_verified(case.wallet)
    await say("signer", "limit", address, "--send")
    assert await engine.is_verified(case.wallet)


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_without_send_there_is_calldata_and_no_key_is_needed(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAIMWRIGHT_DEPLOYER_KEY")
    new = LocalSigner(keccak(text="a new signer")).address
    capsys.readouterr()
    argv = ["signer", "add", new, "--issued-from", "2026-01-01", "--max-life-days", "400", "--json"]
    assert await asyncio.to_thread(run, argv) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["to"] == second["to"] == engine.at.claim_issuer
    assert first["calldata"].startswith("0x" + keccak(text="addKey(bytes32,uint256,uint256)")[:4].hex())
    assert second["calldata"].startswith("0x" + keccak(text="setSignerTerms(address,uint32,uint32,uint16)")[:4].hex())


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_key_that_is_no_managers_is_told_before_anything_is_sent(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAIMWRIGHT_DEPLOYER_KEY", "11" * 32)
    before = await rpc(engine.url, "eth_blockNumber")
    argv = ["signer", "suspend", engine.keys.claim_signer.address, "--send"]
    assert await asyncio.to_thread(run, argv) == 1
    assert "is it a manager's key?" in capsys.readouterr().err
    assert await rpc(engine.url, "eth_blockNumber") == before


@pytest.mark.usefixtures("env")
async def test_after_resealing_the_old_data_key_can_go(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reseal(*keys: str) -> int:
        monkeypatch.setenv("CLAIMWRIGHT_DATA_KEYS", " ".join(keys))
        return await asyncio.to_thread(run, ["reseal", "--batch", "1", "--json"])

    old, new = f"1:{os.urandom(32).hex()}", f"2:{os.urandom(32).hex()}"
    engine.data_keys = KeyRing.parse("x", Secret(old))
    engine.restart(engine.profile)
    cases = [await engine.open_case() for _ in range(3)]
    for case in cases:
        await engine.ring(case, Outcome.APPROVED)
    assert await reseal(new) == 1
    assert "keep data key 1" in capsys.readouterr().err
    assert await reseal(new, old) == 0
    assert json.loads(capsys.readouterr().out) == {"resealed": 3}
    assert await reseal(new, old) == 0
    assert json.loads(capsys.readouterr().out) == {"resealed": 0}
    engine.data_keys = KeyRing.parse("x", Secret(new))
    engine.restart(engine.profile)
    await engine.settle()
    assert [await engine.is_verified(case.wallet) for case in cases] == [True] * 3
