"""Export, restriction, erasure and retention, down to what a dump of the database still says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from issuer.audit import verify
from issuer.audit.rules import AuditKey
from issuer.audit.work import Auditor
from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Subject, SubjectWallet
from issuer.claims.rules import ClaimStatus
from issuer.errors import ProviderRefused, ProviderUnavailable
from issuer.history import History
from issuer.ids import new_id
from issuer.inbox.tables import InboxEvent, Refusal
from issuer.migrations.tables import metadata
from issuer.providers.protocol import Outcome
from issuer.subjects import store
from issuer.subjects.rules import Periods
from issuer.subjects.work import Retention, outlook, restrict
from tests.integration.engine.conftest import Engine

NO_TIME = Periods(decisions=timedelta(0), logs=timedelta(days=7))
FIVE_YEARS = Periods(decisions=timedelta(days=1827), logs=timedelta(days=7))


class Redactor:
    """The provider's eraser."""

    def __init__(self) -> None:
        self.redacted: list[str] = []
        self.error: Exception | None = None

    async def redact(self, check_ref: str) -> None:
        if self.error is not None:
            raise self.error
        self.redacted.append(check_ref)


@pytest.fixture
def provider() -> Redactor:
    return Redactor()


def retention(engine: Engine, provider: Redactor, periods: Periods = NO_TIME, **later: float) -> Retention:
    now = datetime.now(UTC) + timedelta(**later)
    return Retention(engine.db, {("persona", "sandbox"): provider}, periods, now=now)  # type: ignore[dict-item]


def wallet_of(case: Case) -> SubjectWallet:
    now = datetime.now(UTC)
    return SubjectWallet(id=new_id("wal"), subject_id=case.subject_id, wallet=case.wallet, created_at=now)


async def verified(engine: Engine) -> Case:
    """A case that has left a trace wherever one can be left."""
    case = await engine.open_case()
    async with engine.db.write() as session:
        row = await session.get(Case, case.id)
        assert row is not None
        row.reference, row.proof_message, row.proof_signature = "user-4711", "I am 0x12", "0x" + "5a" * 65
        row.redirect_url = "https://dapp.example/4711"
        wallet = SubjectWallet(
            id=new_id("wal"), subject_id=case.subject_id, wallet=case.wallet, created_at=datetime.now(UTC)
        )
        session.add(wallet)
    await engine.ring(case, Outcome.APPROVED)
    await engine.settle()
    assert await engine.is_verified(case.wallet)
    return await engine.case(case)


async def ask_to_erase(engine: Engine, case: Case) -> int:
    async with engine.db.write() as session:
        subject = await store.of_wallet(session, case.wallet)
        return await restrict(session, subject, engine.queue, actor="cli:test", at=datetime.now(UTC))


async def dump(engine: Engine) -> str:
    """Every cell of every table."""
    rows: list[Any] = []
    async with engine.db.read() as session:
        for table in metadata.sorted_tables:
            for row in await session.execute(sa.select(table)):
                rows.append([value.hex() if isinstance(value, bytes) else str(value) for value in row])
    return json.dumps(rows).lower()


async def traces(engine: Engine, case: Case) -> dict[str, str]:
    """What must be found before and not after."""
    (claim,) = await engine.claims_of(case)
    found = {
        "wallet": case.wallet[2:], "reference": "user-4711", "check": case.check_ref, "proof": "5a" * 65,
        "url": "dapp.example", "identity": claim.identity[2:], "word": claim.word, "signature": claim.signature,
        "claim on chain": claim.tx_hash, "salt": claim.salt,
    }  # fmt: skip
    return {name: str(value).lower().removeprefix("0x") for name, value in found.items()}


async def test_asking_takes_the_claims_back_at_once_and_opens_nothing_more(engine: Engine, provider: Redactor) -> None:
    case = await verified(engine)
    assert await ask_to_erase(engine, case) == 1
    await engine.settle()
    assert not await engine.is_verified(case.wallet)
    assert (await engine.case(case)).status == CaseStatus.REVOKED
    assert await ask_to_erase(engine, case) == 0  # asked twice, done once
    await engine.ring(case, Outcome.APPROVED, at=datetime.now(UTC) + timedelta(minutes=1))
    await engine.settle()
    assert not await engine.is_verified(case.wallet)
    async with engine.db.read() as session:
        subject = await store.of_wallet(session, case.wallet)
        waiting = await outlook(session, subject, FIVE_YEARS, datetime.now(UTC))
    assert waiting.waits_for == "retention"
    assert waiting.due_at is not None
    assert (waiting.due_at - datetime.now(UTC)).days in (1826, 1827)
    assert (await retention(engine, provider, FIVE_YEARS).run()).erased == 0
    assert provider.redacted == []


async def test_erasing_leaves_nothing_in_a_dump_but_the_tombstone_and_the_audit_chain_holds(
    engine: Engine, provider: Redactor
) -> None:
    case = await verified(engine)
    key = AuditKey(bytes(range(32)))
    await ask_to_erase(engine, case)
    await engine.settle()
    auditor = Auditor(engine.db, key, None)
    await auditor.step()
    found = await traces(engine, case)
    before = await dump(engine)
    assert [name for name, value in found.items() if value not in before] == []
    (claim,) = await engine.claims_of(case)
    done = await retention(engine, provider, seconds=1).run()
    assert (done.erased, done.put_off) == (1, 0)
    assert provider.redacted == [case.check_ref]
    after = await dump(engine)
    assert [name for name, value in found.items() if value in after] == []
    (subject,) = await engine.rows(Subject)
    assert (subject.id, subject.erased_at is not None) == (case.subject_id, True)
    assert (await verify.check(engine.db, key.public_key, [], at=datetime.now(UTC) + timedelta(hours=1))).wrong == []
    assert (await retention(engine, provider, seconds=2).run()).erased == 0
    assert claim.revoked_tx_hash is not None


