"""The audit chain on both stores: what it holds, and each attack that it must show."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from issuer import cli, history
from issuer.access import store as access
from issuer.audit import bundle, rules, verify
from issuer.audit import store as audit
from issuer.audit.rules import AuditKey
from issuer.audit.tables import AuditEntry, AuditHead
from issuer.audit.work import Auditor, read_anchor
from issuer.cases.tables import Decision
from issuer.claims.queueing import SALT
from issuer.claims.rules import commitment
from issuer.db import Database
from issuer.ids import first_id, new_id
from issuer.secrets import KeyRing, Secret
from issuer.stops import store as stops
from tests import factories

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def key() -> AuditKey:
    return AuditKey(os.urandom(32))


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    return tmp_path / "heads.jsonl"


async def a_case(db: Database, decisions: int = 1) -> str:
    async with db.write() as session:
        subject = factories.subject()
        session.add(subject)
        await session.flush()
        case = factories.case(subject.id)
        session.add(case)
        await session.flush()
        for _ in range(decisions):
            session.add(factories.decision(case.id))
    return str(case.id)


async def some_acts(db: Database) -> str:
    """A row of each kind; the case."""
    case_id = await a_case(db, decisions=3)
    async with db.write() as session:
        history.record(session, case_id=case_id, at=NOW, source="approved", target="revoked", cause=history.PERSON)
        history.record(session, case_id=case_id, at=NOW, source=None, target="created", cause="request")
        await access.create_operator(session, "Ada", NOW)
        stopped = await stops.stop(session, chain_id=None, reason="drill", actor="cli", at=NOW)
        await session.flush()
        await stops.lift(session, stopped.id, reason="over", actor="cli", at=NOW)
    return case_id


async def report(db: Database, key: AuditKey, anchor: Path) -> verify.Report:
    return await verify.check(db, key.public_key, read_anchor(anchor), at=LATER)


async def test_every_decision_and_act_is_linked_once_and_the_rest_is_not(
    db: Database, key: AuditKey, anchor: Path
) -> None:
    await some_acts(db)
    auditor = Auditor(db, key, anchor)
    assert await auditor.step()
    assert not await auditor.step()
    async with db.read() as session:
        entries = await audit.links(session)
    assert sorted(link.kind for link, _ in entries) == [
        "decision", "decision", "decision", "lift", "operator", "person", "stop",
    ]  # fmt: skip
    assert [link.seq for link, _ in entries] == list(range(1, 8))
    found = await report(db, key, anchor)
    assert (found.entries, found.heads, found.wrong) == (7, 1, [])
    assert read_anchor(anchor)[0].seq == 7


async def test_more_than_a_batch_is_linked_in_one_step(
    db: Database, key: AuditKey, anchor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("issuer.audit.work.BATCH", 2)
    await a_case(db, decisions=5)
    await Auditor(db, key, anchor).step()
    found = await report(db, key, anchor)
    assert (found.entries, found.wrong) == (5, [])


async def test_a_backlog_of_old_rows_is_linked_to_its_end(
    db: Database, key: AuditKey, anchor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain grows now, and what waits behind the first batch may be older than any look back from now."""
    monkeypatch.setattr("issuer.audit.work.BATCH", 2)
    long_ago = datetime.now(UTC) - timedelta(days=30)
    case_id = await a_case(db, decisions=0)
    async with db.write() as session:
        for number in range(7):
            stamp = first_id("dec", long_ago + timedelta(days=number))
            session.add(factories.decision(case_id, id=f"{stamp}{number:020d}"))
    await Auditor(db, key, anchor).step()
    found = await report(db, key, anchor)
    assert (found.entries, found.wrong) == (7, [])


async def test_auditors_at_once_make_one_chain(db: Database, key: AuditKey, anchor: Path) -> None:
    await a_case(db, decisions=20)
    other = Database(db.url.render_as_string(hide_password=False))
    try:
        await asyncio.gather(*(Auditor(one, key, anchor).step() for one in (db, other, db, other)))
    finally:
        await other.aclose()
    found = await report(db, key, anchor)
    assert (found.entries, found.wrong) == (20, [])


Attack = Callable[[Any], Awaitable[None]]


async def edit_an_entry(session: Any) -> None:
    await session.execute(sa.update(AuditEntry).where(AuditEntry.seq == 2).values(digest="f" * 64))


async def edit_a_row(session: Any) -> None:
    first = sa.select(sa.func.min(Decision.id)).scalar_subquery()
    await session.execute(sa.update(Decision).where(Decision.id == first).values(outcome="declined"))


async def delete_an_entry(session: Any) -> None:
    await session.execute(sa.delete(AuditEntry).where(AuditEntry.seq == 2))


async def delete_a_row(session: Any) -> None:
    first = sa.select(sa.func.min(Decision.id)).scalar_subquery()
    await session.execute(sa.delete(Decision).where(Decision.id == first))


async def reorder(session: Any) -> None:
    for old, new in ((2, 100), (3, 2), (100, 3)):
        await session.execute(sa.update(AuditEntry).where(AuditEntry.seq == old).values(seq=new))


async def cut_the_tail(session: Any) -> None:
    """With the rows and the heads behind it, so that what is left is a chain without a fault."""
    rows = await session.scalars(sa.select(AuditEntry.ref).where(AuditEntry.seq > 3))
    await session.execute(sa.delete(Decision).where(Decision.id.in_(list(rows))))
    await session.execute(sa.delete(AuditEntry).where(AuditEntry.seq > 3))
    await session.execute(sa.delete(AuditHead))


