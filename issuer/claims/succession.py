"""How claims of one Identity and topic follow each other, and what is taken back with which of them.

On chain a new claim takes the place of the old one in its own transaction, so the old one stands until the new one is
confirmed: there is no gap. A revocation ends every claim of the key that was signed before it, whatever its bytes.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from issuer.claims import store
from issuer.claims.moving import Moves, move
from issuer.claims.plain import Carried, Key, key_of
from issuer.claims.rules import ClaimStatus, on_reversal
from issuer.claims.tables import Claim

Detail = dict[str, object]


async def confirm(session: AsyncSession, claims: Sequence[tuple[Carried, Detail]], moves: Moves, *, cause: str) -> None:
    """These stand now, each with its history's detail; what stood in their places is superseded."""
    standing = moves.know(await store.standing_for(session, [claim for claim, _ in claims]))
    for older in standing:
        moves.add(older, ClaimStatus.SUPERSEDED, cause="superseded")
    if standing:
        await moves.write(session)  # the older one leaves its place first
    for claim, detail in claims:
        moves.add(claim, ClaimStatus.CONFIRMED, cause=cause, detail=detail)


async def take_back(
    session: AsyncSession, claims: Sequence[Claim], *, at: datetime, cause: str, detail: Detail | None = None
) -> None:
    """The approval behind these claims of one case (locked by the caller) is taken back.

    What a newer approval of another case has followed, or is following, is its affair and is not revoked under it.
    What an older approval left standing dies with them: on chain nothing of the key survives a revocation.
    """
    others: dict[Key, list[Claim]] = {}
    mine = {claim.id for claim in claims}
    for other in await store.alive_for(session, claims):
        if other.id not in mine and other.case_id not in {claim.case_id for claim in claims}:
            others.setdefault(key_of(other), []).append(other)
    for claim in claims:
        rivals = others.get(key_of(claim), [])
        followed = any(rival.decision_id > claim.decision_id for rival in rivals)
        target = on_reversal(ClaimStatus(claim.status), ever_signed=claim.word is not None, followed=followed)
        if target is None:
            continue
        claim.next_try_at = at
        move(session, claim, target, at=at, cause=cause, detail=detail)
        if target is ClaimStatus.REVOKING:
            for older in rivals:
                if older.status == ClaimStatus.CONFIRMED:
                    move(session, older, ClaimStatus.SUPERSEDED, at=at, cause="superseded")
