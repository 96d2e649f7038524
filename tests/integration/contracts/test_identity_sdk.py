"""The npm package @onchain-id/identity-sdk, which wallets and back offices use, reads our identities and our claims."""

import asyncio
import json
from pathlib import Path

from eth_utils.crypto import keccak

from issuer.chain.contracts import key_of
from issuer.chain.signer import LocalSigner
from issuer.claims.rules import onchain_id
from tests.integration.contracts.ourselves import TOPIC

SCRIPT = Path(__file__).with_name("identity_sdk.js")


def holder_with_key(we, name):
    key = keccak(text=name)
    wallet = LocalSigner(key)
    we.evm.fund(wallet.address)
    return wallet.address, "0x" + key.hex()


async def sdk(we, identity, wallet, key, new_wallet):
    arguments = (we.evm.url, identity, str(TOPIC), wallet, key, new_wallet)
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPT), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(said)


async def test_the_sdk_reads_claims_and_keys_and_adds_a_key(we):
    wallet, key = holder_with_key(we, "reads and adds")
    new_wallet = we.evm.person("new wallet").address
    identity = await we.onboard(wallet)
    topic, scheme, issuer, signature, data, uri = await we.evm.ask(
        we.identity(identity), "getClaim", onchain_id(we.issuer.address, TOPIC)
    )

    found = await sdk(we, identity, wallet, key, new_wallet)

    assert found["claims"] == [
        {
            "address": identity,
            "id": "0x" + onchain_id(we.issuer.address, TOPIC).hex(),
            "topic": topic,
            "scheme": scheme,
            "issuer": issuer,
            "signature": "0x" + signature.hex(),
            "data": "0x" + data.hex(),
            "uri": uri,
        }
    ]
    assert found["validity"] == [True]
    assert found["walletIsManager"] is True
    assert found["managers"] == ["0x" + key_of(wallet).hex()]
    assert found["unknown"] is None
    assert found["newKey"] == {"purposes": [2], "type": 1, "key": "0x" + key_of(new_wallet).hex()}


async def test_the_sdk_sees_a_revocation(we):
    wallet, key = holder_with_key(we, "is revoked")
    identity = await we.onboard(wallet)
    await we.revoke(identity)
    found = await sdk(we, identity, wallet, key, we.evm.person("new wallet").address)
    assert [claim["issuer"] for claim in found["claims"]] == [we.issuer.address]
    assert found["validity"] == [False]
