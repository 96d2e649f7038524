"""Gas of EAS 1.9.0, the bytecode of its npm package: revocable attestations, without a resolver, without an expiry.

An attestation carries no signature and belongs to no identity contract, so the rows are those that mean the same: to
attest stands beside adding a claim, and beside onboarding, since the recipient needs nothing before.
"""

from eth_utils.crypto import keccak

from benchmarks.subjects import BATCH, DATA, LONG_DATA, LONG_URI, Row, new_bytes
from issuer.chain.gateway import Receipt
from tests.integration.contracts.evm import Evm, npm

_PACKAGE = "@ethereum-attestation-service/eas-contracts/artifacts/contracts"
_NOBODY, _NO_REFERENCE = "0x" + "0" * 40, bytes(32)
_ATTESTED = keccak(text="Attested(address,address,bytes32,bytes32)")


async def measure(evm: Evm) -> dict[Row, int]:
    attester = evm.person()
    registry = await evm.deploy(npm(f"{_PACKAGE}/SchemaRegistry.sol/SchemaRegistry"), sender=attester)
    eas = await evm.deploy(npm(f"{_PACKAGE}/EAS.sol/EAS"), registry.address, sender=attester)
    registered = await evm.send(registry, "register", "bytes claim", _NOBODY, True, sender=attester)
    schema = registered.logs[0].topics[1]

    def attestation(length: int) -> tuple[object, ...]:
        return (evm.person().address, 0, True, _NO_REFERENCE, new_bytes(length), 0)

    async def attest(length: int) -> Receipt:
        return await evm.send(eas, "attest", (schema, attestation(length)), sender=attester)

    one, long = await attest(DATA), await attest(LONG_DATA + LONG_URI)
    many = [(schema, [attestation(DATA) for _ in range(BATCH)])]
    batch = await evm.send(eas, "multiAttest", many, sender=attester)
    revoked = await evm.send(eas, "revoke", (schema, (_ids(one)[0], 0)), sender=attester)
    all_revoked = await evm.send(eas, "multiRevoke", [(schema, [(each, 0) for each in _ids(batch)])], sender=attester)
    return {
        Row.ADD: one.gas_used,
        Row.ADD_LONG: long.gas_used,
        Row.ONBOARD: one.gas_used,
        Row.ONBOARD_BATCH: batch.gas_used // BATCH,
        Row.REVOKE: revoked.gas_used,
        Row.REVOKE_BATCH: all_revoked.gas_used // BATCH,
    }


def _ids(receipt: Receipt) -> list[bytes]:
    return [log.data for log in receipt.logs if log.topics[0] == _ATTESTED]
