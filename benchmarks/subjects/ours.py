"""Gas of our contracts: signed claims, sent by who would send them."""

import secrets

from benchmarks.subjects import BATCH, LONG_DATA, LONG_URI, Row, new_bytes
from issuer.chain.contracts import key_of
from tests.integration.contracts import hosted, ourselves, trex
from tests.integration.contracts.evm import Evm
from tests.integration.contracts.onchainid import legacy_signature
from tests.integration.contracts.ourselves import CLAIM, ECDSA, TOPIC, Ourselves


async def measure(evm: Evm) -> dict[Row, int]:
    we = await ourselves.set_up(evm)
    return {
        **await _identities(we),
        **await _claims(we),
        **await _revocations(we),
        **await _onboarding(we),
        **await _checks(we),
        **(await _hosted(we) if hosted.HOSTS else {}),
    }


async def _identities(we: Ourselves) -> dict[Row, int]:
    wallet = we.evm.person()
    receipt = await we.evm.send(we.factory, "createFor", wallet.address, we.issuer.address, sender=wallet)
    found = {Row.CREATE: receipt.gas_used}
    wallets, deployer = [we.evm.person().address for _ in range(BATCH)], we.evm.person()
    await we.evm.send(we.factory, "setDeployer", deployer.address, True, sender=we.owner)
    receipt = await we.evm.send(we.factory, "createMany", wallets, deployer.address, sender=deployer)
    found[Row.CREATE_BATCH] = receipt.gas_used // BATCH
    if we.factory.knows("createIdentity"):  # with a salt, which ONCHAINID's always have
        wallet = we.evm.person()
        receipt = await we.evm.send(we.factory, "createIdentity", wallet.address, wallet.address, sender=we.owner)
        found[Row.CREATE_SALTED] = receipt.gas_used
    return found


async def _claims(we: Ourselves) -> dict[Row, int]:
    legacy = we.evm.person()
    await we.evm.send(we.issuer, "addKey", key_of(legacy.address), CLAIM, ECDSA, sender=we.owner)
    holder = we.evm.person()
    await we.evm.send(we.factory, "createFor", holder.address, we.issuer.address, sender=holder)
    identity = we.identity(await we.identity_of(holder.address))

    async def add(topic: int, signature: bytes, data: bytes, uri: str) -> int:
        values = (topic, 1, we.issuer.address, signature, data, uri)
        return (await we.evm.send(identity, "addClaim", *values, sender=holder)).gas_used

    async def signed(topic: int) -> int:
        claim = await we.claim(identity.address, topic=topic, commitment=secrets.token_bytes(21))
        return await add(topic, claim.signature, claim.data, "")

    async def long(topic: int) -> int:
        data = new_bytes(LONG_DATA)
        return await add(topic, await legacy_signature(legacy, identity.address, topic, data), data, "u" * LONG_URI)

    found = {
        Row.ADD: await signed(TOPIC),
        Row.ADD_LONG: await long(TOPIC + 1),
        Row.UPDATE: await signed(TOPIC),
        Row.UPDATE_LONG: await long(TOPIC + 1),
    }
    for row, topic in ((Row.REMOVE, TOPIC), (Row.REMOVE_LONG, TOPIC + 1)):
        claim_id = ourselves.claim_id(we, topic)
        found[row] = (await we.evm.send(identity, "removeClaim", claim_id, sender=holder)).gas_used
    return found


