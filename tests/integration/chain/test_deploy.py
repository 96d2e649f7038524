"""Deploying is one act, however often it is begun."""

import json
import stat
import time

import httpx
import pytest

from issuer.chain import abi, contracts
from issuer.chain import deploy as deploying
from issuer.chain.contracts import key_of
from issuer.chain.deploy import Deployment, check_deployment, created_address, deploy
from issuer.chain.gateway import Gateway
from issuer.errors import ChainError, InvalidInput, NodeUnavailable, SettingsError, WrongChain
from issuer.secrets import Secret
from scripts.anvil import start_anvil
from tests.integration.chain.conftest import CLAIM_SIGNER, DEPLOYER, SENDER, STRANGER, TOPIC, transact
from tests.rpc_proxy import RpcProxy

ALL = 9  # four contracts and five registrations


class Killed(BaseException):
    """Ends a run as SIGKILL would: nothing of ours handles it."""


class Dying(Gateway):
    """Puts the first `count` transactions on the wire, then dies."""

    def __init__(self, url, count):
        super().__init__(Secret(url))
        self._count = count

    async def send(self, raw):
        await super().send(raw[: self._count])
        raise Killed


@pytest.fixture
def chain():
    with start_anvil() as anvil:
        yield anvil


@pytest.fixture
async def node(chain):
    gateway = Gateway(Secret(chain.url))
    yield gateway
    await gateway.aclose()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "deployment.json"


async def run(gateway, path, **changes):
    options = {"senders": [SENDER.address], "claim_signer": CLAIM_SIGNER.address, "topics": [TOPIC], **changes}
    return await deploy(gateway, DEPLOYER, path=path, **options)


async def problems(gateway, deployment, **changes):
    options = {"senders": [SENDER.address], "claim_signer": CLAIM_SIGNER.address, "topics": [TOPIC], **changes}
    return await check_deployment(gateway, deployment, **options)


async def test_a_fresh_chain_gets_everything_and_a_second_run_sends_nothing(node, path):
    said = []
    first = await run(node, path, log=said.append)
    assert await node.nonce(DEPLOYER.address) == ALL
    assert await problems(node, first) == []
    assert len(said) == ALL
    assert Deployment.load(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]

    assert await run(node, path) == first
    assert await node.nonce(DEPLOYER.address) == ALL


async def test_it_takes_less_than_two_seconds_with_blocks_of_one(path):
    with start_anvil(block_time=1) as anvil:
        gateway = Gateway(Secret(anvil.url))
        began = time.monotonic()
        await run(gateway, path)
        assert time.monotonic() - began < 2
        await gateway.aclose()


@pytest.mark.parametrize("count", range(ALL + 1))
async def test_killed_at_any_point_it_goes_on(chain, node, path, count):
    dying = Dying(chain.url, count)
    with pytest.raises(Killed):
        await run(dying, path)
    await dying.aclose()

    deployment = await run(node, path)

    assert await problems(node, deployment) == []
    assert await node.nonce(DEPLOYER.address) == ALL  # nothing was deployed or registered twice


async def test_what_an_earlier_run_left_in_the_pool_is_waited_for(path):
    with start_anvil(extra=["--no-mining"]) as anvil:
        gateway = Gateway(Secret(anvil.url))
        with pytest.raises(NodeUnavailable, match="9 transactions are not mined"):
            await run(gateway, path, wait_seconds=0.2)
        with pytest.raises(NodeUnavailable, match="are still waiting to be mined"):
            await run(gateway, path, wait_seconds=0.2)
        assert await gateway.nonce(DEPLOYER.address, pending=True) == ALL
        await rpc(anvil.url, "evm_mine")
        deployment = await run(gateway, path)
        assert await problems(gateway, deployment) == []
        assert await gateway.nonce(DEPLOYER.address, pending=True) == ALL
        await gateway.aclose()


