"""/v1/subjects: what the owner of a wallet is asked to sign before a case on a live chain."""

from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api import inputs
from api.auth import SCOPE
from api.keys import Caller
from api.schemas import AskForChallenge, ChallengeView
from api.services import Services
from issuer.cases import challenges
from issuer.cases.levels import level


@post("/subjects/{wallet:str}/challenge", summary="What the owner signs", status_code=201, opt={SCOPE: "cases:write"})
async def make_challenge(
    wallet: FromPath[str],
    data: JSONBody[AskForChallenge],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> ChallengeView:
    """An ERC-4361 message that names the level and the chains. It ends after 15 minutes and opens one case."""
    asked = level(data.level)
    made = challenges.new(
        domain=inputs.domain(data.domain, services.settings),
        wallet=inputs.wallet(wallet),
        level=asked.name,
        chain_ids=inputs.chain_ids(data.chain_ids, asked, services.settings.chain_ids),
        at=services.clock(),
    )
    async with services.db.write() as session:
        await challenges.keep(session, made, caller.tenant_id)
    return ChallengeView(message=made.message(), ends_at=made.ends_at)


subject_routes = Router(path="/", tags=["subjects"], route_handlers=[make_challenge])
