"""What goes over the wire. Unknown fields of a request are refused; times are RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from issuer.addresses import ERASED, eip55
from issuer.cases import reasons
from issuer.cases.reasons import Audience
from issuer.cases.rules import SUMMARIES, CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.claims.tables import Claim, ExternalClaim
from issuer.history import History
from issuer.providers.protocol import Session
from issuer.providers.registry import Template
from issuer.reviews.store import seen
from issuer.reviews.tables import Ruling

Wallet = Annotated[
    str,
    Meta(
        description="20-byte address in hex: all lower case, or in EIP-55 mixed case.",
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"],
    ),
]


class ProofBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A challenge that the wallet's owner signed."""

    message: Annotated[str, Meta(max_length=2000, description="As the challenge gave it, to the byte.")]
    signature: Annotated[str, Meta(max_length=132, description="`personal_sign` of it: 0x and 65 bytes.")]

    def __repr__(self) -> str:
        return "ProofBody(***)"


class AskForChallenge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the owner of a wallet is to be asked to sign."""

    level: Annotated[str, Meta(description="One of GET /v1/levels.", examples=["basic"])]
    domain: Annotated[str, Meta(description="Your dapp's host, which the wallet will show.", examples=["dapp.example"])]
    chain_ids: Annotated[
        list[int] | None, Meta(description="Chains that the case will be for. Default: every configured one.")
    ] = None


class ChallengeView(msgspec.Struct, frozen=True, kw_only=True):
    """Have `message` signed with `personal_sign` before `ends_at`, then send both as `proof` of POST /v1/cases."""

    message: str
    ends_at: datetime


Detail = Annotated[
    str | UnsetType,
    Meta(description="Only when there is something to say: what it waits for (awaiting_holder), or why it failed."),
]


class AskToLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two wallets that are to count as one person's."""

    wallet: Annotated[str, Meta(description="The other wallet: EIP-55, or all lower case.")]
    domain: Annotated[
        str, Meta(description="Your dapp's host, which the wallets will show.", examples=["dapp.example"])
    ]


class LinkChallenges(msgspec.Struct, frozen=True, kw_only=True):
    """Have each message signed by its own wallet with `personal_sign`, then send both to POST .../link."""

    message: str
    other_message: str
    ends_at: datetime


class LinkWallets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both halves of a link, each signed by its own wallet."""

    wallet: Annotated[str, Meta(description="The other wallet.")]
    proof: ProofBody
    other_proof: ProofBody


class LinkedWallets(msgspec.Struct, frozen=True, kw_only=True):
    wallets: list[str]


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


class RevokeClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a claim is taken back. Stored; write no personal data into it."""

    reason: Annotated[str, Meta(description="1 to 200 printable characters.", examples=["sanctions-hit"])]


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


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The way into the check. `token` is a bearer secret for the person's browser: shown once."""

    token: str | None
    url: str
    expires_at: datetime


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    outcome: str
    decided_at: datetime


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


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Template]


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


class ClaimPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. Hand `next_cursor` back as `cursor` for the next page; null is the end."""

    items: list[ClaimView]
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


class ClaimList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ClaimView]


class LevelView(msgspec.Struct, frozen=True, kw_only=True):
    """A named policy: its claim topics (decimal) and how long a claim lives.

    `available`: can a case be opened at it here? If not, it names no template of a configured provider.
    """

    name: str
    says: str
    available: bool
    topics: list[str]
    validity_seconds: int
    form: str


class LevelList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[LevelView]


class SubjectStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` are those with a confirmed claim that has not run out; `verified_until` the earliest end of them."""

    wallet: str
    summary: str
    verified_at: datetime | None
    verified_until: datetime | None
    topics: list[str]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: str


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
        claims=[_case_claim_view(claim) for claim in claims],
        decision=None if decision is None else DecisionView(outcome=decision.outcome, decided_at=decision.decided_at),
        created_at=case.created_at,
        updated_at=case.updated_at,
        session=UNSET
        if session is None
        else SessionView(token=session.token, url=session.url, expires_at=session.expires_at),
    )


def _address(text: str) -> str:
    """EIP-55, or the word that is left where an address was erased."""
    return text if text == ERASED else eip55(text)


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


def _case_claim_view(claim: Claim) -> CaseClaimView:
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