async def _revocations(we: Ourselves) -> dict[Row, int]:
    wallets = [we.evm.person().address for _ in range(BATCH + 1)]
    identities = [await we.onboard(wallet) for wallet in wallets]

    async def revoke(some: list[str]) -> int:
        items = [(identity, TOPIC, 0) for identity in some]
        return (await we.evm.send(we.issuer, "revokeBatch", items, sender=we.operator)).gas_used

    return {Row.REVOKE: await revoke(identities[:1]), Row.REVOKE_BATCH: await revoke(identities[1:]) // BATCH}


async def _onboarding(we: Ourselves) -> dict[Row, int]:
    async def onboard(count: int) -> int:
        items = []
        for _ in range(count):
            wallet = we.evm.person().address
            claim = await we.claim(await we.identity_of(wallet), commitment=secrets.token_bytes(21))
            items.append((wallet, [claim.values()]))
        return (await we.evm.send(we.issuer, "onboard", items, sender=we.operator)).gas_used

    return {Row.ONBOARD: await onboard(1), Row.ONBOARD_BATCH: await onboard(BATCH) // BATCH}


async def _checks(we: Ourselves) -> dict[Row, int]:
    asker, wallet = we.evm.person(), we.evm.person().address
    identity = await we.onboard(wallet)
    _, _, _, signature, data, _ = await we.evm.ask(we.identity(identity), "getClaim", ourselves.claim_id(we, TOPIC))
    suite = await trex.set_up(we.evm)
    await suite.trust(we.issuer, TOPIC)
    await suite.register(wallet, identity)
    assert await suite.is_verified(wallet)
    assert await we.evm.ask(we.registry, "isVerified", wallet, TOPIC)
    validity = (identity, TOPIC, signature, data)
    holder_of_code = await _with_claim_in_code(we, suite)
    return {
        Row.VALID: await we.evm.execution_gas(we.issuer, "isClaimValid", *validity, sender=asker),
        Row.TREX: await we.evm.execution_gas(suite.identities, "isVerified", wallet, sender=asker),
        Row.TREX_CODE: await we.evm.execution_gas(suite.identities, "isVerified", holder_of_code, sender=asker),
        Row.REGISTRY: await we.evm.execution_gas(we.registry, "isVerified", wallet, TOPIC, sender=asker),
    }


async def _with_claim_in_code(we: Ourselves, suite: trex.Suite) -> str:
    """A wallet whose claim stands as code, as every claim does where the implementation has the threshold 0."""
    holder = we.evm.person()
    identity = await ourselves.with_claims_in_code(we, holder)
    claim = await we.claim(identity.address, commitment=secrets.token_bytes(21))
    values = (TOPIC, 1, we.issuer.address, claim.signature, claim.data, "")
    await we.evm.send(identity, "addClaim", *values, sender=holder)
    await suite.register(holder.address, identity.address)
    assert await suite.is_verified(holder.address)
    return holder.address


async def _hosted(we: Ourselves) -> dict[Row, int]:
    wallets = [we.evm.person().address for _ in range(BATCH)]
    await hosted.onboard(we, [we.evm.person().address])  # the first word of a topic opens it, once
    onboarded = await hosted.onboard(we, wallets)
    identities = [await we.identity_of(wallet) for wallet in wallets]
    suite = await trex.set_up(we.evm)
    await suite.trust(we.issuer, TOPIC)
    await suite.register(wallets[0], identities[0])
    assert await suite.is_verified(wallets[0])
    asker = we.evm.person()
    checked = await we.evm.execution_gas(suite.identities, "isVerified", wallets[0], sender=asker)
    renewed = await hosted.issue(we, identities)
    revoked = await hosted.revoke(we, identities)
    await hosted.issue(we, identities)
    noted = await hosted.revoke_noted(we, identities)
    issued = await hosted.issue(we, await _empty_identities(we))
    return {
        Row.HOSTED_ONBOARD_BATCH: onboarded.gas_used // BATCH,
        Row.HOSTED_ISSUE_BATCH: issued.gas_used // BATCH,
        Row.HOSTED_RENEW_BATCH: renewed.gas_used // BATCH,
        Row.HOSTED_REVOKE_BATCH: revoked.gas_used // BATCH,
        Row.HOSTED_REVOKE_NOTED_BATCH: noted.gas_used // BATCH,
        Row.HOSTED_TREX: checked,
    }


async def _empty_identities(we: Ourselves) -> list[str]:
    found = []
    for _ in range(BATCH):
        wallet = we.evm.person()
        await we.evm.send(we.factory, "createFor", wallet.address, we.issuer.address, sender=wallet)
        found.append(await we.identity_of(wallet.address))
    return found
