"""How one claim or many are moved, each with the history row that says why. Nothing here commits."""

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from issuer import bulk, history
from issuer.claims import rules
from issuer.claims.plain import Carried, Queued
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim


def move(
    session: AsyncSession,
    claim: Claim,
    target: ClaimStatus,
    *,
    at: datetime,
    cause: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Move a claim and append the history row that says why. Raises `IllegalMove`."""
    source = claim.status
    claim.status = rules.move(ClaimStatus(source), target)
    claim.updated_at = at
    history.record(
        session,
        case_id=claim.case_id,
        claim_id=claim.id,
        at=at,
        source=source,
        target=target,
        cause=cause,
        detail=detail,
    )


class Moves:
    """Moves of many claims in one SQL transaction: `add` each, then `write` them all in a few statements.

    Of the claims that it knows (`among`, `know`) every other change is written with them.
    """

    def __init__(self, at: datetime, among: Iterable[Carried] = ()) -> None:
        self.at = at
        self._known: dict[str, tuple[Carried, Carried]] = {}  # by id: as the store has it, and as it is to be
        self._changes: list[dict[str, Any]] = []
        self._lines: list[history.Line] = []
        self.know(among)

    def know(self, claims: Iterable[Carried]) -> list[Carried]:
        """From now on what is changed of these is written; of one that was known before, the one that was."""
        return [self._known.setdefault(claim.id, (copy(claim), claim))[1] for claim in claims]

    def add(self, claim: Carried, target: ClaimStatus, *, cause: str, detail: dict[str, Any] | None = None) -> None:
        """Move one that is known. Raises `IllegalMove`."""
        assert claim.id in self._known  # or it would not be written
        source, claim.status, claim.updated_at = claim.status, self._moved(claim, target), self.at
        self._note(claim, source, target, cause, detail)

    def add_queued(
        self, claim: Queued, target: ClaimStatus, changes: dict[str, Any], *, cause: str, detail: dict[str, Any]
    ) -> None:
        """`add` of what is only read, with what changes beside the status: the same columns for all of them."""
        moved = {"id": claim.id, "status": self._moved(claim, target), "updated_at": self.at}
        self._changes.append(moved | changes)
        self._note(claim, claim.status, target, cause, detail)

    def _moved(self, claim: Carried | Queued, target: ClaimStatus) -> ClaimStatus:
        return rules.move(ClaimStatus(claim.status), target)

    def _note(
        self, claim: Carried | Queued, source: str, target: ClaimStatus, cause: str, detail: dict[str, Any] | None
    ) -> None:
        line = history.Line(
            case_id=claim.case_id,
            claim_id=claim.id,
            at=self.at,
            source=source,
            target=target,
            cause=cause,
            detail=detail or {},
        )
        self._lines.append(line)

    async def write(self, session: AsyncSession) -> None:
        """The claims as they are now, and the history rows that say why."""
        await bulk.write_changed(session, Claim, self._known.values())
        self._known = {claim_id: (copy(claim), claim) for claim_id, (_, claim) in self._known.items()}
        if self._changes:
            await bulk.update_all(session, Claim, self._changes)
        await history.record_all(session, self._lines)
        self._changes, self._lines = [], []