async def test_a_lost_answer_is_not_a_failure(chain, path):
    async with RpcProxy(chain.url) as proxy:
        lost = []

        async def drop_once():
            lost.append(True)
            return len(lost) > 1

        proxy.after_send = drop_once
        gateway = Gateway(Secret(proxy.url))
        deployment = await run(gateway, path)
        assert await problems(gateway, deployment) == []
        assert await gateway.nonce(DEPLOYER.address) == ALL
        await gateway.aclose()


async def test_bytes_that_never_arrived_are_sent_again(chain, path, monkeypatch):
    monkeypatch.setattr(deploying, "RESEND_SECONDS", 0.05)
    async with RpcProxy(chain.url) as proxy:
        tries = []

        async def swallow_first():
            tries.append(True)
            return len(tries) > 1

        proxy.before_send = swallow_first
        gateway = Gateway(Secret(proxy.url))
        await run(gateway, path, wait_seconds=10)
        assert await gateway.nonce(DEPLOYER.address) == ALL
        await gateway.aclose()


async def rpc(url, method, *params):
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = (await client.post(url, json=body)).json()
    assert "error" not in answer, answer


async def test_a_file_of_another_chain_is_refused(node, path):
    await run(node, path)
    before = path.read_text()
    with start_anvil(extra=["--timestamp", "1700000000"]) as other:
        gateway = Gateway(Secret(other.url))
        with pytest.raises(WrongChain, match="another chain"):
            await run(gateway, path)
        assert await gateway.nonce(DEPLOYER.address, pending=True) == 0
        await gateway.aclose()
    assert path.read_text() == before


async def test_a_node_on_another_chain_than_was_meant_is_refused(node, path):
    with pytest.raises(WrongChain, match="on chain 31337, not 1;"):
        await run(node, path, chain_id=1)
    assert not path.exists()


async def test_other_code_at_a_named_address_is_not_adopted(chain, node, path):
    deployment = await run(node, path)
    code = bytearray(await node.code(deployment.contracts["ClaimIssuer"]))
    code[100] ^= 1
    await rpc(chain.url, "anvil_setCode", deployment.contracts["ClaimIssuer"], "0x" + code.hex())
    with pytest.raises(ChainError, match="other code than this version's ClaimIssuer"):
        await run(node, path)
    assert any("ClaimIssuer" in problem for problem in await problems(node, deployment))
    assert await node.nonce(DEPLOYER.address) == ALL


async def test_contracts_of_two_deployments_are_not_mixed(node, path, tmp_path):
    one = await run(node, path)
    other = await run(node, tmp_path / "other.json")
    mixed = {**one.contracts, "IdentityFactory": other.contracts["IdentityFactory"]}
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "contracts": mixed}))
    with pytest.raises(ChainError, match="another IdentityFactory"):
        await run(node, path)
    assert await problems(node, Deployment.load(path)) != []


async def test_an_identity_that_is_not_ours_is_seen(chain, node, path):
    deployment = await run(node, path)
    (answer,) = await node.call([abi.IMPLEMENTATION.call(deployment.contracts["IdentityFactory"])])
    await rpc(chain.url, "anvil_setCode", contracts.decode_address(answer), "0x60006000fd")
    assert await problems(node, deployment) == ["the IdentityFactory makes other identities than this version's"]


async def test_what_was_undone_is_done_again(node, path):
    deployment = await run(node, path)
    at = deployment.contracts
    undo = [
        (at["IdentityFactory"], abi.SET_DEPLOYER.calldata(at["ClaimIssuer"], False)),
        (at["ClaimIssuer"], abi.SET_OPERATOR.calldata(SENDER.address, False)),
        (
            at["ClaimIssuer"],
            abi.Function("ClaimIssuer", "removeKey", ("bytes32", "uint256")).calldata(key_of(CLAIM_SIGNER.address), 3),
        ),
        (
            at["ClaimIssuerRegistry"],
            abi.Function("ClaimIssuerRegistry", "removeTrustedIssuer", ("address",)).calldata(at["ClaimIssuer"]),
        ),
        (
            at["ClaimIssuerRegistry"],
            abi.Function("ClaimIssuerRegistry", "removeFactory", ("address",)).calldata(at["IdentityFactory"]),
        ),
    ]
    for to, data in undo:
        assert (await transact(node, DEPLOYER, to, data, 300_000)).succeeded
    assert len(await problems(node, deployment)) == len(undo)
    assert await run(node, path) == deployment
    assert await problems(node, deployment) == []
    assert await node.nonce(DEPLOYER.address) == ALL + 2 * len(undo)


