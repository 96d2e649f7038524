"""Claims of outside issuers."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from issuer.claims.tables import ExternalClaim


class ExternalClaimTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The transaction in which an outside issuer's claim came onto the wallet's Identity."""

    tx_hash: Annotated[str, Meta(description="0x and 64 hex digits.")]
    chain_id: Annotated[int, Meta(description="One of the case's chains.", examples=[31337])]
    issuer: Annotated[str, Meta(description="The issuer's contract, EIP-55 or all lower case.")]


class ExternalClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: pending until the chain was asked, then recorded or refused. `reason`: why it was refused."""

    id: str
    case_id: str
    topic: str
    chain_id: int
    issuer: str
    tx_hash: str
    status: str
    reason: str | None
    identity: str | None
    block_number: int | None
    created_at: datetime
    updated_at: datetime


class ExternalClaimList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ExternalClaimView]


def external_claim_view(row: ExternalClaim) -> ExternalClaimView:
    return ExternalClaimView(
        id=row.id,
        case_id=row.case_id,
        topic=row.topic,
        chain_id=row.chain_id,
        issuer=row.issuer,
        tx_hash=row.tx_hash,
        status=row.status,
        reason=row.reason,
        identity=row.identity,
        block_number=row.block_number,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
