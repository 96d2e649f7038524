"""/v1/claims, /v1/levels and /v1/subjects: what stands on chain, and taking it back."""

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from api import inputs
from api.auth import SCOPE
from api.keys import Caller
from api.schemas.claims import ClaimPage, ClaimView, RevokeClaim, claim_view
from api.schemas.levels import LevelList, LevelView, TemplateList
from api.schemas.wallets import SubjectStatus
from api.services import Services
from issuer.cases import people, standing, store
from issuer.cases.levels import LEVELS
from issuer.claims import store as claims
from issuer.claims.calldata import HolderCall, for_holder
from issuer.claims.rules import ClaimStatus
from issuer.errors import NotFound
from issuer.providers import registry
from issuer.queue.port import LANE


@get("/claims", summary="List claims", opt={SCOPE: "claims:read"})
async def list_claims(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    wallet: FromQuery[str | None] = None,
    reference: FromQuery[str | None] = None,
    status: FromQuery[str | None] = None,
    level: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 20,
) -> ClaimPage:
    """Newest first. `reference` and `level` are those of the claim's case."""
    size = inputs.limit(limit)
    wanted = store.Filter(
        tenant_id=caller.tenant_id,
        wallet=None if wallet is None else inputs.wallet(wallet),
        reference=inputs.reference(reference),
        status=inputs.one_of("status", status, [one.value for one in ClaimStatus]),
        level=inputs.one_of("level", level, sorted(LEVELS)),
        before=inputs.from_cursor(cursor),
        limit=size + 1,
    )
    async with services.db.read() as session:
        found = await store.claim_page(session, wanted)
    shown = found[:size]
    return ClaimPage(
        items=[claim_view(claim) for claim in shown],
        next_cursor=inputs.to_cursor(shown[-1].id) if len(found) > size else None,
    )


@get("/claims/{claim_id:str}", summary="Show a claim", opt={SCOPE: "claims:read"})
async def show_claim(
    claim_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> ClaimView:
    """One claim, with the hashes of the transactions that put it on chain and took it back."""
    async with services.db.read() as session:
        claim = await claims.get(session, inputs.row_id(claim_id), caller.tenant_id)
    if claim is None:
        raise NotFound("no such claim")
    return claim_view(claim)


@post("/claims/{claim_id:str}/revoke", summary="Take a claim back", status_code=202, opt={SCOPE: "claims:revoke"})
async def revoke_claim(
    claim_id: FromPath[str],
    data: JSONBody[RevokeClaim],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> ClaimView:
    """Accepted here, done on chain by the daemon. A person's word: no later provider event undoes it."""
    reason = inputs.reason(data.reason)
    async with services.db.write() as session:
        claim = await people.revoke_claim(
            session,
            claim_id=inputs.row_id(claim_id),
            reason=reason,
            actor=caller.key_id,
            at=services.clock(),
            tenant_id=caller.tenant_id,
        )
        await session.flush()
        await services.queue.enqueue(session, LANE, [str(claim.chain_id)])
    return claim_view(claim)


@get("/claims/{claim_id:str}/calldata", summary="What a holder can send", opt={SCOPE: "claims:read"})
async def show_calldata(
    claim_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> HolderCall:
    """The transaction with which the holder puts this signed claim on the Identity without us.

    For an Identity made elsewhere that gave our ClaimIssuer no key, and for a claim that its holder removed. 409 for
    a claim that is not signed, is revoked, or is hosted.
    """
    async with services.db.read() as session:
        claim = await claims.get(session, inputs.row_id(claim_id), caller.tenant_id)
    if claim is None:
        raise NotFound("no such claim")
    return for_holder(claim)


@get("/levels", summary="List levels", opt={SCOPE: "cases:read"})
async def list_levels(services: NamedDependency[Services]) -> LevelList:
    """The named policies that a case may be opened at."""
    return LevelList(
        items=[
            LevelView(
                name=one.name,
                says=one.says,
                available=services.way(one, services.settings.chain_ids) is not None,
                topics=[str(topic) for topic in one.topics],
                validity_seconds=one.validity_seconds,
                form=one.form,
            )
            for one in LEVELS.values()
        ]
    )


@get("/providers/{provider:str}/templates", summary="What checks are opened with", opt={SCOPE: "cases:read"})
async def list_templates(provider: FromPath[str], services: NamedDependency[Services]) -> TemplateList:
    """The templates that are configured for a provider, by environment, and the levels that use each."""
    found = registry.templates(services.settings, provider)
    if not found:
        raise NotFound("no such provider is configured with a template for any level")
    return TemplateList(items=found)


@get("/subjects/{wallet:str}/status", summary="Is a wallet verified?", opt={SCOPE: "subjects:read"})
async def show_subject_status(
    wallet: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> SubjectStatus:
    """The newest effective case decides. A wallet that was never seen is `not_verified`."""
    address = inputs.wallet(wallet)
    async with services.db.read() as session:
        found = await standing.of_wallet(session, caller.tenant_id, address, services.clock())
    return SubjectStatus(
        wallet=address,
        summary=found.summary,
        verified_at=found.verified_at,
        verified_until=found.verified_until,
        topics=list(found.topics),
    )


claim_routes = Router(
    path="/",
    route_handlers=[
        Router(path="/", tags=["claims"], route_handlers=[list_claims, show_claim, show_calldata, revoke_claim]),
        Router(path="/", tags=["subjects"], route_handlers=[show_subject_status]),
        Router(path="/", tags=["levels"], route_handlers=[list_levels, list_templates]),
    ],
)
