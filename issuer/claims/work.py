"""The daemon's step for claims: what waits for one chain is checked, signed, committed and sent.

Order of a step: look into the tables, ask the chain, sign, then one SQL transaction that checks again. Revocations
go first and are never held back by gathering; issues gather while a transaction of the lane is unmined.
"""

from issuer.claims.issue import Issues
from issuer.claims.revoke import Revocations


class ClaimWorker:
    """One chain's claims through one lane: its revocations, its issues, or both."""

    def __init__(self, revocations: Revocations | None, issues: Issues | None) -> None:
        self._revocations = revocations
        self._issues = issues

    async def pump(self) -> bool:
        """Do what can be done now. True if something moved, so that it is worth looking again at once."""
        revoked = self._revocations is not None and await self._revocations.step()
        issued = self._issues is not None and await self._issues.step()
        return revoked or issued

    async def aclose(self) -> None:
        """What is committed is sent, nothing else is begun."""
        if self._issues is not None:
            await self._issues.aclose()
