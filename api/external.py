"""/v1/cases/{id}/claims/{topic}: claims that outside issuers made. Told here; the daemon asks the chain."""

from litestar import Response, Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api import inputs
from api.auth import SCOPE
from api.keys import Caller
from api.schemas.external import ExternalClaimList, ExternalClaimTold, ExternalClaimView, external_claim_view
from api.services import Services
from issuer.cases import store
from issuer.claims import external
from issuer.claims.external import ExternalStatus
from issuer.errors import InvalidInput


@put("/cases/{case_id:str}/claims/{topic:str}", summary="Tell of an outside claim", opt={SCOPE: "cases:write"})
async def put_external_claim(
    case_id: FromPath[str],
    topic: FromPath[str],
    data: JSONBody[ExternalClaimTold],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> Response[ExternalClaimView]:
    """A claim that another issuer put on the wallet's Identity. Repeating it changes nothing.

    202 while the chain has not been asked, 200 once it is `recorded`. A claim that was refused is tried again. 409
    if another transaction is recorded for this case, topic, chain and issuer.
    """
    checked, tx_hash = inputs.topic(topic), inputs.tx_hash(data.tx_hash)
    issuer = inputs.wallet(data.issuer, "issuer")
    async with services.db.write() as session:
        case = await store.get(session, inputs.row_id(case_id), caller.tenant_id)
        if data.chain_id not in case.chain_ids:
            raise InvalidInput("chain_id", f"the case's chains: {', '.join(map(str, case.chain_ids))}")
        row = await external.put(
            session,
            case,
            topic=checked,
            chain_id=data.chain_id,
            issuer=issuer,
            tx_hash=tx_hash,
            at=services.clock(),
        )
    return Response(external_claim_view(row), status_code=200 if row.status == ExternalStatus.RECORDED else 202)


@get("/cases/{case_id:str}/external-claims", summary="Outside claims of a case", opt={SCOPE: "claims:read"})
async def list_external_claims(
    case_id: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> ExternalClaimList:
    """Oldest first, with what the chain said of each."""
    async with services.db.read() as session:
        case = await store.get(session, inputs.row_id(case_id), caller.tenant_id)
        rows = await external.of_case(session, case.id)
    return ExternalClaimList(items=[external_claim_view(row) for row in rows])


external_routes = Router(path="/", tags=["claims"], route_handlers=[put_external_claim, list_external_claims])
