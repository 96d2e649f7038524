"""Queries on cases and subjects for those who look, and the writes of opening one. Nothing here commits."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from issuer.bulk import among
from issuer.cases.rules import UNSUCCESSFUL, CaseStatus
from issuer.cases.tables import Case, CaseRequest, Check, CheckDay, Decision, Subject, SubjectWallet
from issuer.claims.tables import Claim
from issuer.db import for_update
from issuer.errors import NotFound
from issuer.ids import new_id

_LOCK = 0x434C5045  # an advisory lock of our own on PostgreSQL: "CLPE"


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which cases or claims of a tenant; None leaves a condition out. `before` is the last id of the page before."""

    tenant_id: str
    wallet: str | None = None
    reference: str | None = None
    status: str | None = None
    level: str | None = None
    tag: str | None = None
    before: str | None = None
    limit: int = 20


async def get(session: AsyncSession, case_id: str, tenant_id: str) -> Case:
    """Raises `NotFound`."""
    case: Case | None = await session.scalar(sa.select(Case).where(Case.id == case_id, Case.tenant_id == tenant_id))
    if case is None:
        raise NotFound("no such case")
    return case


async def locked(session: AsyncSession, case_id: str) -> Case:
    """The newest state of a case that exists, locked until the transaction ends."""
    statement = for_update(sa.select(Case).where(Case.id == case_id), session).execution_options(populate_existing=True)
    case: Case | None = await session.scalar(statement)
    if case is None:
        raise NotFound("no such case")
    return case


async def page(session: AsyncSession, wanted: Filter) -> list[Case]:
    """Newest first."""
    statement = sa.select(Case).where(Case.tenant_id == wanted.tenant_id).order_by(Case.id.desc()).limit(wanted.limit)
    if wanted.wallet is not None:
        statement = statement.where(Case.wallet == wanted.wallet)
    if wanted.reference is not None:
        statement = statement.where(Case.reference == wanted.reference)
    if wanted.status is not None:
        statement = statement.where(Case.status == wanted.status)
    if wanted.level is not None:
        statement = statement.where(Case.level == wanted.level)
    if wanted.tag is not None:
        statement = statement.where(Case.tag == wanted.tag)
    if wanted.before is not None:
        statement = statement.where(Case.id < wanted.before)
    return list(await session.scalars(statement))


async def claim_page(session: AsyncSession, wanted: Filter, *, case_id: str | None = None) -> list[Claim]:
    """Claims, newest first. `level` and `reference` are the case's."""
    statement = (
        sa.select(Claim).where(Claim.tenant_id == wanted.tenant_id).order_by(Claim.id.desc()).limit(wanted.limit)
    )
    if case_id is not None:
        statement = statement.where(Claim.case_id == case_id)
    if wanted.wallet is not None:
        statement = statement.where(Claim.wallet == wanted.wallet)
    if wanted.status is not None:
        statement = statement.where(Claim.status == wanted.status)
    if wanted.level is not None or wanted.reference is not None:
        # The tenant once more: the indexes of both conditions begin with it.
        statement = statement.join(Case, Case.id == Claim.case_id).where(Case.tenant_id == wanted.tenant_id)
        if wanted.level is not None:
            statement = statement.where(Case.level == wanted.level)
        if wanted.reference is not None:
            statement = statement.where(Case.reference == wanted.reference)
    if wanted.before is not None:
        statement = statement.where(Claim.id < wanted.before)
    return list(await session.scalars(statement))


async def newest_in(
    session: AsyncSession, tenant_id: str, wallet: str, statuses: Collection[CaseStatus]
) -> Case | None:
    """The newest case of a wallet in one of these states."""
    statement = (
        sa.select(Case)
        .where(Case.tenant_id == tenant_id, Case.wallet == wallet, Case.status.in_(statuses))
        .order_by(Case.id.desc())
        .limit(1)
    )
    case: Case | None = await session.scalar(statement)
    return case


async def subject_of(session: AsyncSession, tenant_id: str, wallet: str, at: datetime) -> str:
    """The subject behind a wallet, made if it is new. Two callers at once get the same one."""
    known = sa.select(SubjectWallet.subject_id).where(
        SubjectWallet.tenant_id == tenant_id, SubjectWallet.wallet == wallet
    )
    found = await session.scalar(known)
    if found is not None:
        return str(found)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    subject_id = new_id("sub")
    async with session.begin_nested() as attempt:
        session.add(Subject(id=subject_id, tenant_id=tenant_id, created_at=at))
        await session.flush()
        mine = await session.scalar(
            insert(SubjectWallet)
            .values(id=new_id("wal"), tenant_id=tenant_id, subject_id=subject_id, wallet=wallet, created_at=at)
            .on_conflict_do_nothing(index_elements=[SubjectWallet.tenant_id, SubjectWallet.wallet])
            .returning(SubjectWallet.id)
        )
        if mine is None:  # somebody else's transaction made one meanwhile; ours need not have been
            await attempt.rollback()
    return subject_id if mine is not None else str(await session.scalar(known))


async def request_of(session: AsyncSession, key_id: str, idempotency_key: str) -> CaseRequest | None:
    return await session.get(CaseRequest, (key_id, idempotency_key))


