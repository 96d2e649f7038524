"""Our calldata does on a real chain what its names say, within the gas that we give it."""

import httpx
import msgspec
import pytest

from issuer.chain import contracts
from issuer.chain.abi import Function
from issuer.chain.contracts import ClaimInput, Onboarding, Revocation, Standing
from issuer.claims.rules import onchain_id
from issuer.errors import ChainError
from tests.integration.chain.conftest import (
    CLAIM_SIGNER,
    SENDER,
    STRANGER,
    TOPIC,
    fresh_wallet,
    transact,
)


async def predicted(world, gateway, wallet):
    call = contracts.predict(world.at("IdentityFactory"), wallet, world.at("ClaimIssuer"))
    return contracts.decode_address((await gateway.call([call]))[0])


async def signed_items(world, gateway, count):
    wallets = [fresh_wallet() for _ in range(count)]
    identities = [await predicted(world, gateway, wallet) for wallet in wallets]
    items = [
        Onboarding(wallet=wallet, claims=(await world.claim(identity),))
        for wallet, identity in zip(wallets, identities, strict=True)
    ]
    return items, identities


async def onboard(world, gateway, items, *, gas_limit=None):
    limit = gas_limit or contracts.onboard_gas(items, contracts.onboard(items))
    return await transact(gateway, SENDER, world.at("ClaimIssuer"), contracts.onboard(items), limit)


async def verified(world, gateway, wallets):
    calls = [contracts.is_verified(world.at("ClaimIssuerRegistry"), wallet, TOPIC) for wallet in wallets]
    return [contracts.decode_bool(answer) for answer in await gateway.call(calls)]


async def test_a_claim_from_nothing_to_revoked(world, gateway):
    (item,), (identity,) = await signed_items(world, gateway, 1)
    issuer, factory, gate = world.at("ClaimIssuer"), world.at("IdentityFactory"), world.at("ClaimGated")
    claim_id = onchain_id(issuer, TOPIC)
    before = await gateway.call([contracts.get_identity(factory, item.wallet), contracts.get_claim(identity, claim_id)])
    assert contracts.decode_address(before[0]) is None
    assert contracts.decode_claim(before[1]) is None

    receipt = await onboard(world, gateway, [item])
    assert receipt.succeeded
    assert contracts.claims_added(receipt) == {(identity, claim_id)}
    assert contracts.claims_failed(receipt, issuer) == []
    linked, stored, epoch, allowed = await gateway.call(
        [
            contracts.get_identity(factory, item.wallet),
            contracts.get_claim(identity, claim_id),
            contracts.epoch_of(issuer, identity, TOPIC),
            contracts.is_allowed(gate, item.wallet),
        ]
    )
    assert contracts.decode_address(linked) == identity
    assert contracts.decode_claim(stored) == item.claims[0]
    assert contracts.decode_uint(epoch) == 0
    assert contracts.decode_bool(allowed)
    assert await verified(world, gateway, [item.wallet]) == [True]

    revocation = contracts.revoke_batch([Revocation(identity=identity, topic=TOPIC, epoch=0)])
    receipt = await transact(gateway, SENDER, issuer, revocation, contracts.revoke_gas(1))
    assert contracts.subjects_revoked(receipt, issuer) == {(identity, TOPIC, 1)}
    assert await verified(world, gateway, [item.wallet]) == [False]

    again = await transact(gateway, SENDER, issuer, revocation, contracts.revoke_gas(1))
    assert again.succeeded
    assert contracts.subjects_revoked(again, issuer) == set()


