"""/v1/reviews and /v1/rulings: cases that wait for a person, and rulings, each signed by its operator."""

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from api import inputs
from api.auth import SCOPE
from api.keys import Caller
from api.schemas.reviews import Propose, ReviewPage, RulingList, RulingView, Second, review_view, ruling_view
from api.services import Services
from issuer.cases import store as cases
from issuer.queue.port import RULING
from issuer.reviews import store
from issuer.reviews.rules import Act, RulingStatus, Signed, Terms

_REVIEW = {SCOPE: "cases:review"}


@get("/reviews", summary="Cases that wait for a person", opt=_REVIEW)
async def list_reviews(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 20,
) -> ReviewPage:
    """The oldest first, each with its open ruling. Reason codes here may be for compliance alone."""
    size = inputs.limit(limit)
    async with services.db.read() as session:
        found = await store.waiting(
            session, limit=size + 1, after=inputs.from_cursor(cursor) or "", tenant_id=caller.tenant_id
        )
    return ReviewPage(
        items=[review_view(case, ruling) for case, ruling in found[:size]],
        next_cursor=inputs.to_cursor(found[size - 1][0].id) if len(found) > size else None,
    )


@get("/cases/{case_id:str}/rulings", summary="What people ruled on a case", opt=_REVIEW)
async def list_rulings(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> RulingList:
    """Oldest first."""
    async with services.db.read() as session:
        case = await cases.get(session, inputs.row_id(case_id), caller.tenant_id)
        rows = await store.of_case(session, case.id)
    return RulingList(items=[ruling_view(row) for row in rows])


@post("/cases/{case_id:str}/rulings", summary="Rule on a case", status_code=202, opt=_REVIEW)
async def propose(
    case_id: FromPath[str],
    data: JSONBody[Propose],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> RulingView:
    """Approve, decline, or lift an earlier ruling: the body is what `claimwright operator sign` prints.

    A decline is applied at once; the others wait for a second person, unless the level's rule is one.
    409 if the case moved since it was looked at.
    """
    terms = Terms(
        id=data.id,
        case_id=inputs.row_id(case_id),
        act=Act(str(inputs.one_of("act", data.act, [act.value for act in Act]))),
        reason=data.reason,
        seen=data.seen,
    )
    async with services.db.write() as session:
        row = await store.propose(session, terms, _half(data), at=services.clock(), tenant_id=caller.tenant_id)
        if row.status == RulingStatus.READY:
            await services.queue.enqueue(session, RULING, [row.id])
    return ruling_view(row)


@post("/rulings/{ruling_id:str}/second", summary="Agree with a ruling", status_code=202, opt=_REVIEW)
async def second(
    ruling_id: FromPath[str],
    data: JSONBody[Second],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> RulingView:
    """By another operator than the one who proposed it. The daemon then applies it."""
    async with services.db.write() as session:
        row = await store.second(
            session, inputs.row_id(ruling_id), _half(data), at=services.clock(), tenant_id=caller.tenant_id
        )
        await services.queue.enqueue(session, RULING, [row.id])
    return ruling_view(row)


@post("/rulings/{ruling_id:str}/withdraw", summary="Withdraw a ruling", status_code=200, opt=_REVIEW)
async def withdraw(
    ruling_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> RulingView:
    """Only one that still waits for a second person."""
    async with services.db.write() as session:
        row = await store.withdraw(session, inputs.row_id(ruling_id), at=services.clock(), tenant_id=caller.tenant_id)
    return ruling_view(row)


def _half(data: Propose | Second) -> Signed:
    return Signed(operator_id=data.operator_id, at=data.at, signature=data.signature)


review_routes = Router(
    path="/", tags=["reviews"], route_handlers=[list_reviews, list_rulings, propose, second, withdraw]
)
