"""Puts the contracts on a chain and registers them with each other: what is there is adopted, what is missing is sent.

All transactions of a run are signed first, their addresses written to the deployment file, then sent together and
waited for once. Killed at any point and run again, it goes on where the chain is; once all is done, it sends nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from issuer.addresses import eip55
from issuer.chain import contracts, fees, rules
from issuer.chain.claim_signers import Act
from issuer.chain.deployment import NAMES as NAMES
from issuer.chain.deployment import Deployment as Deployment
from issuer.chain.deployment import check_chain, code_problems, steps
from issuer.chain.deployment import check_deployment as check_deployment
from issuer.chain.eip1559 import UnsignedTransaction, rlp, signed_bytes, signing_message, transaction_hash
from issuer.chain.encoding import address, uint
from issuer.chain.gateway import Gateway
from issuer.chain.signer import Signer, checked_sign
from issuer.chain.wire import Call
from issuer.errors import ChainError, InvalidInput, NodeUnavailable, SettingsError, WrongChain
from issuer.hashes import keccak

WAIT_SECONDS = 180.0
RESEND_SECONDS = 5.0
# A registration writes at most four new storage words for a word of its calldata (a topic, in three sets).
_STEP_GAS, _STEP_WORD_GAS = 100_000, 120_000
_CONSTRUCTOR_GAS = 700_000


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that is still to be signed. `to` None: a deployment."""

    what: str
    to: str | None
    data: bytes
    gas_limit: int


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    raw: bytes
    hash: str


def _silent(_: str) -> None:
    pass


