"""Our contracts on a local chain, and the people who run them."""

import msgspec

from issuer.chain.contracts import ClaimInput, key_of
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.claims.rules import (
    SCHEME_ECDSA,
    Word,
    claim_message,
    compact_signature,
    domain_separator,
    onchain_id,
)
from scripts.anvil import CHAIN_ID
from tests.integration.contracts.evm import Compiled, Contract, Evm, ours

TOPIC = 0x434C0001
MANAGEMENT, CLAIM = 1, 3
ECDSA, CLAIMWRIGHT = 1, 712
COMMITMENT = bytes(range(1, 22))  # no zero bytes, so that its calldata costs what a real one costs


class Ourselves(msgspec.Struct, frozen=True):
    """Factory, ClaimIssuer and registry, wired to each other as `claimwright deploy` does."""

    evm: Evm
    factory: Contract
    issuer: Contract
    registry: Contract
    owner: LocalSigner
    operator: LocalSigner
    signer: LocalSigner

    def identity(self, address: str) -> Contract:
        return Contract(address, ours("Identity").abi)

    async def claim(self, identity: str, *, topic: int = TOPIC, commitment: bytes = COMMITMENT) -> ClaimInput:
        """A signed claim in the epoch of now."""
        epoch = await self.evm.ask(self.issuer, "epochOf", identity, topic)
        head = await self.evm.gateway.head()
        word = Word(epoch=epoch, issued_at=head.timestamp, expires_at=0, commitment=commitment).pack()
        domain = domain_separator(CHAIN_ID, self.issuer.address)
        message = claim_message(domain=domain, identity=identity, topic=topic, word=word)
        signature = await checked_sign(self.signer, message)
        compact = compact_signature(signature.r, signature.s, signature.y_parity)
        return ClaimInput(topic=topic, scheme=SCHEME_ECDSA, signature=compact, data=word)

    async def onboard(self, wallet: str, *, topic: int = TOPIC) -> str:
        """Makes the wallet's identity if there is none, adds a signed claim; the identity's address."""
        identity = await self.identity_of(wallet)
        claim = await self.claim(identity, topic=topic)
        await self.evm.send(self.issuer, "onboard", [(wallet, [claim.values()])], sender=self.operator)
        return identity

    async def identity_of(self, wallet: str) -> str:
        """The linked one, or the one that `onboard` would make."""
        linked = await self.evm.ask(self.factory, "getIdentity", wallet)
        if int(linked, 16):
            return str(linked)
        return str(await self.evm.ask(self.factory, "predict", wallet, self.issuer.address))

    async def revoke(self, identity: str, *, topic: int = TOPIC) -> None:
        epoch = await self.evm.ask(self.issuer, "epochOf", identity, topic)
        await self.evm.send(self.issuer, "revokeBatch", [(identity, topic, epoch)], sender=self.operator)


def claim_id(we: Ourselves, topic: int = TOPIC) -> bytes:
    return onchain_id(we.issuer.address, topic)


async def with_claims_in_code(we: Ourselves, holder: LocalSigner) -> Contract:
    """An identity whose implementation keeps every claim as code, however short."""
    identity = ours("Identity")
    implementation = await we.evm.deploy(identity, 0, sender=we.owner)
    runtime = bytes.fromhex("363d3d373d3d3d363d73") + bytes.fromhex(implementation.address[2:])
    runtime += bytes.fromhex("5af43d82803e903d91602b57fd5bf3")  # ERC-1167, then the arguments
    runtime += bytes.fromhex(holder.address[2:]) + bytes.fromhex(we.issuer.address[2:])
    creation = bytes([0x60, len(runtime)]) + bytes.fromhex("8060093d393df3") + runtime
    clone = Compiled(tuple(each for each in identity.abi if each["type"] != "constructor"), creation)
    return await we.evm.deploy(clone, sender=we.owner)


async def set_up(evm: Evm) -> Ourselves:
    owner, operator, signer = evm.person("owner"), evm.person("operator"), evm.person("claim signer")
    factory = await evm.deploy(ours("IdentityFactory"), owner.address, sender=owner)
    issuer = await evm.deploy(ours("ClaimIssuer"), owner.address, factory.address, sender=owner)
    registry = await evm.deploy(ours("ClaimIssuerRegistry"), owner.address, sender=owner)
    await evm.send(factory, "setDeployer", issuer.address, True, sender=owner)
    await evm.send(issuer, "addKey", key_of(signer.address), CLAIM, CLAIMWRIGHT, sender=owner)
    await evm.send(issuer, "setOperator", operator.address, True, sender=owner)
    await evm.send(registry, "addFactory", factory.address, sender=owner)
    await evm.send(registry, "addTrustedIssuer", issuer.address, [TOPIC], sender=owner)
    return Ourselves(evm, factory, issuer, registry, owner, operator, signer)
