"""T-REX's own factory deploys a whole token, proxies and all, and takes the token's identity from our factory."""

from issuer.chain.contracts import key_of
from tests.integration.contracts import trex
from tests.integration.contracts.evm import Contract, npm
from tests.integration.contracts.ourselves import MANAGEMENT, TOPIC

_PACKAGE = "@tokenysolutions/t-rex/artifacts/contracts"
FACTORY = npm(f"{_PACKAGE}/factory/TREXFactory.sol/TREXFactory")
AUTHORITY = npm(f"{_PACKAGE}/proxy/authority/TREXImplementationAuthority.sol/TREXImplementationAuthority")
NOBODY = "0x" + "0" * 40
VERSION = (4, 1, 6)
SALT = "share"


async def deployed_suite(we) -> trex.Suite:
    """What `TREXFactory.deployTREXSuite` made: it requires TOPIC, and trusts our ClaimIssuer for it."""
    evm, owner, agent = we.evm, we.evm.person("token owner"), we.evm.person("token agent")
    kinds = (trex.TOKEN, trex.CLAIM_TOPICS, trex.IDENTITY_REGISTRY, trex.STORAGE, trex.TRUSTED_ISSUERS, trex.COMPLIANCE)
    implementations = [(await evm.deploy(kind, sender=owner)).address for kind in kinds]
    authority = await evm.deploy(AUTHORITY, True, NOBODY, NOBODY, sender=owner)
    await evm.send(authority, "addAndUseTREXVersion", VERSION, tuple(implementations), sender=owner)
    factory = await evm.deploy(FACTORY, authority.address, we.factory.address, sender=owner)
    await evm.send(authority, "setTREXFactory", factory.address, sender=owner)
    await evm.send(we.factory, "addTokenFactory", factory.address, sender=we.owner)

    agents = [agent.address]
    token_details = (owner.address, "Share", "SHR", 0, NOBODY, NOBODY, agents, agents, [], [])
    claim_details = ([TOPIC], [we.issuer.address], [[TOPIC]])
    await evm.send(factory, "deployTREXSuite", SALT, token_details, claim_details, sender=owner)

    token = Contract(await evm.ask(factory, "getToken", SALT), trex.TOKEN.abi)
    identities = Contract(await evm.ask(token, "identityRegistry"), trex.IDENTITY_REGISTRY.abi)
    topics = Contract(await evm.ask(identities, "topicsRegistry"), trex.CLAIM_TOPICS.abi)
    issuers = Contract(await evm.ask(identities, "issuersRegistry"), trex.TRUSTED_ISSUERS.abi)
    await evm.send(token, "unpause", sender=agent)
    return trex.Suite(evm, token, identities, topics, issuers, owner, agent)


async def test_a_suite_of_trexs_factory_lives_with_our_identities(we):
    evm, suite = we.evm, await deployed_suite(we)

    # The token's own identity is ours, made for the token's owner, who manages it.
    identity = await evm.ask(suite.token, "onchainID")
    assert await evm.ask(we.factory, "isIdentity", identity)
    assert await evm.ask(we.factory, "getIdentity", suite.token.address) == identity
    assert await evm.ask(we.factory, "getToken", identity) == suite.token.address
    assert await evm.ask(we.factory, "isSaltTaken", "Token" + SALT)
    key = key_of(suite.owner.address)
    assert await evm.ask(we.identity(identity), "keyHasPurpose", key, MANAGEMENT)

    # And its holders are verified by our claims, through the proxies that T-REX runs in production.
    holder, buyer = evm.person("holder"), evm.person("buyer")
    await suite.register(holder.address, await we.onboard(holder.address))
    assert await suite.is_verified(holder.address)
    await suite.mint(holder.address, 10)
    await suite.register(buyer.address, await we.onboard(buyer.address))
    await suite.transfer(holder, buyer.address, 4)
    assert await suite.balance(buyer.address) == 4
    await we.revoke(await we.identity_of(buyer.address))
    assert not await suite.is_verified(buyer.address)
