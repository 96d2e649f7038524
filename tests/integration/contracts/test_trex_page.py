"""docs/trex.md: every call on the page is sent, by whom it says, and does what it says."""

import pytest
from eth_utils.crypto import keccak

from issuer.chain.signer import LocalSigner
from tests.integration.contracts.evm import ROOT
from tests.integration.contracts.ourselves import TOPIC
from tests.integration.contracts.page import Shell, sections
from tests.integration.contracts.trex import BELGIUM

PAGE = sections(ROOT / "docs/trex.md")


class Cast:
    """The people of the page. Their names are its variables."""

    def __init__(self, evm, story):
        self._evm, self._story = evm, story
        self.signers, self.options = {}, {}

    def add(self, name):
        key = keccak(text=f"{self._story}: {name}")
        self.signers[name] = LocalSigner(key)
        self.options[name] = f"--private-key 0x{key.hex()}"
        self._evm.fund(self.signers[name].address)


@pytest.fixture
async def stage(request, suite, we, they):
    """A token whose owner and agent are the page's, a shell that knows its variables, and the people in it."""
    people = Cast(we.evm, request.node.name)
    for name in ("OWNER", "AGENT", "HOLDER", "BACKUP", "NEW"):
        people.add(name)
    owner, agent = people.signers["OWNER"].address, people.signers["AGENT"].address
    for contract in (suite.topics, suite.issuers, suite.identities, suite.token):
        await we.evm.send(contract, "transferOwnership", owner, sender=suite.owner)
    for contract in (suite.identities, suite.token):
        await we.evm.send(contract, "addAgent", agent, sender=people.signers["OWNER"])
    shell = Shell(
        {
            "ETH_RPC_URL": we.evm.url,
            "TOKEN": suite.token.address,
            "IDENTITY_REGISTRY": suite.identities.address,
            "CLAIM_TOPICS": suite.topics.address,
            "TRUSTED_ISSUERS": suite.issuers.address,
            "CLAIM_ISSUER": we.issuer.address,
            "FACTORY": we.factory.address,
            "REGISTRY": we.registry.address,
            "ONCHAINID_FACTORY": they.factory.address,
            "TOPIC": str(TOPIC),
            "COUNTRY": str(BELGIUM),
            "WALLET": people.signers["HOLDER"].address,
            "BACKUP_WALLET": people.signers["BACKUP"].address,
            "NEW_WALLET": people.signers["NEW"].address,
            **people.options,
        }
    )
    return shell, people.signers


async def test_trust_register_recover_and_stop(stage, suite, we):
    shell, people = stage
    await shell.run(PAGE["Trust the issuer"])
    identity = await we.onboard(people["HOLDER"].address)
    await shell.run(PAGE["Register an identity"])
    assert shell.variables["IDENTITY"] == identity
    await suite.mint(people["HOLDER"].address, 5)

    await shell.run(PAGE["Prepare for a lost wallet"])
    await a_second_later(we)
    await shell.run(PAGE["Recover a wallet"])
    assert await suite.balance(people["NEW"].address) == 5
    assert not await we.evm.ask(we.registry, "isVerified", people["NEW"].address, TOPIC)

    await we.onboard(people["NEW"].address)
    assert await we.evm.ask(we.registry, "isVerified", people["NEW"].address, TOPIC)
    assert await suite.is_verified(people["NEW"].address)
    shell.variables["WALLET"] = people["NEW"].address
    await shell.run(PAGE["Stop trusting"])
    assert not await suite.is_verified(people["NEW"].address)


async def a_second_later(we):
    """A claim that is issued in the very second of a link counts for that wallet; one from before it does not."""
    we.evm.rpc("evm_increaseTime", 2)
    we.evm.rpc("evm_mine")


async def test_our_registry_in_place_of_the_tokens(stage, suite, we):
    shell, people = stage
    await shell.run(PAGE["Trust the issuer"])
    await shell.run(PAGE["Or plug in our registry"])
    await we.onboard(people["HOLDER"].address)
    await shell.run(PAGE["Register an identity"])


async def test_a_holder_who_has_an_onchainid(stage, suite, we, they):
    shell, people = stage
    identity = await they.create(people["HOLDER"].address)
    await shell.run(PAGE["Trust the issuer"])
    await shell.run(PAGE["A holder who has an ONCHAINID already"])
    assert not await suite.is_verified(people["HOLDER"].address)
    addition = (identity.address, (await we.claim(identity.address)).values())
    await we.evm.send(we.issuer, "addClaimsTo", [addition], sender=we.operator)
    assert await suite.is_verified(people["HOLDER"].address)


async def test_a_wallet_is_recovered_without_a_second_manager(stage, suite, we):
    shell, people = stage
    await shell.run(PAGE["Trust the issuer"])
    await we.onboard(people["HOLDER"].address)
    await shell.run(PAGE["Register an identity"])
    await suite.mint(people["HOLDER"].address, 5)
    await we.onboard(people["NEW"].address)
    await shell.run(PAGE["Recover without a second manager"])
    assert await suite.balance(people["NEW"].address) == 5


async def test_an_answer_that_is_not_the_pages_fails(stage):
    shell, _ = stage
    with pytest.raises(AssertionError, match="false is not what the page says"):
        await shell.run('cast call $TRUSTED_ISSUERS "isTrustedIssuer(address)(bool)" $CLAIM_ISSUER # => true')


def test_every_section_is_run():
    run = {
        "Trust the issuer", "Or plug in our registry", "Register an identity", "A holder who has an ONCHAINID already",
        "Prepare for a lost wallet", "Recover a wallet", "Recover without a second manager", "Stop trusting",
    }  # fmt: skip
    assert set(PAGE) == run
