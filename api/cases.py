"""/v1/cases: open a check, look at it, enter it again."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from api import errors, inputs
from api.auth import SCOPE
from api.keys import Caller
from api.schemas.cases import CasePage, CaseView, CheckList, CheckView, CreateCase, Timeline, case_view, move_view
from api.schemas.claims import ClaimList, claim_view
from api.services import Services
from issuer import history
from issuer.cases import store
from issuer.cases.challenges import Proof
from issuer.cases.levels import LEVELS, level
from issuer.cases.opening import NewCase, Opened, Request
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.chain.rules import is_local
from issuer.claims import store as claims
from issuer.errors import ChainOutOfReach, LevelNotSetUp, NoticeNotAccepted, WalletNotProved
from issuer.providers.protocol import Session
from issuer.settings import ApiSettings

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="1 to 255 visible ASCII characters. A repeat with the same body gives the same case.",
    ),
]


@post("/cases", summary="Open a case", status_code=201, opt={SCOPE: "cases:write"})
async def create_case(
    data: JSONBody[CreateCase],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey = None,
) -> Response[CaseView]:
    """Make a case and open its check at the provider. Send the person to `session.url`.

    503 with `case_id`: the provider did not answer; the case is kept. Repeat with the same Idempotency-Key, or
    resume the case.
    """
    key = inputs.idempotency_key(idempotency_key)
    new = _checked(data, services, caller)
    request = None
    if key is not None:
        fingerprint = caller.fingerprint(msgspec.json.encode(data, order="deterministic"))
        request = Request(key_id=caller.key_id, idempotency_key=key, hash=fingerprint)
    return await _answer(services, await services.opener.open(new, request), 201)


@get("/cases", summary="List cases", opt={SCOPE: "cases:read"})
async def list_cases(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    wallet: FromQuery[str | None] = None,
    reference: FromQuery[str | None] = None,
    status: FromQuery[str | None] = None,
    level: FromQuery[str | None] = None,
    tag: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 20,
) -> CasePage:
    """Newest first, 20 at a time unless `limit` (1 to 100) says otherwise."""
    size = inputs.limit(limit)
    wanted = store.Filter(
        tenant_id=caller.tenant_id,
        wallet=None if wallet is None else inputs.wallet(wallet),
        reference=inputs.reference(reference),
        status=inputs.one_of("status", status, [one.value for one in CaseStatus]),
        level=inputs.one_of("level", level, sorted(LEVELS)),
        tag=inputs.reference(tag, "tag"),
        before=inputs.from_cursor(cursor),
        limit=size + 1,
    )
    async with services.db.read() as session:
        found = await store.page(session, wanted)
        shown = found[:size]
        ids = [case.id for case in shown]
        by_case = await claims.of_cases(session, ids)
        decisions = await claims.newest_decisions(session, ids)
    return CasePage(
        items=[case_view(case, by_case[case.id], decisions.get(case.id)) for case in shown],
        next_cursor=inputs.to_cursor(ids[-1]) if len(found) > size else None,
    )


@get("/cases/{case_id:str}", summary="Show a case", opt={SCOPE: "cases:read"})
async def show_case(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> CaseView:
    """Its status, its newest decision, and its claims with their transaction hashes."""
    async with services.db.read() as session:
        case = await store.get(session, inputs.row_id(case_id), caller.tenant_id)
        own = (await claims.of_cases(session, [case.id]))[case.id]
        decision = (await claims.newest_decisions(session, [case.id])).get(case.id)
    return case_view(case, own, decision)


@get("/cases/{case_id:str}/timeline", summary="Every move of a case", opt={SCOPE: "cases:read"})
async def show_timeline(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> Timeline:
    """The moves of the case and of its claims, oldest first, each with its cause."""
    async with services.db.read() as session:
        case = await store.get(session, inputs.row_id(case_id), caller.tenant_id)
        rows = await history.of_case(session, case.id)
    return Timeline(items=[move_view(row) for row in rows])


@get("/cases/{case_id:str}/checks", summary="The verifications of a case", opt={SCOPE: "cases:read"})
async def list_checks(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> CheckList:
    """As the provider last told them, for providers that do. What failed in detail is for compliance alone."""
    async with services.db.read() as session:
        case = await store.get(session, inputs.row_id(case_id), caller.tenant_id)
        rows = await store.checks_of(session, case.id)
    return CheckList(items=[CheckView(kind=row.kind, outcome=row.outcome, updated_at=row.updated_at) for row in rows])


@get("/cases/{case_id:str}/claims", summary="The claims of a case", opt={SCOPE: "claims:read"})
async def list_case_claims(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> ClaimList:
    """Oldest first."""
    async with services.db.read() as session:
        case = await store.get(session, inputs.row_id(case_id), caller.tenant_id)
        own = (await claims.of_cases(session, [case.id]))[case.id]
    return ClaimList(items=[claim_view(claim) for claim in own])


@post("/cases/{case_id:str}/resume", summary="A new way into the check", status_code=200, opt={SCOPE: "cases:write"})
async def resume_case(
    case_id: FromPath[str],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    one_time_link: FromQuery[bool] = False,
) -> Response[CaseView]:
    """A fresh session; also opens the check of a case whose start failed. 409 for a case that is decided or over.

    With `one_time_link` the `url` opens once and may be mailed; there is no `token` then.
    """
    opened = await services.opener.resume(inputs.row_id(case_id), caller.tenant_id, link=one_time_link)
    return await _answer(services, opened, 200)


@post("/cases/{case_id:str}/expire", summary="Close the check", status_code=202, opt={SCOPE: "cases:write"})
async def expire_case(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> CaseView:
    """Ask the provider to close the check. The case becomes `expired` when the provider has said so."""
    case = await services.opener.expire(inputs.row_id(case_id), caller.tenant_id)
    return await _view(services, case)


@post("/cases/{case_id:str}/cancel", summary="Give a case up", status_code=200, opt={SCOPE: "cases:write"})
async def cancel_case(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> CaseView:
    """Nothing comes of it any more, whatever the provider still says. 409 for a case that is decided or over."""
    return await _view(services, await services.opener.cancel(inputs.row_id(case_id), caller.tenant_id))


def _checked(data: CreateCase, services: Services, caller: Caller) -> NewCase:
    settings = services.settings
    asked = level(data.level)
    chain_ids = inputs.chain_ids(data.chain_ids, asked, settings.chain_ids)
    way = services.way(asked, chain_ids, inputs.country(data.country))
    if way is None:
        raise LevelNotSetUp(f"level {asked.name} has no template here; name one in the file of CLAIMWRIGHT_LEVELS_FILE")
    away = [one for one in chain_ids if not settings.firewall.lets(way.environment, one)]
    if away:
        listed = ", ".join(map(str, away))
        raise ChainOutOfReach(f"what {way.provider} {way.environment} says reaches no chain of this kind: {listed}")
    new = NewCase(
        tenant_id=caller.tenant_id,
        level=asked.name,
        wallet=inputs.wallet(data.wallet),
        identity=None if data.identity is None else inputs.wallet(data.identity, "identity"),
        chain_ids=chain_ids,
        provider=way.provider,
        environment=way.environment,
        template=way.template,
        reference=inputs.reference(data.reference),
        tag=inputs.reference(data.tag, "tag"),
        redirect_url=inputs.redirect_url(data.redirect_url, settings),
        prefill=data.prefill,
        replaces=None if data.replaces is None else inputs.row_id(data.replaces),
        notice=_notice(data.notice, settings),
        proof=None if data.proof is None else Proof(message=data.proof.message, signature=data.proof.signature),
    )
    if new.proof is None and not all(map(is_local, new.chain_ids)):
        raise WalletNotProved(
            "on a live chain the wallet's owner must sign first; POST /v1/subjects/{wallet}/challenge gives what"
        )
    return new


def _notice(accepted: str | None, settings: ApiSettings) -> str | None:
    """The version of the privacy notice that the holder accepted, which must be the current one if there is one."""
    if settings.notice and accepted != settings.notice:
        raise NoticeNotAccepted(f"the holder must accept the notice {settings.notice} first; say so in `notice`")
    return accepted


async def _view(services: Services, case: Case, way_in: Session | None = None) -> CaseView:
    async with services.db.read() as session:
        own = (await claims.of_cases(session, [case.id]))[case.id]
        decision = (await claims.newest_decisions(session, [case.id])).get(case.id)
    return case_view(case, own, decision, way_in)


async def _answer(services: Services, opened: Opened, status: int) -> Response[CaseView]:
    if opened.failure is not None:
        return errors.problem(opened.failure, extras={"case_id": opened.case.id})
    return Response(await _view(services, opened.case, opened.session), status_code=status)


case_routes = Router(
    path="/",
    tags=["cases"],
    route_handlers=[
        create_case,
        list_cases,
        show_case,
        show_timeline,
        list_checks,
        list_case_claims,
        resume_case,
        expire_case,
        cancel_case,
    ],
)