async def test_topics_are_added_and_none_is_taken_away(node, path):
    deployment = await run(node, path)
    first = [TOPIC + number for number in range(14)]
    assert await problems(node, deployment, topics=first) != []
    await run(node, path, topics=first)
    await run(node, path, topics=[TOPIC + 14])  # the fifteenth, which is all that the registry takes
    assert await problems(node, deployment, topics=[*first, TOPIC + 14]) == []
    await run(node, path, topics=[TOPIC])
    assert await node.nonce(DEPLOYER.address) == ALL + 2


async def test_a_claim_key_of_another_type_is_not_enough(node, path):
    """It could sign the older form, which anybody may replay."""
    deployment = await run(node, path)
    data = abi.ADD_KEY.calldata(key_of(STRANGER.address), contracts.PURPOSE_CLAIM, 1)
    assert (await transact(node, DEPLOYER, deployment.contracts["ClaimIssuer"], data, 300_000)).succeeded
    (problem,) = await problems(node, deployment, claim_signer=STRANGER.address)
    assert f"accepts claims signed by {STRANGER.address}" in problem


async def test_other_keys_are_added(node, path):
    deployment = await run(node, path)
    keys = {"senders": [CLAIM_SIGNER.address], "claim_signer": STRANGER.address.lower()}
    assert len(await problems(node, deployment, senders=keys["senders"], claim_signer=STRANGER.address)) == 2
    await run(node, path, **keys)
    assert await problems(node, deployment, senders=keys["senders"], claim_signer=STRANGER.address) == []


async def test_a_deployer_without_funds_is_told_so_before_anything_is_sent(chain, node, path):
    await rpc(chain.url, "anvil_setBalance", DEPLOYER.address, "0x1")
    with pytest.raises(ChainError, match=r"holds 0.000000 ether"):
        await run(node, path)
    assert not path.exists()


async def test_who_does_not_own_the_contracts_is_told_what_failed(node, path):
    await run(node, path)
    with pytest.raises(ChainError, match=r"the transaction for the ClaimIssuer takes batches from .* reverted"):
        await deploy(
            node, STRANGER, senders=[DEPLOYER.address], claim_signer=CLAIM_SIGNER.address, path=path, topics=[TOPIC]
        )


@pytest.mark.parametrize("claim_signer", [DEPLOYER.address, SENDER.address])
async def test_a_claim_signer_with_another_role_is_refused(node, path, claim_signer):
    with pytest.raises(SettingsError, match="CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS"):
        await run(node, path, claim_signer=claim_signer)


async def test_on_a_live_chain_the_sender_may_not_be_the_deployer(path):
    with start_anvil(extra=["--chain-id", "1"]) as live:
        gateway = Gateway(Secret(live.url))
        with pytest.raises(SettingsError, match="CLAIMWRIGHT_SENDER_ADDRESS"):
            await run(gateway, path, senders=[DEPLOYER.address])
        await gateway.aclose()


async def test_no_topic_is_refused(node, path):
    with pytest.raises(InvalidInput, match="topics"):
        await run(node, path, topics=[])


async def test_an_incomplete_file_is_a_problem_for_each_missing_contract(node):
    deployment = Deployment(chain_id=31337, genesis_hash="0x", contracts={"ClaimIssuer": STRANGER.address})
    assert len(await problems(node, deployment)) == 3


async def test_an_address_without_code_is_a_problem(node, path):
    deployment = await run(node, path)
    moved = Deployment(
        chain_id=deployment.chain_id,
        genesis_hash=deployment.genesis_hash,
        contracts={**deployment.contracts, "ClaimGated": created_address(STRANGER.address, 0)},
    )
    (problem,) = await problems(node, moved)
    assert "there is no contract at" in problem
