"""ONCHAINID 2.2.1 as npm ships it: the proxies that people have, made by its own factory."""

import msgspec
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from issuer.chain.signer import LocalSigner, checked_sign
from tests.integration.contracts.evm import Contract, Evm, npm

_PACKAGE = "@onchain-id/solidity/artifacts/contracts"
IDENTITY = npm(f"{_PACKAGE}/Identity.sol/Identity")
CLAIM_ISSUER = npm(f"{_PACKAGE}/ClaimIssuer.sol/ClaimIssuer")
AUTHORITY = npm(f"{_PACKAGE}/proxy/ImplementationAuthority.sol/ImplementationAuthority")
FACTORY = npm(f"{_PACKAGE}/factory/IdFactory.sol/IdFactory")


class Onchainid(msgspec.Struct, frozen=True):
    evm: Evm
    factory: Contract
    owner: LocalSigner

    async def create(self, wallet: str) -> Contract:
        """An identity with `wallet` as its first manager."""
        await self.evm.send(self.factory, "createIdentity", wallet, wallet, sender=self.owner)
        return Contract(await self.evm.ask(self.factory, "getIdentity", wallet), IDENTITY.abi)


async def set_up(evm: Evm) -> Onchainid:
    owner = evm.person("owner of ONCHAINID")
    implementation = await evm.deploy(IDENTITY, owner.address, True, sender=owner)
    authority = await evm.deploy(AUTHORITY, implementation.address, sender=owner)
    return Onchainid(evm, await evm.deploy(FACTORY, authority.address, sender=owner), owner)


async def legacy_signature(signer: LocalSigner, identity: str, topic: int, data: bytes) -> bytes:
    """65 bytes r | s | v over the eth_sign form of keccak256(abi.encode(identity, topic, data))."""
    digest = keccak(encode(["address", "uint256", "bytes"], [identity, topic, data]))
    signature = await checked_sign(signer, b"\x19Ethereum Signed Message:\n32" + digest)
    return signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([27 + signature.y_parity])
