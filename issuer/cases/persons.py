"""One person behind several cases, as we or their provider know them. A provider's id is kept as a keyed hash alone."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from issuer.cases import store
from issuer.cases.levels import Level
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case
from issuer.providers.protocol import Outcome, Reading
from issuer.secrets import KeyRing

PERSON = "person"  # what the key is derived for


def hashes_of(case: Case, reading: Reading, keys: KeyRing) -> list[str]:
    """What the provider's person may have been kept as, under each key that is held: never the id itself."""
    if reading.person_ref is None:
        return []
    return keys.macs(PERSON, f"{case.provider}/{case.environment}/{reading.person_ref}".encode())


async def is_crowded(
    session: AsyncSession, case: Case, reading: Reading, level: Level | None, hashes: Sequence[str]
) -> bool:
    """Is the person, as we or their provider know them, verified with as many other wallets as the level allows?"""
    if level is None or level.wallets_per_person is None:
        return False
    if reading.outcome is not Outcome.APPROVED or case.status == CaseStatus.APPROVED:
        return False
    await store.one_at_a_time(session)
    old = None if case.replaces is None else await session.get(Case, case.replaces)
    others = await store.wallets_approved(session, case.tenant_id, case.subject_id, case.level, hashes)
    return len(others - {case.wallet, None if old is None else old.wallet}) >= level.wallets_per_person
