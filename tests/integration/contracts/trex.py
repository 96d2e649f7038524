"""A T-REX 4.1.6 token with its registries, from the npm artifacts: the implementations themselves, without proxies."""

import msgspec

from issuer.chain.signer import LocalSigner
from tests.integration.contracts.evm import Compiled, Contract, Evm, npm

_PACKAGE = "@tokenysolutions/t-rex/artifacts/contracts"
_REGISTRIES = f"{_PACKAGE}/registry/implementation"
CLAIM_TOPICS = npm(f"{_REGISTRIES}/ClaimTopicsRegistry.sol/ClaimTopicsRegistry")
TRUSTED_ISSUERS = npm(f"{_REGISTRIES}/TrustedIssuersRegistry.sol/TrustedIssuersRegistry")
STORAGE = npm(f"{_REGISTRIES}/IdentityRegistryStorage.sol/IdentityRegistryStorage")
IDENTITY_REGISTRY = npm(f"{_REGISTRIES}/IdentityRegistry.sol/IdentityRegistry")
COMPLIANCE = npm(f"{_PACKAGE}/compliance/modular/ModularCompliance.sol/ModularCompliance")
TOKEN = npm(f"{_PACKAGE}/token/Token.sol/Token")
BELGIUM = 56


class Suite(msgspec.Struct, frozen=True):
    """Nothing is trusted and nobody registered; the compliance allows every transfer."""

    evm: Evm
    token: Contract
    identities: Contract
    topics: Contract
    issuers: Contract
    owner: LocalSigner
    agent: LocalSigner

    async def trust(self, issuer: Contract, topic: int) -> None:
        await self.evm.send(self.topics, "addClaimTopic", topic, sender=self.owner)
        await self.evm.send(self.issuers, "addTrustedIssuer", issuer.address, [topic], sender=self.owner)

    async def register(self, wallet: str, identity: str) -> None:
        await self.evm.send(self.identities, "registerIdentity", wallet, identity, BELGIUM, sender=self.agent)

    async def is_verified(self, wallet: str) -> bool:
        return bool(await self.evm.ask(self.identities, "isVerified", wallet))

    async def mint(self, wallet: str, amount: int) -> None:
        await self.evm.send(self.token, "mint", wallet, amount, sender=self.agent)

    async def transfer(self, sender: LocalSigner, to: str, amount: int) -> None:
        await self.evm.send(self.token, "transfer", to, amount, sender=sender)

    async def balance(self, wallet: str) -> int:
        return int(await self.evm.ask(self.token, "balanceOf", wallet))


async def set_up(evm: Evm) -> Suite:
    owner, agent = evm.person("token owner"), evm.person("token agent")
    topics = await _initialised(evm, owner, CLAIM_TOPICS)
    issuers = await _initialised(evm, owner, TRUSTED_ISSUERS)
    storage = await _initialised(evm, owner, STORAGE)
    registries = (issuers.address, topics.address, storage.address)
    identities = await _initialised(evm, owner, IDENTITY_REGISTRY, *registries)
    compliance = await _initialised(evm, owner, COMPLIANCE)
    nobody = "0x" + "0" * 40
    arguments = (identities.address, compliance.address, "Share", "SHR", 0, nobody)
    token = await _initialised(evm, owner, TOKEN, *arguments)
    await evm.send(storage, "bindIdentityRegistry", identities.address, sender=owner)
    # The token is an agent too: a recovery registers the new wallet through it.
    for contract, who in ((identities, agent.address), (identities, token.address), (token, agent.address)):
        await evm.send(contract, "addAgent", who, sender=owner)
    await evm.send(token, "unpause", sender=agent)
    return Suite(evm, token, identities, topics, issuers, owner, agent)


async def _initialised(evm: Evm, owner: LocalSigner, what: Compiled, *arguments: object) -> Contract:
    contract = await evm.deploy(what, sender=owner)
    await evm.send(contract, "init", *arguments, sender=owner)
    return contract