async def test_many_wallets_standings_are_one_question(world, gateway):
    items, identities = await signed_items(world, gateway, 3)
    issuer, factory = world.at("ClaimIssuer"), world.at("IdentityFactory")
    await onboard(world, gateway, items[:1])
    revocations = [Revocation(identity=identity, topic=TOPIC, epoch=0) for identity in identities[:2]]
    await transact(gateway, SENDER, issuer, contracts.revoke_batch(revocations), contracts.revoke_gas(2))
    wallets = [item.wallet for item in items]
    (answer,) = await gateway.call([contracts.standings(factory, issuer, wallets, [TOPIC, TOPIC, TOPIC])])
    assert contracts.decode_standings(answer, 3) == [
        Standing(identity, epoch) for identity, epoch in zip(identities, (1, 1, 0), strict=True)
    ]
    for wrong in (None, b"", answer[:-1], answer + bytes(32), bytes(len(answer))):
        with pytest.raises(ChainError):
            contracts.decode_standings(wrong, 3)
    with pytest.raises(ChainError):
        contracts.decode_standings(answer, 2)


async def test_twenty_are_issued_and_revoked_within_their_gas(world, gateway):
    items, identities = await signed_items(world, gateway, 20)
    assert contracts.onboard_gas(items, contracts.onboard(items)) < contracts.MAX_TRANSACTION_GAS
    receipt = await onboard(world, gateway, items)
    assert len(contracts.claims_added(receipt)) == 20
    assert all(await verified(world, gateway, [item.wallet for item in items]))

    revocations = [Revocation(identity=identity, topic=TOPIC, epoch=0) for identity in identities]
    receipt = await transact(
        gateway, SENDER, world.at("ClaimIssuer"), contracts.revoke_batch(revocations), contracts.revoke_gas(20)
    )
    assert receipt.succeeded
    assert len(contracts.subjects_revoked(receipt, world.at("ClaimIssuer"))) == 20
    assert not any(await verified(world, gateway, [item.wallet for item in items]))


async def works(world, items, gas):
    """Would `onboard(items)` succeed with this gas limit?"""
    call = {"from": SENDER.address, "to": world.at("ClaimIssuer"), "gas": hex(gas)}
    params = [{**call, "data": "0x" + contracts.onboard(items).hex()}, "latest"]
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": params}
        return "error" not in (await client.post(world.url, json=body)).json()


async def shapes(world, gateway):
    """Batches that use gas in different ways, by name."""
    (one,), _ = await signed_items(world, gateway, 1)
    twenty, _ = await signed_items(world, gateway, 20)
    (plain,), (identity,) = await signed_items(world, gateway, 1)
    several = tuple([await world.claim(identity, topic=TOPIC + number) for number in range(6)])
    wordy = tuple(msgspec.structs.replace(claim, uri="x" * 2048) for claim in several[:2])
    junk = ClaimInput(topic=TOPIC, scheme=1, signature=b"\xff" * 2048, data=b"\xff" * 2048, uri="x" * 2048)
    there, (identity,) = await signed_items(world, gateway, 1)
    await onboard(world, gateway, there)
    return {
        "one": [one],
        "twenty": twenty,
        "several claims": [Onboarding(wallet=plain.wallet, claims=several)],
        "long texts": [Onboarding(wallet=plain.wallet, claims=wordy)],
        "junk": [Onboarding(wallet=fresh_wallet(), claims=(junk, junk)) for _ in range(2)],
        "no claims": [Onboarding(wallet=fresh_wallet(), claims=()) for _ in range(20)],
        "nobody": [Onboarding(wallet="0x" + "00" * 20, claims=one.claims)] * 20,
        "the same again": there,
        "one more topic": [
            Onboarding(wallet=there[0].wallet, claims=(await world.claim(identity, topic=TOPIC + 1),)),
        ],
    }


