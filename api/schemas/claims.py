"""Our claims."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from issuer.addresses import ERASED, eip55
from issuer.claims.tables import Claim

Detail = Annotated[
    str | UnsetType,
    Meta(description="Only when there is something to say: what it waits for (awaiting_holder), or why it failed."),
]


class RevokeClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a claim is taken back. Stored; write no personal data into it."""

    reason: Annotated[str, Meta(description="1 to 200 printable characters.", examples=["sanctions-hit"])]


class ClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """One claim on one Identity on one chain. `claim_id` is its ERC-735 id."""

    id: str
    case_id: str
    claim_id: str
    topic: Annotated[str, Meta(description="Decimal uint256.", examples=["1129054209"])]
    chain_id: int
    wallet: str
    identity: str
    form: str
    status: str
    tx_hash: str | None
    block_number: int | None
    valid_until: datetime | None
    revoked_tx_hash: str | None
    created_at: datetime
    updated_at: datetime
    detail: Detail = UNSET


class CaseClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """A claim inside its case."""

    id: str
    claim_id: str
    topic: str
    chain_id: int
    identity: str
    form: str
    status: str
    tx_hash: str | None
    block_number: int | None
    valid_until: datetime | None
    revoked_tx_hash: str | None
    detail: Detail = UNSET


class ClaimPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. Hand `next_cursor` back as `cursor` for the next page; null is the end."""

    items: list[ClaimView]
    next_cursor: str | None


class ClaimList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ClaimView]


def claim_view(claim: Claim) -> ClaimView:
    return ClaimView(
        id=claim.id,
        case_id=claim.case_id,
        claim_id=claim.onchain_id,
        topic=claim.topic,
        chain_id=claim.chain_id,
        wallet=_address(claim.wallet),
        identity=_address(claim.identity),
        form=claim.form,
        status=claim.status,
        detail=claim.detail or UNSET,
        tx_hash=claim.tx_hash,
        block_number=claim.block_number,
        valid_until=claim.valid_until,
        revoked_tx_hash=claim.revoked_tx_hash,
        created_at=claim.created_at,
        updated_at=claim.updated_at,
    )


def case_claim_view(claim: Claim) -> CaseClaimView:
    return CaseClaimView(
        id=claim.id,
        claim_id=claim.onchain_id,
        topic=claim.topic,
        chain_id=claim.chain_id,
        identity=_address(claim.identity),
        form=claim.form,
        status=claim.status,
        detail=claim.detail or UNSET,
        tx_hash=claim.tx_hash,
        block_number=claim.block_number,
        valid_until=claim.valid_until,
        revoked_tx_hash=claim.revoked_tx_hash,
    )


def _address(text: str) -> str:
    """EIP-55, or the word that is left where an address was erased."""
    return text if text == ERASED else eip55(text)