async def test_others_in_the_same_transaction_lose_nothing(engine: Engine, provider: Redactor) -> None:
    gone, stays = await engine.open_case(), await engine.open_case()
    for case in (gone, stays):
        engine.persona.says(case, Outcome.APPROVED)
        await engine.cases.handle_event(await engine.receive(case))
        async with engine.db.write() as session:
            session.add(
                SubjectWallet(
                    id=new_id("wal"), subject_id=case.subject_id, wallet=case.wallet, created_at=datetime.now(UTC)
                )
            )
    await engine.settle()
    await ask_to_erase(engine, gone)
    await engine.settle()
    assert (await retention(engine, provider, seconds=1).run()).erased == 1
    assert await engine.is_verified(stays.wallet)
    (claim,) = await engine.claims_of(stays)
    assert (claim.status, claim.wallet) == (ClaimStatus.CONFIRMED, stays.wallet)
    await engine.ring(stays, Outcome.DECLINED)
    await engine.settle()
    assert not await engine.is_verified(stays.wallet)


async def test_a_claim_that_stands_or_is_not_settled_is_never_erased(engine: Engine, provider: Redactor) -> None:
    case = await verified(engine)
    assert (await retention(engine, provider, days=1).run()).erased == 0  # it stands, for a year
    await ask_to_erase(engine, case)  # and the daemon has not revoked it yet
    assert (await retention(engine, provider, seconds=1).run()).erased == 0
    assert not await retention(engine, provider, seconds=1).erase(case.subject_id)
    assert case.wallet.lower()[2:] in await dump(engine)


async def test_a_claim_that_ran_out_long_ago_is_erased_unasked(engine: Engine, provider: Redactor) -> None:
    case = await verified(engine)
    (claim,) = await engine.claims_of(case)
    assert claim.valid_until is not None
    over = (claim.valid_until - datetime.now(UTC)).days + 1
    assert (await retention(engine, provider, FIVE_YEARS, days=over).preview()).erased == 0
    assert (await retention(engine, provider, FIVE_YEARS, days=over + 1828).preview()).erased == 1
    assert (await retention(engine, provider, FIVE_YEARS, days=over + 1828).run()).erased == 1
    (claim,) = await engine.claims_of(case)
    assert claim.status == ClaimStatus.REMOVED  # nobody looks for it on chain, or renews it
    await engine.settle()
    await engine.cases.sweep()


async def test_a_legal_hold_keeps_everything(engine: Engine, provider: Redactor) -> None:
    case = await verified(engine)
    await ask_to_erase(engine, case)
    await engine.settle()
    async with engine.db.write() as session:
        (await store.of_wallet(session, case.wallet)).held_at = datetime.now(UTC)
    assert (await retention(engine, provider, days=9999).run()).erased == 0
    assert not await retention(engine, provider, days=9999).erase(case.subject_id)
    async with engine.db.write() as session:
        (await store.of_wallet(session, case.wallet)).held_at = None
    assert (await retention(engine, provider, days=9999).run()).erased == 1


@pytest.mark.parametrize(
    ("error", "erased"), [(ProviderUnavailable("down"), 0), (ProviderRefused("does not offer that"), 1)]
)
async def test_the_provider_goes_first(engine: Engine, provider: Redactor, error: Exception, erased: int) -> None:
    """One that is away puts it off, since nobody could name its record afterwards; one that never can does not."""
    case = await verified(engine)
    await ask_to_erase(engine, case)
    await engine.settle()
    provider.error = error
    done = await retention(engine, provider, seconds=1).run()
    assert (done.erased, done.put_off) == (erased, 1 - erased)


async def test_a_person_who_never_had_a_case_is_erased_when_the_period_is_over(
    engine: Engine, provider: Redactor
) -> None:
    now = datetime.now(UTC)
    async with engine.db.write() as session:
        session.add(Subject(id=new_id("sub"), created_at=now))
    assert (await retention(engine, provider, FIVE_YEARS, days=1826).run()).erased == 0
    done = await retention(engine, provider, FIVE_YEARS, days=1828).run()
    assert (done.erased, done.put_off) == (1, 0)


async def test_old_logs_go_and_young_or_unhandled_ones_stay(engine: Engine, provider: Redactor) -> None:
    case = await verified(engine)
    late = await engine.receive(case)  # never handled
    async with engine.db.write() as session:
        session.add(Refusal(at=datetime.now(UTC), provider="x", environment="x", reason="x", body_hash="0" * 64))
    assert (await retention(engine, provider, FIVE_YEARS, days=6).preview()).dropped["inbox_events"] == 0
    done = await retention(engine, provider, FIVE_YEARS, days=8).run()
    assert (done.dropped["inbox_events"], done.dropped["refusals"]) == (1, 1)
    assert [event.id for event in await engine.rows(InboxEvent)] == [late]


async def test_an_export_holds_everything_and_tips_nobody_off(engine: Engine, provider: Redactor) -> None:
    case = await verified(engine)
    async with engine.db.write() as session:
        row = await session.get(Case, case.id)
        assert row is not None
        row.reasons = ["declined_by_person", "watchlist_hit"]
    async with engine.db.read() as session:
        subject = await store.of_wallet(session, case.wallet)
        told = await store.export(session, subject, datetime.now(UTC))
    text = json.dumps(told, default=str).lower()
    found = await traces(engine, case)
    assert [
        name for name, value in found.items() if name not in ("url", "salt", "signature") and value not in text
    ] == []
    assert "watchlist" not in text
    assert told["status"] == [{"wallet": case.wallet, "summary": "verified"}]
    assert len(told["timeline"]) == len(await engine.rows(History))
