"""Which contracts we use on a chain, and what must hold between them. Reads only; `deploy.py` makes it so.

The file is the operator's: addresses and the chain they are on, nothing secret. It is believed no further than the
chain agrees: genesis block, runtime code and registrations are compared each time.
"""

import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from issuer.addresses import eip55, is_address
from issuer.chain import abi, contracts
from issuer.chain.contracts import KEY_TYPE_CLAIMWRIGHT, PURPOSE_CLAIM
from issuer.chain.gateway import Gateway
from issuer.chain.wire import Call
from issuer.errors import SettingsError, WrongChain

# In the order in which they are deployed: each constructor takes addresses of earlier ones.
NAMES = ("IdentityFactory", "ClaimIssuer", "ClaimIssuerRegistry", "ClaimGated")
_VARIABLE = "CLAIMWRIGHT_DEPLOYMENT_FILE"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """`contracts` by name, EIP-55. `transactions`: the hashes that deployed them, for the record."""

    chain_id: int
    genesis_hash: str
    contracts: dict[str, str]
    transactions: dict[str, str] = {}

    @classmethod
    def load(cls, path: str | Path) -> "Deployment":
        """Raises `SettingsError` when the file is missing or not one of ours."""
        try:
            deployment = msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except FileNotFoundError:
            raise SettingsError(_VARIABLE, f"names {path}, which is not there; run `claimwright deploy`") from None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(_VARIABLE, f"names {path}, which cannot be read: {type(error).__name__}") from None
        if not all(is_address(address) for address in deployment.contracts.values()):
            raise SettingsError(_VARIABLE, f"names {path}, which holds something that is no address")
        checked = {name: eip55(address) for name, address in deployment.contracts.items()}
        return msgspec.structs.replace(deployment, contracts=checked)

    def save(self, path: str | Path) -> None:
        """Replaced whole or not at all; mode 0644."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with partial.open("x", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o644)
                json.dump(msgspec.to_builtins(self), file, indent=2, sort_keys=True)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def complete(self) -> bool:
        return all(name in self.contracts for name in NAMES)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A registration: what to ask the chain, and the calldata to send if the answer says that it is missing."""

    what: str
    ask: Call
    missing: Callable[[bytes | None], bytes | None]


def steps(at: dict[str, str], *, senders: Sequence[str], claim_signer: str, topics: Sequence[int]) -> list[Step]:
    """Everything that must be registered between the contracts named in `at`, in order."""
    factory, issuer, registry = (at[name] for name in NAMES[:3])
    key = contracts.key_of(claim_signer)
    return [
        Step(
            what="the IdentityFactory lets the ClaimIssuer create identities",
            ask=abi.IS_DEPLOYER.call(factory, issuer),
            missing=_unless_yes(abi.SET_DEPLOYER.calldata(issuer, True)),
        ),
        Step(
            what=f"the ClaimIssuer accepts claims signed by {claim_signer}",
            ask=abi.GET_KEY.call(issuer, key),
            missing=_unless_key(abi.ADD_KEY.calldata(key, PURPOSE_CLAIM, KEY_TYPE_CLAIMWRIGHT)),
        ),
        *(
            Step(
                what=f"the ClaimIssuer takes batches from {sender}",
                ask=abi.IS_OPERATOR.call(issuer, sender),
                missing=_unless_yes(abi.SET_OPERATOR.calldata(sender, True)),
            )
            for sender in senders
        ),
        Step(
            what="the ClaimIssuerRegistry trusts the ClaimIssuer" + (" for its topics" if topics else ""),
            ask=abi.TOPICS_OF.call(registry, issuer),
            missing=_unless_trusted(issuer, topics),
        ),
        Step(
            what="the ClaimIssuerRegistry trusts the IdentityFactory",
            ask=abi.FACTORIES.call(registry),
            missing=_unless_listed(factory, abi.ADD_FACTORY.calldata(factory)),
        ),
    ]


async def check_deployment(
    gateway: Gateway, deployment: Deployment, *, senders: Sequence[str], claim_signer: str, topics: Sequence[int] = ()
) -> list[str]:
    """What is wrong, one line each; empty when a daemon with these keys can work. Raises the gateway's errors."""
    if not deployment.complete():
        missing = [name for name in NAMES if name not in deployment.contracts]
        return [f"the deployment file names no {name}; run `claimwright deploy`" for name in missing]
    problems = await code_problems(gateway, deployment.contracts)
    if problems:
        return problems
    wanted = steps(deployment.contracts, senders=senders, claim_signer=claim_signer, topics=topics)
    answers = await gateway.call([step.ask for step in wanted])
    return [
        f"it is not so that {step.what}; run `claimwright deploy`"
        for step, answer in zip(wanted, answers, strict=True)
        if step.missing(answer) is not None
    ]


