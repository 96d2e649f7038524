"""The compiled contracts, and those of their functions that we use. No I/O but the package's own files.

Signatures are written out, not read from the artifacts, so that a reader sees what is called; a test compares each of
them with the compiled ABI. Source: `contracts/interfaces`, the Solidity ABI specification.
"""

import json
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any

import msgspec

from issuer.chain.encoding import BLOBS, WORDS, dynamic_tuple
from issuer.chain.wire import Call
from issuer.hashes import keccak


class Artifact(msgspec.Struct, frozen=True):
    """A compiled contract. `immutable_references`: (start, length) of what the constructor writes into its code."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_references: tuple[tuple[int, int], ...]


@cache
def artifact(name: str) -> Artifact:
    """One of those that ship with the package, under `issuer/chain/artifacts`."""
    document = json.loads(files("issuer.chain").joinpath("artifacts", f"{name}.json").read_text(encoding="utf-8"))
    return Artifact(
        name=name,
        abi=tuple(document["abi"]),
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
        immutable_references=tuple(
            (place["start"], place["length"]) for places in document["immutableReferences"].values() for place in places
        ),
    )


class Function(msgspec.Struct, frozen=True):
    """A contract's function by its ABI types. `outputs` are given for what is asked, not for what is sent."""

    contract: str
    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def selector(self) -> bytes:
        return _selector(self.name, self.inputs)

    def calldata(self, *values: object) -> bytes:
        given = list(zip(self.inputs, values, strict=True))
        words = list(takewhile(lambda item: item[0] in WORDS, given))
        rest = given[len(words) :]
        if all(kind in BLOBS for kind, _ in rest):
            heads = [WORDS[kind](value) for kind, value in words]
            return self.selector + dynamic_tuple(heads, [BLOBS[kind](value) for kind, value in rest])
        from eth_abi.abi import encode  # a fifth of every start, for what hardly any needs

        return self.selector + encode(self.inputs, values)

    def call(self, to: str, *values: object) -> Call:
        return Call(to=to, data=self.calldata(*values))


@cache
def _selector(name: str, inputs: tuple[str, ...]) -> bytes:
    return keccak(f"{name}({','.join(inputs)})".encode())[:4]


_CLAIMS = "(uint256,uint256,bytes,bytes,string)[]"

ONBOARD = Function("ClaimIssuer", "onboard", (f"(address,{_CLAIMS})[]",))
_HOSTED = ("uint256", "(address,bytes32)[]", "(uint256,uint256,bytes)")
ONBOARD_HOSTED = Function("ClaimIssuer", "onboardHosted", _HOSTED)
ADD_CLAIMS_TO = Function("ClaimIssuer", "addClaimsTo", ("(address,(uint256,uint256,bytes,bytes,string))[]",))
ADDER = Function("Identity", "adder", (), ("address",))
REVOKE_BATCH = Function("ClaimIssuer", "revokeBatch", ("(address,uint256,uint16)[]",))
IS_CLAIM_VALID = Function("ClaimIssuer", "isClaimValid", ("address", "uint256", "bytes", "bytes"), ("bool",))
EPOCH_OF = Function("ClaimIssuer", "epochOf", ("address", "uint256"), ("uint16",))
SET_OPERATOR = Function("ClaimIssuer", "setOperator", ("address", "bool"))
IS_OPERATOR = Function("ClaimIssuer", "isOperator", ("address",), ("bool",))
ADD_KEY = Function("ClaimIssuer", "addKey", ("bytes32", "uint256", "uint256"))
GET_KEY = Function("ClaimIssuer", "getKey", ("bytes32",), ("uint256[]", "uint256", "bytes32"))
REMOVE_KEY = Function("ClaimIssuer", "removeKey", ("bytes32", "uint256"))
SET_SIGNER_TERMS = Function("ClaimIssuer", "setSignerTerms", ("address", "uint32", "uint32", "uint16"))
SIGNER_TERMS = Function("ClaimIssuer", "signerTerms", ("address",), ("uint32", "uint32", "uint16", "bool"))
SUSPEND_SIGNER = Function("ClaimIssuer", "suspendSigner", ("address",))
RESTORE_SIGNER = Function("ClaimIssuer", "restoreSigner", ("address",))
KEY_HAS_PURPOSE = Function("Identity", "keyHasPurpose", ("bytes32", "uint256"), ("bool",))
FACTORY = Function("ClaimIssuer", "factory", (), ("address",))
ADD_CLAIM = Function("Identity", "addClaim", ("uint256", "uint256", "address", "bytes", "bytes", "string"))
# `uri` is a string in the ABI; read as bytes, because an identity that is not ours may put anything there.
GET_CLAIM = Function(
    "Identity", "getClaim", ("bytes32",), ("uint256", "uint256", "address", "bytes", "bytes", "string")
)
GET_IDENTITY = Function("IdentityFactory", "getIdentity", ("address",), ("address",))
STANDINGS = Function("IdentityFactory", "standings", ("address", "address[]", "uint256[]"), ("address[]", "uint256[]"))
PREDICT = Function("IdentityFactory", "predict", ("address", "address"), ("address",))
SET_DEPLOYER = Function("IdentityFactory", "setDeployer", ("address", "bool"))
IS_DEPLOYER = Function("IdentityFactory", "isDeployer", ("address",), ("bool",))
IMPLEMENTATION = Function("IdentityFactory", "implementation", (), ("address",))
IS_VERIFIED = Function("ClaimIssuerRegistry", "isVerified", ("address", "uint256"), ("bool",))
ADD_TRUSTED_ISSUER = Function("ClaimIssuerRegistry", "addTrustedIssuer", ("address", "uint256[]"))
UPDATE_TOPICS = Function("ClaimIssuerRegistry", "updateIssuerClaimTopics", ("address", "uint256[]"))
IS_TRUSTED_ISSUER = Function("ClaimIssuerRegistry", "isTrustedIssuer", ("address",), ("bool",))
TOPICS_OF = Function("ClaimIssuerRegistry", "getTrustedIssuerClaimTopics", ("address",), ("uint256[]",))
ADD_FACTORY = Function("ClaimIssuerRegistry", "addFactory", ("address",))
FACTORIES = Function("ClaimIssuerRegistry", "factories", (), ("address[]",))
REGISTRY = Function("ClaimGated", "registry", (), ("address",))
TOPIC = Function("ClaimGated", "topic", (), ("uint256",))
IS_ALLOWED = Function("ClaimGated", "isAllowed", ("address",), ("bool",))
