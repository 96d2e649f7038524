"""A T-REX token takes our claims: on our identities and on ONCHAINID's, and with our registry in place of its own."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from issuer.chain.contracts import key_of
from issuer.chain.signer import LocalSigner
from tests.integration.contracts import hosted
from tests.integration.contracts.evm import Reverted
from tests.integration.contracts.ourselves import CLAIM, ECDSA, MANAGEMENT, TOPIC

MINTED = 100


class Holder(msgspec.Struct, frozen=True):
    wallet: LocalSigner
    identity: str
    issue: Callable[[], Awaitable[None]]


async def with_our_identity(we, they) -> Holder:
    wallet = we.evm.person("holder")

    async def issue() -> None:
        await we.onboard(wallet.address)

    await we.evm.send(we.factory, "createFor", wallet.address, we.issuer.address, sender=wallet)
    return Holder(wallet, await we.identity_of(wallet.address), issue)


async def with_an_onchainid_that_its_holder_writes(we, they) -> Holder:
    wallet = we.evm.person("holder")
    identity = await they.create(wallet.address)

    async def issue() -> None:
        claim = await we.claim(identity.address)
        values = (claim.topic, claim.scheme, we.issuer.address, claim.signature, claim.data, claim.uri)
        await we.evm.send(identity, "addClaim", *values, sender=wallet)

    return Holder(wallet, identity.address, issue)


async def with_an_onchainid_that_we_may_write(we, they) -> Holder:
    wallet = we.evm.person("holder")
    identity = await they.create(wallet.address)
    await we.evm.send(identity, "addKey", key_of(we.issuer.address), CLAIM, ECDSA, sender=wallet)

    async def issue() -> None:
        claim = await we.claim(identity.address)
        addition = (identity.address, claim.values())
        await we.evm.send(we.issuer, "addClaimsTo", [addition], sender=we.operator)

    return Holder(wallet, identity.address, issue)


async def with_our_identity_hosted(we, they) -> Holder:
    wallet = we.evm.person("holder")

    async def issue() -> None:
        await hosted.issue(we, [identity])

    await we.evm.send(we.factory, "createFor", wallet.address, we.issuer.address, sender=wallet)
    identity = await we.identity_of(wallet.address)
    return Holder(wallet, identity, issue)


HOLDERS = [with_our_identity, with_an_onchainid_that_its_holder_writes, with_an_onchainid_that_we_may_write]
if hosted.HOSTS:
    HOLDERS.append(with_our_identity_hosted)


@pytest.fixture(params=["its own registry", "our registry"])
async def trusting(request, suite, we):
    """A token that trusts our issuer."""
    if request.param == "our registry":
        await suite.evm.send(suite.topics, "addClaimTopic", TOPIC, sender=suite.owner)
        await suite.evm.send(suite.identities, "setTrustedIssuersRegistry", we.registry.address, sender=suite.owner)
    else:
        await suite.trust(we.issuer, TOPIC)
    return suite


@pytest.mark.parametrize("made", HOLDERS, ids=lambda made: made.__name__)
async def test_a_token_moves_while_the_claim_is_valid_and_at_no_other_time(made, trusting, we, they):
    token, holder = trusting, await made(we, they)
    sender = await verified_sender(token, we)
    to = holder.wallet.address
    await token.register(to, holder.identity)

    assert not await token.is_verified(to)
    with pytest.raises(Reverted, match="Transfer not possible"):
        await token.transfer(sender, to, 1)

    await holder.issue()
    assert await token.is_verified(to)
    await token.transfer(sender, to, 1)
    assert await token.balance(to) == 1

    await we.revoke(holder.identity)
    assert not await token.is_verified(to)
    with pytest.raises(Reverted, match="Transfer not possible"):
        await token.transfer(sender, to, 1)

    await holder.issue()
    assert await token.is_verified(to)
    await token.transfer(sender, to, 1)
    assert await token.balance(to) == 2


async def verified_sender(token, we) -> LocalSigner:
    sender = token.evm.person("sender")
    await token.register(sender.address, await we.onboard(sender.address))
    await token.mint(sender.address, MINTED)
    return sender


async def test_an_issuer_that_is_no_longer_trusted_lets_nobody_receive(suite, we):
    await suite.trust(we.issuer, TOPIC)
    holder = await verified_sender(suite, we)
    assert await suite.is_verified(holder.address)
    await suite.evm.send(suite.issuers, "removeTrustedIssuer", we.issuer.address, sender=suite.owner)
    assert not await suite.is_verified(holder.address)


async def test_a_wallet_that_was_lost_is_recovered_by_a_second_manager(trusting, we):
    lost, new = await verified_sender(trusting, we), trusting.evm.person("new wallet")
    identity = we.identity(await we.identity_of(lost.address))
    recovery = (lost.address, new.address, identity.address)
    with pytest.raises(Reverted, match="Recovery not possible"):
        await trusting.evm.send(trusting.token, "recoveryAddress", *recovery, sender=trusting.agent)

    await trusting.evm.send(identity, "addKey", key_of(new.address), MANAGEMENT, ECDSA, sender=lost)
    await trusting.evm.send(trusting.token, "recoveryAddress", *recovery, sender=trusting.agent)

    assert await trusting.balance(new.address) == MINTED
    assert await trusting.is_verified(new.address)
    assert not await trusting.evm.ask(trusting.identities, "contains", lost.address)


async def test_our_registry_answers_as_the_one_of_trex_does(suite, we):
    """The same additions, changes and removals to both; the same answers from both."""
    evm, owner = we.evm, we.owner
    theirs = suite.issuers
    first, second = evm.person("issuer").address, evm.person("issuer").address
    for call in (
        ("addTrustedIssuer", first, [7, 8]),
        ("addTrustedIssuer", second, [8]),
        ("updateIssuerClaimTopics", first, [8, 9]),
        ("updateIssuerClaimTopics", second, [8, 7]),
        ("removeTrustedIssuer", first),
        ("addTrustedIssuer", first, [9]),
    ):
        ours_did = await evm.send(we.registry, *call, sender=owner)
        theirs_did = await evm.send(theirs, *call, sender=suite.owner)
        assert [(log.topics, log.data) for log in ours_did.logs] == [(log.topics, log.data) for log in theirs_did.logs]
        for issuer in (first, second):
            assert await same(evm, we.registry, theirs, "isTrustedIssuer", issuer)
            if await evm.ask(theirs, "isTrustedIssuer", issuer):
                assert await same(evm, we.registry, theirs, "getTrustedIssuerClaimTopics", issuer)
            for topic in (7, 8, 9):
                assert await same(evm, we.registry, theirs, "hasClaimTopic", issuer, topic)
        for topic in (7, 8, 9):
            assert await same(evm, we.registry, theirs, "getTrustedIssuersForClaimTopic", topic)
    listed = set(await evm.ask(we.registry, "getTrustedIssuers")) - {we.issuer.address}
    assert listed == set(await evm.ask(theirs, "getTrustedIssuers"))
    for issuer in (first, second):
        await evm.send(we.registry, "removeTrustedIssuer", issuer, sender=owner)


async def same(evm, ours, theirs, name, *values) -> bool:
    one, other = await evm.ask(ours, name, *values), await evm.ask(theirs, name, *values)
    return as_set(one) == as_set(other)


def as_set(value):
    """Lists of issuers and topics have no order that anyone may rely on."""
    return set(value) if isinstance(value, list | tuple) else value