async def spend_check(session: AsyncSession, provider: str, environment: str, at: datetime, budget: int) -> bool:
    """Count one more check of this day (UTC). False: there were `budget` already, and it is not counted."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(CheckDay)
        .values(provider=provider, environment=environment, day=at.date().isoformat(), count=1)
        .on_conflict_do_update(
            index_elements=[CheckDay.provider, CheckDay.environment, CheckDay.day],
            set_={"count": CheckDay.count + 1},
            where=CheckDay.count < budget,
        )
        .returning(CheckDay.count)
    )
    return await session.scalar(statement) is not None


async def checks_of_day(session: AsyncSession, at: datetime) -> dict[tuple[str, str], int]:
    """How many were counted on this day (UTC), by provider and environment."""
    statement = sa.select(CheckDay.provider, CheckDay.environment, CheckDay.count)
    rows = await session.execute(statement.where(CheckDay.day == at.date().isoformat()))
    return {(provider, environment): count for provider, environment, count in rows}


async def claim_request(session: AsyncSession, request: CaseRequest) -> bool:
    """Take an idempotency key for a case. False: another request has it."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    taken = await session.scalar(
        insert(CaseRequest)
        .values(
            tenant_id=request.tenant_id,
            key_id=request.key_id,
            idempotency_key=request.idempotency_key,
            request_hash=request.request_hash,
            case_id=request.case_id,
            created_at=request.created_at,
        )
        .on_conflict_do_nothing(index_elements=[CaseRequest.key_id, CaseRequest.idempotency_key])
        .returning(CaseRequest.case_id)
    )
    return taken is not None


async def checks_in_use(
    session: AsyncSession, provider: str, environment: str, check_refs: Collection[str]
) -> set[str]:
    """Which of these checks belong to a case already."""
    statement = sa.select(Case.check_ref).where(
        Case.provider == provider, Case.environment == environment, among(Case.check_ref, check_refs)
    )
    return {ref for ref in await session.scalars(statement) if ref is not None}


async def count_start(session: AsyncSession, case: Case) -> None:
    """The next try to open this case's check takes a new key, unless another process has counted already."""
    await session.execute(
        sa.update(Case)
        .where(Case.id == case.id, Case.start_attempt == case.start_attempt, Case.check_ref.is_(None))
        .values(start_attempt=case.start_attempt + 1)
    )


async def decisions_of(session: AsyncSession, case_id: str) -> list[Decision]:
    """Oldest first."""
    return list(await session.scalars(sa.select(Decision).where(Decision.case_id == case_id).order_by(Decision.id)))


async def attempts(session: AsyncSession, subject_id: str, level: str, since: datetime | None) -> int:
    """How many cases of a subject at a level ended in a no, or in nothing, since its attempts were reset."""
    statement = sa.select(sa.func.count()).where(
        Case.subject_id == subject_id, Case.level == level, Case.status.in_(UNSUCCESSFUL)
    )
    if since is not None:
        statement = statement.where(Case.created_at > since)
    return int(await session.scalar(statement) or 0)


async def checks_of(session: AsyncSession, case_id: str) -> list[Check]:
    """The verifications of a case, in the order in which we heard of them."""
    return list(await session.scalars(sa.select(Check).where(Check.case_id == case_id).order_by(Check.id)))


async def subjects_of_person(session: AsyncSession, subject_id: str) -> list[str]:
    """This subject and those that were merged with it."""
    root = await _root(session, subject_id)
    merged = await session.scalars(sa.select(Subject.id).where(Subject.person_id == root))
    return sorted({subject_id, root, *merged})


async def link_wallet(session: AsyncSession, tenant_id: str, wallet: str, other: str, at: datetime) -> str:
    """Count two wallets as one person's; both owners have signed. The subject of `wallet`.

    A wallet that was never seen joins the subject of the other one, so that the provider knows the person again; two
    that have subjects of their own are merged, and each keeps its cases.
    """
    first = await subject_of(session, tenant_id, wallet, at)
    known = sa.select(SubjectWallet).where(SubjectWallet.tenant_id == tenant_id, SubjectWallet.wallet == other)
    if await session.scalar(known) is None:
        session.add(SubjectWallet(id=new_id("wal"), tenant_id=tenant_id, subject_id=first, wallet=other, created_at=at))
        return first
    second = await subject_of(session, tenant_id, other, at)
    one, two = await _root(session, first), await _root(session, second)
    if one != two:
        statement = sa.update(Subject).where(sa.or_(Subject.id == two, Subject.person_id == two))
        await session.execute(statement.values(person_id=one))
    return first


async def wallets_approved(
    session: AsyncSession, tenant_id: str, subject_id: str, level: str, person_hashes: Sequence[str] = ()
) -> set[str]:
    """With which wallets the person has an approval at this level that stands.

    The person: this subject, all that were merged with it, and whoever the provider says is the same.
    """
    everyone = await subjects_of_person(session, subject_id)
    same = sa.or_(Case.subject_id.in_(everyone), Case.person_hash.in_(person_hashes))
    statement = sa.select(Case.wallet).where(Case.tenant_id == tenant_id, same, Case.level == level, Case.backs_claims)
    return set(await session.scalars(statement))


async def one_at_a_time(session: AsyncSession) -> None:
    """Approvals that are counted per person wait for each other until they commit. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


async def _root(session: AsyncSession, subject_id: str) -> str:
    found = await session.scalar(sa.select(Subject.person_id).where(Subject.id == subject_id))
    return found or subject_id
