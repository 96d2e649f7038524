"""Cases, and what happened to them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.schemas.claims import CaseClaimView, case_claim_view
from api.schemas.wallets import ProofBody, Wallet
from issuer.cases import reasons
from issuer.cases.reasons import Audience
from issuer.cases.rules import SUMMARIES, CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.claims.tables import Claim
from issuer.history import History
from issuer.providers.protocol import Session


class CreateCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request to have the holder of a wallet checked at a level."""

    level: Annotated[str, Meta(description="One of GET /v1/levels.", examples=["basic"])]
    wallet: Wallet
    identity: Annotated[
        str | None,
        Meta(description="An ONCHAINID identity made elsewhere that the wallet manages. Leave it out for one of ours."),
    ] = None
    chain_ids: Annotated[
        list[int] | None, Meta(description="Chains to put the claims on. Default: every configured one.")
    ] = None
    reference: Annotated[
        str | None, Meta(description="Your own word for the case, [A-Za-z0-9_-]{1,64}. No e-mail, no name.")
    ] = None
    tag: Annotated[
        str | None,
        Meta(description="A word for many cases, such as a campaign, to list and to revoke them by. As `reference`."),
    ] = None
    redirect_url: Annotated[
        str | None, Meta(description="Where the person goes after the check: https, at most 2000 characters.")
    ] = None
    prefill: Annotated[
        dict[str, Any] | None, Meta(description="Handed to the provider as it is; never stored, never logged.")
    ] = None
    replaces: Annotated[
        str | None,
        Meta(
            description="An approved case of the same person on another, linked wallet: it ends when this is approved."
        ),
    ] = None
    country: Annotated[
        str | None,
        Meta(
            description="ISO 3166-1 alpha-2, to choose a provider by where a level does; kept nowhere.", examples=["SE"]
        ),
    ] = None
    notice: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        Meta(description="The version of your privacy notice that the holder has accepted."),
    ] = None
    proof: Annotated[
        ProofBody | None,
        Meta(description="Needed on live chains: POST /v1/subjects/{wallet}/challenge gives what to sign."),
    ] = None


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The way into the check. `token` is a bearer secret for the person's browser: shown once."""

    token: str | None
    url: str
    expires_at: datetime


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    outcome: str
    decided_at: datetime


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A case. `summary` is pending, verified, rejected or not_verified. `session` only when just made or resumed."""

    id: str
    status: str
    summary: str
    level: str
    wallet: str
    reference: str | None
    tag: str | None
    provider: str
    provider_ref: str | None
    environment: str
    reasons: list[str]
    claims: list[CaseClaimView]
    decision: DecisionView | None
    created_at: datetime
    updated_at: datetime
    session: SessionView | UnsetType = UNSET


class CasePage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. Hand `next_cursor` back as `cursor` for the next page; null is the end."""

    items: list[CaseView]
    next_cursor: str | None


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One verification: `kind` in the provider's word, `outcome` pending, passed, failed, skipped or unknown."""

    kind: str
    outcome: str
    updated_at: datetime


class CheckList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[CheckView]


class MoveView(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a case or of one of its claims. `detail` holds ids and hashes only."""

    at: datetime
    kind: Annotated[str, Meta(description="case or claim")]
    claim_id: str | None
    source: str | None = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    cause: str
    detail: dict[str, Any]


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    items: list[MoveView]


def case_view(case: Case, claims: list[Claim], decision: Decision | None, session: Session | None = None) -> CaseView:
    return CaseView(
        id=case.id,
        status=case.status,
        summary=SUMMARIES[CaseStatus(case.status)],
        level=case.level,
        wallet=case.wallet,
        reference=case.reference,
        tag=case.tag,
        provider=case.provider,
        provider_ref=case.check_ref,
        environment=case.environment,
        reasons=reasons.shown(case.reasons, Audience.DAPP),
        claims=[case_claim_view(claim) for claim in claims],
        decision=None if decision is None else DecisionView(outcome=decision.outcome, decided_at=decision.decided_at),
        created_at=case.created_at,
        updated_at=case.updated_at,
        session=UNSET
        if session is None
        else SessionView(token=session.token, url=session.url, expires_at=session.expires_at),
    )


def move_view(row: History) -> MoveView:
    return MoveView(
        at=row.at,
        kind="case" if row.claim_id is None else "claim",
        claim_id=row.claim_id,
        source=row.source,
        target=row.target,
        cause=row.cause,
        detail=row.detail,
    )