async def deploy(
    gateway: Gateway,
    deployer: Signer,
    *,
    senders: Sequence[str],
    claim_signer: str,
    path: str | Path,
    topics: Sequence[int],
    chain_id: int | None = None,
    log: Callable[[str], None] = _silent,
    wait_seconds: float = WAIT_SECONDS,
) -> Deployment:
    """Deploy or adopt the four contracts, then register what is not yet. ClaimGated asks for `topics[0]`.

    The deployer becomes owner and manager. Raises `WrongChain` when the node is on another chain than `chain_id` or the
    file, `ChainError` when something there is not ours or a transaction fails, `NodeUnavailable` when it takes longer
    than `wait_seconds`.
    """
    on_chain = await gateway.chain_id()
    if chain_id not in (None, on_chain):
        raise WrongChain(f"the node is on chain {on_chain}, not {chain_id}; check CLAIMWRIGHT_RPC_URL")
    senders = [eip55(sender) for sender in senders]
    claim_signer = eip55(claim_signer)
    _refuse_shared_keys(on_chain, deployer.address, senders, claim_signer)
    if not topics:
        raise InvalidInput("topics", "at least one is needed")
    deployment = _recorded(path)
    if deployment is None:
        deployment = Deployment(chain_id=on_chain, genesis_hash=await gateway.genesis_hash(), contracts={})
    await check_chain(gateway, deployment)
    nonce = await _settled_nonce(gateway, deployer.address, wait_seconds, log)
    there = await _adopted(gateway, deployment.contracts, log)
    at, planned = _deployments(there, deployer.address, nonce, topics[0])
    wanted = steps(at, senders=senders, claim_signer=claim_signer, topics=topics)
    for step, answer in zip(wanted, await gateway.call([step.ask for step in wanted]), strict=True):
        data = step.missing(answer)
        if data is not None:
            gas_limit = _STEP_GAS + _STEP_WORD_GAS * (len(data) // 32)
            planned.append(_Planned(what=step.what, to=step.ask.to, data=data, gas_limit=gas_limit))
    signed = await _sign(gateway, deployer, planned, chain_id=on_chain, nonce=nonce)
    hashes = {each.what: each.hash for each in signed if each.what in at}
    deployment = msgspec.structs.replace(deployment, contracts=at, transactions={**deployment.transactions, **hashes})
    # Before the first byte is on the wire, so that a run that is killed now can be gone on with.
    deployment.save(path)
    if signed:
        await _send_and_wait(gateway, signed, wait_seconds, log)
        _raise_first(await code_problems(gateway, at))
    return deployment


async def carry_out(
    gateway: Gateway,
    owner: Signer,
    acts: Sequence[Act],
    *,
    chain_id: int,
    log: Callable[[str], None] = _silent,
    wait_seconds: float = WAIT_SECONDS,
) -> list[str]:
    """Send what a contract's manager does, in order, and wait until all is mined; the transactions' hashes.

    Raises `ChainError` when the contract would refuse the first, or a transaction fails.
    """
    nonce = await _settled_nonce(gateway, owner.address, wait_seconds, log)
    first = acts[0]
    (answer,) = await gateway.call([Call(to=first.to, data=first.data, sender=owner.address)])
    if answer is None:
        raise ChainError(f"the contract would refuse this of {owner.address}: {first.what}; is it a manager's key?")
    planned = [_Planned(what=act.what, to=act.to, data=act.data, gas_limit=_STEP_GAS) for act in acts]
    signed = await _sign(gateway, owner, planned, chain_id=chain_id, nonce=nonce)
    await _send_and_wait(gateway, signed, wait_seconds, log)
    return [each.hash for each in signed]


def _recorded(path: str | Path) -> Deployment | None:
    return Deployment.load(path) if Path(path).exists() else None


def _refuse_shared_keys(chain_id: int, deployer: str, senders: Sequence[str], claim_signer: str) -> None:
    if claim_signer in (deployer, *senders):
        raise SettingsError("CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS", "is the deployer's or a sender's; use a key of its own")
    if deployer in senders and not rules.is_local(chain_id):
        raise SettingsError("CLAIMWRIGHT_SENDER_ADDRESS", "is the deployer's, who may add claim keys; use another key")


async def _settled_nonce(gateway: Gateway, deployer: str, wait_seconds: float, log: Callable[[str], None]) -> int:
    """Waits for what an earlier run of ours may have left in the pool."""
    deadline = asyncio.get_running_loop().time() + wait_seconds
    told = False
    while (nonce := await gateway.nonce(deployer)) < await gateway.nonce(deployer, pending=True):
        if asyncio.get_running_loop().time() > deadline:
            raise NodeUnavailable(f"transactions of {deployer} are still waiting to be mined; try again later")
        if not told:
            log("waiting for earlier transactions of the deployer")
            told = True
        await asyncio.sleep(0.1)
    return nonce


async def _adopted(gateway: Gateway, named: dict[str, str], log: Callable[[str], None]) -> dict[str, str]:
    """Those of the file's contracts that have code. Raises `ChainError` when the code is not ours."""
    there = {name: address for name, address in named.items() if name in NAMES and await gateway.code(address)}
    # A contract is wired to the ones before it: if one of them must be made anew, so must all that follow.
    adopted = {}
    for name in NAMES:
        if name not in there:
            break
        adopted[name] = there[name]
        log(f"adopting {name} at {there[name]}")
    _raise_first(await code_problems(gateway, adopted))
    return adopted


def _raise_first(problems: Sequence[str]) -> None:
    if problems:
        raise ChainError(f"{problems[0]}; name another deployment file to deploy anew")


def _deployments(there: dict[str, str], deployer: str, nonce: int, topic: int) -> tuple[dict[str, str], list[_Planned]]:
    """All addresses, those to be included, and the transactions that make the latter."""
    at = dict(there)
    planned: list[_Planned] = []
    for name in NAMES:
        if name in at:
            continue
        arguments = {
            "IdentityFactory": lambda: address(deployer),
            "ClaimIssuer": lambda: address(deployer) + address(at["IdentityFactory"]),
            "ClaimIssuerRegistry": lambda: address(deployer),
            "ClaimGated": lambda: address(at["ClaimIssuerRegistry"]) + uint(topic),
        }[name]()
        shipped = contracts.artifact(name)
        code = shipped.bytecode + arguments
        at[name] = created_address(deployer, nonce + len(planned))
        planned.append(_Planned(what=name, to=None, data=code, gas_limit=_deployment_gas(name, code)))
    return at, planned


def created_address(deployer: str, nonce: int) -> str:
    """Where CREATE puts the contract of this transaction, EIP-55."""
    return eip55(keccak(rlp([bytes.fromhex(deployer[2:]), nonce]))[12:])


def _deployment_gas(name: str, code: bytes) -> int:
    """53 000, 16 a byte, 2 a word of initcode, 200 a byte of the code that stays (a factory's Identity included)."""
    stays = len(contracts.artifact(name).deployed_bytecode)
    if name == "IdentityFactory":
        stays += len(contracts.artifact("Identity").deployed_bytecode)
    return 53_000 + 17 * len(code) + 200 * stays + _CONSTRUCTOR_GAS


async def _sign(
    gateway: Gateway, deployer: Signer, planned: Sequence[_Planned], *, chain_id: int, nonce: int
) -> list[_Signed]:
    if not planned:
        return []
    profile, head = rules.profile(chain_id), await gateway.head()
    tip = await gateway.suggested_tip()
    price = fees.opening(base_fee=head.base_fee, suggested_tip=tip, min_tip=profile.min_tip, max_fee=profile.max_fee)
    needed = price.max_fee * sum(each.gas_limit for each in planned)
    balance = await gateway.balance(deployer.address)
    if balance < needed:
        raise ChainError(
            f"the deployer {deployer.address} holds {balance / 10**18:.6f} ether and may need {needed / 10**18:.6f}"
        )
    signed = []
    for offset, each in enumerate(planned):
        unsigned = UnsignedTransaction(
            chain_id=chain_id,
            nonce=nonce + offset,
            tip=price.tip,
            max_fee=price.max_fee,
            gas_limit=each.gas_limit,
            to=each.to,
            data=each.data,
        )
        signature = await checked_sign(deployer, signing_message(unsigned))
        raw = signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)
        signed.append(_Signed(what=each.what, raw=raw, hash=transaction_hash(raw)))
    return signed


async def _send_and_wait(
    gateway: Gateway, signed: Sequence[_Signed], wait_seconds: float, log: Callable[[str], None]
) -> None:
    """Until every receipt is there. The same bytes are sent again now and then: a node may have lost them."""
    loop = asyncio.get_running_loop()
    deadline, resend_at, waiting = loop.time() + wait_seconds, 0.0, list(signed)
    while waiting:
        now = loop.time()
        if now > deadline:
            raise NodeUnavailable(f"{len(waiting)} transactions are not mined after {wait_seconds:g} s; run it again")
        if now >= resend_at:
            outcomes = await gateway.send([each.raw for each in waiting])
            for each, outcome in zip(waiting, outcomes, strict=True):
                if outcome.surely_not_taken:
                    raise ChainError(f"the node did not take the transaction for {each.what} ({outcome.result})")
            resend_at = now + RESEND_SECONDS
        waiting = await _still_waiting(gateway, waiting, log)
        if waiting:
            await asyncio.sleep(0.05)


async def _still_waiting(gateway: Gateway, waiting: list[_Signed], log: Callable[[str], None]) -> list[_Signed]:
    left = []
    for each, receipt in zip(waiting, await gateway.receipts([each.hash for each in waiting]), strict=True):
        if receipt is None:
            left.append(each)
        elif not receipt.succeeded:
            raise ChainError(f"the transaction for {each.what} reverted ({each.hash})")
        else:
            log(f"done: {each.what} ({each.hash}, {receipt.gas_used} gas)")
    return left
