"""/v1/subjects and /v1/reports: a challenge to sign, attempts and their reset, and where people are lost."""

from datetime import datetime, timedelta

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from api import inputs
from api.auth import SCOPE
from api.keys import Caller
from api.schemas.wallets import AskForChallenge, AskToLink, ChallengeView, LinkChallenges, LinkedWallets, LinkWallets
from api.services import Services
from issuer.cases import challenges
from issuer.cases import store as cases
from issuer.cases.challenges import Proof
from issuer.cases.levels import level
from issuer.errors import InvalidInput
from issuer.subjects import stats, store
from issuer.subjects.stats import Attempts, Report

LONGEST_REPORT = timedelta(days=366)


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


@post(
    "/subjects/{wallet:str}/link/challenge",
    summary="What links two wallets",
    status_code=201,
    opt={SCOPE: "cases:write"},
)
async def make_link_challenge(
    wallet: FromPath[str],
    data: JSONBody[AskToLink],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> LinkChallenges:
    """Two ERC-4361 messages, one for each wallet. They end after 15 minutes and serve once."""
    pair = _pair(wallet, data.wallet)
    domain, chain_id, at = (
        inputs.domain(data.domain, services.settings),
        services.settings.chain_ids[0],
        services.clock(),
    )
    made = [
        challenges.new_link(domain=domain, wallet=one, other=other, chain_id=chain_id, at=at)
        for one, other in (pair, pair[::-1])
    ]
    async with services.db.write() as session:
        for challenge in made:
            await challenges.keep(session, challenge, caller.tenant_id)
    return LinkChallenges(
        message=made[0].message(), other_message=made[1].message(), ends_at=min(one.ends_at for one in made)
    )


@post(
    "/subjects/{wallet:str}/link",
    summary="Count two wallets as one person's",
    status_code=200,
    opt={SCOPE: "cases:write"},
)
async def link_wallets(
    wallet: FromPath[str],
    data: JSONBody[LinkWallets],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
) -> LinkedWallets:
    """For good. What people rule about the person then reaches both, and limits of a level count them together."""
    pair, at = _pair(wallet, data.wallet), services.clock()
    proofs = [Proof(message=one.message, signature=one.signature) for one in (data.proof, data.other_proof)]
    async with services.db.write() as session:
        await challenges.redeem_link(session, proofs, tenant_id=caller.tenant_id, wallets=pair, at=at)
        await cases.link_wallet(session, caller.tenant_id, *pair, at)
    return LinkedWallets(wallets=list(pair))


def _pair(wallet: str, other: str) -> tuple[str, str]:
    pair = inputs.wallet(wallet), inputs.wallet(other)
    if pair[0] == pair[1]:
        raise InvalidInput("wallet", "is the same wallet")
    return pair


@get("/subjects/{wallet:str}/stats", summary="The attempts of a wallet's owner", opt={SCOPE: "subjects:read"})
async def show_stats(
    wallet: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> Attempts:
    """Over all wallets of the person or business. 404 for a wallet that was never seen, or whose owner was erased."""
    address = inputs.wallet(wallet)
    async with services.db.read() as session:
        subject = await store.of_wallet(session, address, caller.tenant_id)
        return await stats.of_subject(session, subject.id)


@post("/subjects/{wallet:str}/reset", summary="Allow a new attempt", status_code=200, opt={SCOPE: "cases:review"})
async def reset_attempts(
    wallet: FromPath[str], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> Attempts:
    """Attempts count from now, at every level. What was decided stays decided."""
    address = inputs.wallet(wallet)
    async with services.db.write() as session:
        subject = await store.of_wallet(session, address, caller.tenant_id)
        (await store.locked(session, subject.id)).reset_at = services.clock()
        return await stats.of_subject(session, subject.id)


@get("/reports/failures", summary="Where people are lost", opt={SCOPE: "cases:read"})
async def show_failures(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Report:
    """Cases that ended without an approval, by level, template, step and end, and each day's numbers.

    The last 30 days unless `since` and `until` (RFC 3339) say otherwise; at most 366 days.
    """
    end = inputs.zoned("until", until) or services.clock()
    begin = inputs.zoned("since", since) or end - timedelta(days=30)
    if not timedelta(0) < end - begin <= LONGEST_REPORT:
        raise InvalidInput("since", "must be before until, by at most 366 days")
    async with services.db.read() as session:
        return await stats.of_period(session, caller.tenant_id, begin, end)


subject_routes = Router(
    path="/",
    route_handlers=[
        Router(
            path="/",
            tags=["subjects"],
            route_handlers=[make_challenge, make_link_challenge, link_wallets, show_stats, reset_attempts],
        ),
        Router(path="/", tags=["reports"], route_handlers=[show_failures]),
    ],
)