async def test_the_gas_limit_leaves_room_for_any_shape_of_batch(world, gateway):
    for name, items in (await shapes(world, gateway)).items():
        limit = contracts.onboard_gas(items, contracts.onboard(items))
        assert await works(world, items, limit * 9 // 10), f"{name}: less than a tenth of {limit} gas is spare"


async def test_bad_items_cost_the_others_nothing(world, gateway):
    good, identities = await signed_items(world, gateway, 3)
    wallet = fresh_wallet()
    identity = await predicted(world, gateway, wallet)
    forged = await world.claim(identity, signer=STRANGER)
    zero_topic = await world.claim(identity, topic=0)
    long = ClaimInput(topic=TOPIC, scheme=1, signature=b"\x01" * 2048, data=b"\x01" * 2048, uri="x" * 2048)
    too_long = ClaimInput(topic=TOPIC, scheme=1, signature=b"", data=bytes(2049))
    bad = [
        Onboarding(wallet=wallet, claims=(forged, zero_topic)),
        Onboarding(wallet="0x" + "00" * 20, claims=(forged,)),
        Onboarding(wallet=fresh_wallet(), claims=(long,)),
        Onboarding(wallet=fresh_wallet(), claims=(too_long,)),
    ]
    items = [good[0], *bad[:2], good[1], *bad[2:], good[2]]

    receipt = await onboard(world, gateway, items)

    assert receipt.succeeded
    failed = contracts.claims_failed(receipt, world.at("ClaimIssuer"))
    assert [index for _, _, index in failed] == [1, 1, 2, 4, 5]
    assert failed[0] == (identity, TOPIC, 1)
    assert {added for added, _ in contracts.claims_added(receipt)} == set(identities)
    assert await verified(world, gateway, [item.wallet for item in good] + [wallet]) == [True, True, True, False]


@pytest.mark.parametrize("uri", ["", "https://example.test/" + "x" * 200])
async def test_a_second_claim_on_an_identity_that_is_there(world, gateway, uri):
    (item,), (identity,) = await signed_items(world, gateway, 1)
    await onboard(world, gateway, [item])
    signed = await world.claim(identity)
    renewal = ClaimInput(topic=TOPIC, scheme=1, signature=signed.signature, data=signed.data, uri=uri)
    receipt = await onboard(world, gateway, [Onboarding(wallet=item.wallet, claims=(renewal,))])
    assert contracts.claims_added(receipt) == {(identity, onchain_id(world.at("ClaimIssuer"), TOPIC))}


async def test_a_batch_of_thirty_still_fits_one_transaction(world, gateway):
    items, _ = await signed_items(world, gateway, 30)
    assert contracts.onboard_gas(items, contracts.onboard(items)) < contracts.MAX_TRANSACTION_GAS
    assert len(contracts.claims_added(await onboard(world, gateway, items))) == 30


async def test_too_little_gas_reverts_the_whole_and_fakes_no_failure(world, gateway):
    items, _ = await signed_items(world, gateway, 3)
    receipt = await onboard(world, gateway, items, gas_limit=900_000)
    assert not receipt.succeeded
    assert receipt.logs == ()


async def test_who_is_not_an_operator_issues_nothing(world, gateway):
    (item,), _ = await signed_items(world, gateway, 1)
    limit = contracts.onboard_gas([item], contracts.onboard([item]))
    receipt = await transact(gateway, STRANGER, world.at("ClaimIssuer"), contracts.onboard([item]), limit)
    assert not receipt.succeeded


async def test_the_stipends_are_those_of_the_contract(world, gateway):
    names = {
        "CREATE_GAS": contracts.CREATE_GAS,
        "CLAIM_GAS": contracts.CLAIM_GAS,
        "CLAIM_WORD_GAS": contracts.CLAIM_WORD_GAS,
    }
    calls = [Function("ClaimIssuer", name, (), ("uint256",)).call(world.at("ClaimIssuer")) for name in names]
    assert [contracts.decode_uint(answer) for answer in await gateway.call(calls)] == list(names.values())


async def test_the_registrations_can_be_asked(world, gateway):
    issuer = world.at("ClaimIssuer")
    answers = await gateway.call(
        [
            contracts.is_operator(issuer, SENDER.address),
            contracts.is_operator(issuer, STRANGER.address),
            contracts.key_has_purpose(issuer, contracts.key_of(CLAIM_SIGNER.address), contracts.PURPOSE_CLAIM),
            contracts.key_has_purpose(issuer, contracts.key_of(SENDER.address), contracts.PURPOSE_CLAIM),
        ]
    )
    assert [contracts.decode_bool(answer) for answer in answers] == [True, False, True, False]