async def check_chain(gateway: Gateway, deployment: Deployment) -> None:
    """Raises `WrongChain` unless the node is on the chain that the deployment was made on."""
    if await gateway.chain_id() != deployment.chain_id or await gateway.genesis_hash() != deployment.genesis_hash:
        raise WrongChain(
            f"the deployment file is of another chain (chain id {deployment.chain_id}, genesis "
            f"{deployment.genesis_hash}) than the node; check CLAIMWRIGHT_RPC_URL or name another file"
        )


async def code_problems(gateway: Gateway, at: dict[str, str]) -> list[str]:
    """Contracts whose code, immutables aside, is not what this version ships, or that are wired to other contracts."""
    problems = []
    for name, address in at.items():
        code = await gateway.code(address)
        if not code:
            problems.append(f"there is no contract at {address}, where the deployment file has its {name}")
        elif not _same_code(name, code):
            problems.append(f"{address} holds other code than this version's {name}")
    if problems or not all(name in at for name in NAMES):
        return problems
    return await _wiring_problems(gateway, at)


async def _wiring_problems(gateway: Gateway, at: dict[str, str]) -> list[str]:
    """The constructors' arguments, which a comparison of masked code does not see."""
    factory, issuer, registry, gate = (at[name] for name in NAMES)
    asked = [abi.IMPLEMENTATION.call(factory), abi.FACTORY.call(issuer), abi.REGISTRY.call(gate)]
    implementation, wired_factory, wired_registry = map(contracts.decode_address, await gateway.call(asked))
    problems = []
    if implementation is None or not _same_code("Identity", await gateway.code(implementation)):
        problems.append("the IdentityFactory makes other identities than this version's")
    if wired_factory != factory:
        problems.append("the ClaimIssuer works with another IdentityFactory than the deployment file names")
    if wired_registry != registry:
        problems.append("the ClaimGated asks another ClaimIssuerRegistry than the deployment file names")
    return problems


def _same_code(name: str, code: bytes) -> bool:
    shipped = contracts.artifact(name)
    return len(code) == len(shipped.deployed_bytecode) and _masked(shipped, code) == _masked(
        shipped, shipped.deployed_bytecode
    )


def _masked(shipped: contracts.Artifact, code: bytes) -> bytes:
    masked = bytearray(code)
    for start, length in shipped.immutable_references:
        masked[start : start + length] = bytes(length)
    return bytes(masked)


# An empty answer comes from an address without code: nothing is registered there yet.


def _unless_yes(calldata: bytes) -> Callable[[bytes | None], bytes | None]:
    return lambda answer: None if answer and contracts.decode_bool(answer) else calldata


def _unless_key(calldata: bytes) -> Callable[[bytes | None], bytes | None]:
    def missing(answer: bytes | None) -> bytes | None:
        if not answer:
            return calldata
        purposes, key_type, _ = contracts.decoded(abi.GET_KEY.outputs, answer)
        return None if PURPOSE_CLAIM in purposes and key_type == KEY_TYPE_CLAIMWRIGHT else calldata

    return missing


def _unless_trusted(issuer: str, topics: Sequence[int]) -> Callable[[bytes | None], bytes | None]:
    """Topics are added, never taken away: what else an owner trusts the issuer for is the owner's affair."""

    def missing(answer: bytes | None) -> bytes | None:
        if not answer:  # the registry reverts for an issuer that it does not trust
            return abi.ADD_TRUSTED_ISSUER.calldata(issuer, sorted(set(topics)))
        (trusted,) = contracts.decoded(abi.TOPICS_OF.outputs, answer)
        if set(topics) <= set(trusted):
            return None
        return abi.UPDATE_TOPICS.calldata(issuer, sorted({*topics, *trusted}))

    return missing


def _unless_listed(address: str, calldata: bytes) -> Callable[[bytes | None], bytes | None]:
    def missing(answer: bytes | None) -> bytes | None:
        listed = contracts.decoded(abi.FACTORIES.outputs, answer)[0] if answer else ()
        return None if address in listed else calldata

    return missing
