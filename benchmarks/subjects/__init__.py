"""What is measured, and the published figures beside it. Each other file here is one set of contracts."""

import secrets
from enum import StrEnum

BATCH = 20
DATA, LONG_DATA, LONG_URI = 32, 100, 60


class Row(StrEnum):
    CREATE = "create_identity"
    CREATE_SALTED = "create_identity_salted"
    CREATE_BATCH = "create_identity_batch_of_20_each"
    ADD = "add_claim_32_0"
    ADD_LONG = "add_claim_100_60"
    UPDATE = "update_claim_32_0"
    UPDATE_LONG = "update_claim_100_60"
    REMOVE = "remove_claim_32_0"
    REMOVE_LONG = "remove_claim_100_60"
    REVOKE = "revoke"
    REVOKE_BATCH = "revoke_batch_of_20_each"
    VALID = "is_claim_valid_execution"
    TREX = "trex_is_verified_execution"
    TREX_CODE = "trex_is_verified_claim_in_code_execution"
    REGISTRY = "registry_is_verified_execution"
    ONBOARD = "onboard"
    ONBOARD_BATCH = "onboard_batch_of_20_each"
    # The claim word at the issuer, without an equal elsewhere; beside it stand the nearest rows of the others.
    HOSTED_ONBOARD_BATCH = "hosted_onboard_batch_of_20_each"
    HOSTED_ISSUE_BATCH = "hosted_issue_batch_of_20_each"
    HOSTED_RENEW_BATCH = "hosted_renew_batch_of_20_each"
    HOSTED_REVOKE_BATCH = "hosted_revoke_batch_of_20_each"
    HOSTED_REVOKE_NOTED_BATCH = "hosted_revoke_noted_batch_of_20_each"  # and each identity emits ClaimRemoved
    HOSTED_TREX = "hosted_trex_is_verified_execution"


NEAREST = {
    Row.CREATE_BATCH: Row.CREATE,
    Row.TREX_CODE: Row.TREX,
    Row.HOSTED_ONBOARD_BATCH: Row.ONBOARD_BATCH,
    Row.HOSTED_ISSUE_BATCH: Row.ADD,
    Row.HOSTED_RENEW_BATCH: Row.UPDATE,
    Row.HOSTED_REVOKE_BATCH: Row.REVOKE_BATCH,
    Row.HOSTED_REVOKE_NOTED_BATCH: Row.REVOKE_BATCH,
    Row.HOSTED_TREX: Row.TREX,
}


# ONCHAINID 2.2.1, its sources compiled with solc 0.8.17 and the optimiser at 200 runs; npm ships it without optimiser.
# From table 4.1 of the project's contract study (receipts, anvil, osaka). Onboarding there is createIdentity, addKey
# for the issuer and addClaim, sent one after the other; nothing of it can be batched.
PUBLISHED_OPTIMISED = {
    Row.CREATE: 421_443,
    Row.CREATE_SALTED: 421_443,
    Row.ADD: 322_240,
    Row.ADD_LONG: 457_476,
    Row.UPDATE: 107_155,
    Row.UPDATE_LONG: 131_537,
    Row.REMOVE: 91_876,
    Row.REMOVE_LONG: 115_784,
    Row.REVOKE: 58_255,
    Row.REVOKE_BATCH: 58_255,
    Row.VALID: 17_547,
    Row.TREX: 93_505,
    Row.ONBOARD: 421_443 + 179_071 + 322_240,
    Row.ONBOARD_BATCH: 421_443 + 179_071 + 322_240,
}
# What our contracts may cost at most.
CEILINGS = {
    Row.CREATE: 126_000,
    Row.CREATE_BATCH: 86_000,
    Row.TREX_CODE: 64_000,
    Row.CREATE_SALTED: 126_000,
    Row.ADD: 163_000,
    Row.ADD_LONG: 190_000,
    Row.UPDATE: 71_000,
    Row.REVOKE_BATCH: 29_000,
    Row.VALID: 13_000,
    Row.TREX: 68_000,
    Row.ONBOARD: 272_000,
    Row.ONBOARD_BATCH: 226_000,
    Row.HOSTED_ONBOARD_BATCH: 124_000,
    Row.HOSTED_ISSUE_BATCH: 36_000,
    Row.HOSTED_RENEW_BATCH: 19_000,
    Row.HOSTED_REVOKE_BATCH: 15_000,
    Row.HOSTED_TREX: 57_000,
}


def new_bytes(length: int) -> bytes:
    """Random and without a zero byte, which would be cheaper."""
    return bytes(1 + byte % 255 for byte in secrets.token_bytes(length))
