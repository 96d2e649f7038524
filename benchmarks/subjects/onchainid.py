"""Gas of ONCHAINID 2.2.1, the bytecode of its npm package, behind its own proxies and factory."""

from benchmarks.subjects import DATA, LONG_DATA, LONG_URI, Row, new_bytes
from issuer.chain.contracts import key_of
from issuer.chain.signer import LocalSigner
from issuer.claims.rules import onchain_id
from tests.integration.contracts import onchainid, trex
from tests.integration.contracts.evm import Contract, Evm
from tests.integration.contracts.onchainid import Onchainid, legacy_signature
from tests.integration.contracts.ourselves import CLAIM, ECDSA, TOPIC


async def measure(evm: Evm) -> dict[Row, int]:
    they, manager, signer = await onchainid.set_up(evm), evm.person(), evm.person()
    issuer = await evm.deploy(onchainid.CLAIM_ISSUER, manager.address, sender=manager)
    await evm.send(issuer, "addKey", key_of(signer.address), CLAIM, ECDSA, sender=manager)
    subject = _Subject(evm, they, issuer, manager, signer)
    return {**await subject.claims(), **await subject.checks(), **await subject.onboarding()}


class _Subject:
    def __init__(self, evm: Evm, they: Onchainid, issuer: Contract, manager: LocalSigner, signer: LocalSigner) -> None:
        self.evm, self.they, self.issuer, self.manager, self.signer = evm, they, issuer, manager, signer

    async def add(self, identity: Contract, topic: int, data: bytes, uri: str, sender: LocalSigner) -> int:
        signature = await legacy_signature(self.signer, identity.address, topic, data)
        values = (topic, 1, self.issuer.address, signature, data, uri)
        return (await self.evm.send(identity, "addClaim", *values, sender=sender)).gas_used

    async def claims(self) -> dict[Row, int]:
        evm, holder = self.evm, self.evm.person()
        identity = await self.they.create(holder.address)
        found = {}
        for row in (Row.ADD, Row.UPDATE):
            found[row] = await self.add(identity, TOPIC, new_bytes(DATA), "", holder)
        for row in (Row.ADD_LONG, Row.UPDATE_LONG):
            found[row] = await self.add(identity, TOPIC + 1, new_bytes(LONG_DATA), "u" * LONG_URI, holder)
        for row, topic in ((Row.REMOVE, TOPIC), (Row.REMOVE_LONG, TOPIC + 1)):
            claim_id = onchain_id(self.issuer.address, topic)
            found[row] = (await evm.send(identity, "removeClaim", claim_id, sender=holder)).gas_used
        return found

    async def checks(self) -> dict[Row, int]:
        evm, holder, asker = self.evm, self.evm.person(), self.evm.person()
        identity = await self.they.create(holder.address)
        data = new_bytes(DATA)
        await self.add(identity, TOPIC, data, "", holder)
        signature = await legacy_signature(self.signer, identity.address, TOPIC, data)
        suite = await trex.set_up(evm)
        await suite.trust(self.issuer, TOPIC)
        await suite.register(holder.address, identity.address)
        assert await suite.is_verified(holder.address)
        validity = (identity.address, TOPIC, signature, data)
        found = {
            Row.VALID: await evm.execution_gas(self.issuer, "isClaimValid", *validity, sender=asker),
            Row.TREX: await evm.execution_gas(suite.identities, "isVerified", holder.address, sender=asker),
        }
        receipt = await evm.send(self.issuer, "revokeClaimBySignature", signature, sender=self.manager)
        return {**found, Row.REVOKE: receipt.gas_used, Row.REVOKE_BATCH: receipt.gas_used}

    async def onboarding(self) -> dict[Row, int]:
        """The issuer's key is given by the holder, and then the issuer adds the claim."""
        evm, holder = self.evm, self.evm.person()
        values = (holder.address, holder.address)
        created = (await evm.send(self.they.factory, "createIdentity", *values, sender=self.they.owner)).gas_used
        identity = Contract(await evm.ask(self.they.factory, "getIdentity", holder.address), onchainid.IDENTITY.abi)
        given = await evm.send(identity, "addKey", key_of(self.manager.address), CLAIM, ECDSA, sender=holder)
        added = await self.add(identity, TOPIC, new_bytes(DATA), "", self.manager)
        total = created + given.gas_used + added
        return {Row.CREATE: created, Row.CREATE_SALTED: created, Row.ONBOARD: total, Row.ONBOARD_BATCH: total}