async def rewrite_all(session: Any) -> None:
    """Change a decision, then make a chain that fits it, and heads with a key of one's own."""
    await edit_a_row(session)
    await session.execute(sa.delete(AuditEntry))
    await session.execute(sa.delete(AuditHead))
    made = await audit.chain(session, at=NOW, limit=100, since=None)
    await audit.add_head(session, AuditKey(os.urandom(32)).sign_head(made[-1].seq, made[-1].hash, NOW))


async def add_a_row(session: Any) -> None:
    """A decision that was never made here, dated back."""
    case_id = await session.scalar(sa.select(Decision.case_id).limit(1))
    session.add(factories.decision(case_id, id="dec_" + "0" * 32))


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (edit_an_entry, "entry 2 is not what was hashed"),
        (edit_a_row, "was changed"),
        (delete_an_entry, "entry 2 is missing"),
        (delete_a_row, "is gone"),
        (reorder, "entry 2 does not follow"),
        (cut_the_tail, "its tail was cut off"),
        (rewrite_all, "it was rewritten"),
        (add_a_row, "is in no entry"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_an_attack_shows(db: Database, key: AuditKey, anchor: Path, attack: Attack, says: str) -> None:
    await a_case(db, decisions=5)
    await Auditor(db, key, anchor).step()
    assert (await report(db, key, anchor)).wrong == []
    async with db.write() as session:
        await attack(session)
    assert any(says in one for one in (await report(db, key, anchor)).wrong)


async def test_a_rewritten_chain_shows_by_the_key_alone(db: Database, key: AuditKey, anchor: Path) -> None:
    """Without heads outside, the heads inside are still not signed by the key."""
    await a_case(db, decisions=2)
    await Auditor(db, key, anchor).step()
    async with db.write() as session:
        await rewrite_all(session)
    found = await verify.check(db, key.public_key, [], at=LATER)
    assert any("not signed by the audit key" in one for one in found.wrong)


async def test_without_a_key_the_chain_grows_and_nobody_vouches_for_its_end(db: Database, key: AuditKey) -> None:
    await a_case(db)
    await Auditor(db, None, None).step()
    found = await verify.check(db, key.public_key, [], at=LATER)
    assert (found.entries, found.heads, found.wrong) == (1, 0, [])


async def test_what_was_just_decided_need_not_be_in_it_yet(db: Database, key: AuditKey) -> None:
    await a_case(db)
    found = await verify.check(db, key.public_key, [], at=datetime.now(UTC))
    assert (found.entries, found.not_yet, found.wrong) == (0, 1, [])


async def test_the_commands_verify_and_prove(
    db: Database, key: AuditKey, anchor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    seed = os.urandom(32)
    case_id = await some_acts(db)
    await Auditor(db, AuditKey.parse(Secret(seed.hex())), anchor).step()
    monkeypatch.setenv("DATABASE_URL", db.url.render_as_string(hide_password=False))
    monkeypatch.setenv("CLAIMWRIGHT_AUDIT_KEY", seed.hex())
    monkeypatch.setenv("CLAIMWRIGHT_AUDIT_ANCHOR_FILE", str(anchor))

    async def run(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.run, [*argv])
        out = capsys.readouterr()
        return code, out.out, out.err

    code, out, _ = await run("audit", "verify", "--json")
    assert (code, json.loads(out)["wrong"]) == (0, [])
    code, out, _ = await run("case", "evidence", case_id)
    assert code == 0
    file = tmp_path / "evidence.json"
    file.write_text(out)
    document = json.loads(json.loads(out)["document"])
    assert (len(document["decisions"]), len(document["audit"]), document["head"]["seq"]) == (3, 4, 7)
    _, public_key, _ = await run("audit", "key")
    monkeypatch.delenv("CLAIMWRIGHT_AUDIT_KEY")
    assert (await run("audit", "bundle", str(file), "--public-key", public_key.strip()))[0] == 0
    file.write_text(out.replace("persona", "onfido"))
    code, _, err = await run("audit", "bundle", str(file), "--public-key", public_key.strip())
    assert (code, "does not hold" in err) == (1, True)
    async with db.write() as session:
        await edit_a_row(session)
    code, _, err = await run("audit", "verify", "--public-key", public_key.strip())
    assert (code, "was changed" in err) == (1, True)
    code, _, err = await run("audit", "verify")
    assert (code, "CLAIMWRIGHT_AUDIT_KEY" in err) == (2, True)


async def test_evidence_opens_the_commitment_that_is_on_chain(db: Database, key: AuditKey) -> None:
    data_keys, salt = KeyRing({1: os.urandom(32)}), os.urandom(32)
    case_id = await a_case(db, decisions=0)
    async with db.write() as session:
        decision = factories.decision(case_id)
        session.add(decision)
        await session.flush()
        claim_id = new_id("clm")
        sealed = data_keys.seal(SALT, salt, row=claim_id)
        session.add(factories.claim(case_id, decision.id, id=claim_id, salt=sealed))
    async with db.read() as session:
        content = await bundle.gather(session, case_id, "default", data_keys)
        closed = await bundle.gather(session, case_id, "default", KeyRing({1: os.urandom(32)}))
    opening = content["claims"][0]["opening"]
    words = {name: opening[name] for name in ("case_id", "level", "provider", "environment")}
    assert len(commitment(salt=bytes.fromhex(opening["salt"][2:]), **words)) == 21
    assert opening["salt"] == "0x" + salt.hex()
    assert closed["claims"][0]["opening"] is None
    signed = bundle.sign(content, key)
    assert bundle.problems(signed, key.public_key) == []
    assert bundle.problems(signed, AuditKey(os.urandom(32)).public_key) == ["it is not signed by this audit key"]


@pytest.mark.parametrize("text", ["", "00" * 32, "zz" * 32, "ab" * 31])
def test_a_weak_audit_key_is_refused(text: str) -> None:
    with pytest.raises(Exception, match=rules.KEY):
        AuditKey.parse(Secret(text))
