"""Cases that people judge, and what they ruled."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from issuer.cases import reasons
from issuer.cases.reasons import Audience
from issuer.cases.tables import Case
from issuer.reviews.store import seen
from issuer.reviews.tables import Ruling


class Second(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's signature under somebody else's ruling."""

    operator_id: Annotated[str, Meta(max_length=64)]
    at: Annotated[datetime, Meta(tz=True, description="When it was signed, within ten minutes of now.")]
    signature: Annotated[str, Meta(max_length=128, description="Ed25519, in hex.")]


class Propose(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's act on a case, as `claimwright operator sign` prints it."""

    id: Annotated[str, Meta(pattern="^rul_[0-9a-f]{32}$", description="Made by who proposes, because it is signed.")]
    act: Annotated[str, Meta(description="approve, decline or lift.")]
    reason: Annotated[str, Meta(description="A reason code.", examples=["evidence_accepted"])]
    seen: Annotated[str, Meta(max_length=100, description="The case as it was looked at: `seen` of GET /v1/reviews.")]
    operator_id: Annotated[str, Meta(max_length=64)]
    at: Annotated[datetime, Meta(tz=True, description="When it was signed, within ten minutes of now.")]
    signature: Annotated[str, Meta(max_length=128, description="Ed25519, in hex.")]


class RulingView(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: proposed (waits for a second person), ready, applied, refused (`refusal` says why) or withdrawn."""

    id: str
    case_id: str
    act: str
    reason: str
    status: str
    refusal: str | None
    proposed_by: str
    proposed_at: datetime
    seconded_by: str | None
    seconded_at: datetime | None
    provider_told: str | None


class RulingList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[RulingView]


class ReviewView(msgspec.Struct, frozen=True, kw_only=True):
    """A case that waits for a person. `seen` goes into what is signed, so that a ruling is about this state alone."""

    case_id: str
    level: str
    status: str
    provider: str
    provider_ref: str | None
    environment: str
    reasons: list[str]
    flag: Annotated[str | None, Meta(description="A reason code that a person has to look at: `clear` or `decline`.")]
    seen: str
    since: datetime
    ruling: RulingView | None


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first. Hand `next_cursor` back as `cursor` for the next page; null is the end."""

    items: list[ReviewView]
    next_cursor: str | None


def ruling_view(row: Ruling) -> RulingView:
    return RulingView(
        id=row.id,
        case_id=row.case_id,
        act=row.act,
        reason=row.reason,
        status=row.status,
        refusal=row.refusal,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        seconded_by=row.seconded_by,
        seconded_at=row.seconded_at,
        provider_told=row.told,
    )


def review_view(case: Case, ruling: Ruling | None) -> ReviewView:
    return ReviewView(
        case_id=case.id,
        level=case.level,
        status=case.status,
        provider=case.provider,
        provider_ref=case.check_ref,
        environment=case.environment,
        reasons=reasons.shown(case.reasons, Audience.COMPLIANCE),
        flag=case.flag,
        seen=seen(case),
        since=case.updated_at,
        ruling=None if ruling is None else ruling_view(ruling),
    )
