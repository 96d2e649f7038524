"""Chain, database and provider on a real chain: what differs is named, and mended by the usual moves."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from issuer import cli
from issuer.cases.levels import BASIC_TOPIC
from issuer.cases.tables import Case
from issuer.chain import contracts
from issuer.chain.abi import Function
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.chain.tables import Attempt, Transaction
from issuer.claims import rules as claim_rules
from issuer.claims.rules import ClaimStatus, Word
from issuer.claims.tables import Claim
from issuer.clock import now
from issuer.providers.protocol import Outcome
from issuer.reconcile import store as findings
from issuer.reconcile import work
from issuer.reconcile.repair import Repairs
from issuer.reconcile.rules import Code
from issuer.reconcile.work import Reconciler, Report
from tests.integration.chain.conftest import transact
from tests.integration.engine.conftest import CHAIN_ID, ETHER, Engine, rpc
from tests.integration.engine.test_issue_and_revoke import confirmed

REMOVE_CLAIM = Function("Identity", "removeClaim", ("bytes32",))
ADD_CLAIM = Function("Identity", "addClaim", ("uint256", "uint256", "address", "bytes", "bytes", "string"))


def reconciler(engine: Engine) -> Reconciler:
    return Reconciler(
        engine.db,
        engine.gateway,
        chain_id=CHAIN_ID,
        claim_issuer=engine.at.claim_issuer,
        depth=engine.profile.depth,
        repairs=Repairs(engine.db, look=engine.watcher.look),
        pause=0.0,
    )


async def examine(engine: Engine, start: int, **more: object) -> Report:
    return await reconciler(engine).examine(first_block=start, **more)  # type: ignore[arg-type]


async def codes(engine: Engine, start: int) -> list[Code]:
    return [finding.code for finding in (await examine(engine, start)).findings]


async def funded(engine: Engine) -> LocalSigner:
    holder = LocalSigner(os.urandom(32))
    await rpc(engine.url, "anvil_setBalance", holder.address, hex(ETHER))
    return holder


async def send(engine: Engine, sender: LocalSigner, to: str, data: bytes) -> None:
    receipt = await transact(engine.gateway, sender, to, data, 1_000_000)
    assert receipt.succeeded


async def by_owner(engine: Engine, data: bytes) -> None:
    await send(engine, engine.keys.deployer, engine.at.claim_issuer, data)


async def status_of(engine: Engine, case: Case) -> list[ClaimStatus]:
    return [ClaimStatus(claim.status) for claim in await engine.claims_of(case)]


async def signed_by_us(engine: Engine, identity: str, epoch: int = 0) -> contracts.ClaimInput:
    """A valid claim that no row of ours stands for: what a stolen claim signer could make."""
    word = Word(epoch=epoch, issued_at=1, expires_at=0, commitment=os.urandom(21)).pack()
    domain = claim_rules.domain_separator(CHAIN_ID, engine.at.claim_issuer)
    message = claim_rules.claim_message(domain=domain, identity=identity, topic=BASIC_TOPIC, word=word)
    signature = await checked_sign(engine.keys.claim_signer, message)
    compact = claim_rules.compact_signature(signature.r, signature.s, signature.y_parity)
    return contracts.ClaimInput(topic=BASIC_TOPIC, scheme=1, signature=compact, data=word)


async def test_after_issues_and_revocations_all_agree(engine: Engine, start: int) -> None:
    case, _ = await confirmed(engine)
    await confirmed(engine)
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    report = await examine(engine, start)
    assert report.findings == []
    assert report.keys == 2


async def test_a_long_list_is_compared_some_at_a_time(
    engine: Engine, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "KEYS_TOGETHER", 2)
    holders = [await funded(engine) for _ in range(5)]
    cases = [await confirmed(engine, holder.address) for holder in holders]
    for holder, (_, claim) in list(zip(holders, cases, strict=True))[::2]:
        await send(engine, holder, claim.identity, REMOVE_CLAIM.calldata(bytes.fromhex(claim.onchain_id[2:])))
    report = await examine(engine, start)
    assert report.keys == 5
    assert [finding.code for finding in report.findings] == [Code.REMOVED_BY_HOLDER] * 3
    await reconciler(engine).step(first_block=start)
    statuses = [await status_of(engine, case) for case, _ in cases]
    assert statuses == [[ClaimStatus.REMOVED], [ClaimStatus.CONFIRMED]] * 2 + [[ClaimStatus.REMOVED]]


async def test_what_is_on_its_way_is_no_difference(engine: Engine, start: int) -> None:
    await rpc(engine.url, "evm_setAutomine", False)
    case = await engine.open_case()
    await engine.ring(case, Outcome.APPROVED)
    await engine.pump()
    assert await codes(engine, start) == []
    await rpc(engine.url, "evm_mine")
    assert await codes(engine, start) == [Code.STALE_STATUS]  # mined, and nobody has looked yet
    report = await examine(engine, start)
    assert await reconciler(engine).repair(report.findings) == report.findings
    assert await status_of(engine, case) == [ClaimStatus.CONFIRMED]
    assert await codes(engine, start) == []


async def test_a_claim_that_its_holder_removed_is_removed_here_and_not_put_back(engine: Engine, start: int) -> None:
    holder = await funded(engine)
    case, claim = await confirmed(engine, holder.address)
    await send(engine, holder, claim.identity, REMOVE_CLAIM.calldata(bytes.fromhex(claim.onchain_id[2:])))
    assert await codes(engine, start) == [Code.REMOVED_BY_HOLDER]
    await reconciler(engine).step(first_block=start)
    assert await status_of(engine, case) == [ClaimStatus.REMOVED]
    await engine.settle()
    assert await status_of(engine, case) == [ClaimStatus.REMOVED]
    assert not await engine.is_verified(holder.address)
    assert await codes(engine, start) == []


async def test_a_removed_claim_that_its_holder_puts_back_counts_again(engine: Engine, start: int) -> None:
    holder = await funded(engine)
    case, claim = await confirmed(engine, holder.address)
    await send(engine, holder, claim.identity, REMOVE_CLAIM.calldata(bytes.fromhex(claim.onchain_id[2:])))
    await reconciler(engine).step(first_block=start)
    assert claim.word
    assert claim.signature
    fields = (BASIC_TOPIC, 1, engine.at.claim_issuer, bytes.fromhex(claim.signature[2:]), bytes.fromhex(claim.word[2:]))
    await send(engine, holder, claim.identity, ADD_CLAIM.calldata(*fields, ""))
    await reconciler(engine).step()
    assert await status_of(engine, case) == [ClaimStatus.CONFIRMED]
    assert await engine.is_verified(holder.address)


async def test_a_decline_kills_a_claim_that_its_holder_removed(engine: Engine, start: int) -> None:
    holder = await funded(engine)
    case, claim = await confirmed(engine, holder.address)
    await send(engine, holder, claim.identity, REMOVE_CLAIM.calldata(bytes.fromhex(claim.onchain_id[2:])))
    await reconciler(engine).step(first_block=start)
    await engine.ring(case, Outcome.DECLINED)
    await engine.settle()
    assert await status_of(engine, case) == [ClaimStatus.REVOKED]
    assert claim.word
    assert claim.signature
    kept = contracts.ClaimInput(
        topic=BASIC_TOPIC, scheme=1, signature=bytes.fromhex(claim.signature[2:]), data=bytes.fromhex(claim.word[2:])
    )
    (answer,) = await engine.gateway.call([contracts.is_claim_valid(engine.at.claim_issuer, claim.identity, kept)])
    assert not contracts.decode_bool(answer)
    assert await codes(engine, start) == []


async def test_a_revocation_made_by_hand_is_taken_over(engine: Engine, start: int) -> None:
    case, claim = await confirmed(engine)
    await by_owner(
        engine, contracts.revoke_batch([contracts.Revocation(identity=claim.identity, topic=BASIC_TOPIC, epoch=0)])
    )
    assert await codes(engine, start) == [Code.EPOCH_AHEAD]
    before = await engine.sent()
    await reconciler(engine).step(first_block=start)
    await engine.settle()
    assert await status_of(engine, case) == [ClaimStatus.REVOKED]
    assert await engine.sent() == before
    assert await codes(engine, start) == [Code.CLAIM_MISSING]  # the case is approved still: for a person to say


async def test_an_unknown_claim_of_ours_is_alarmed_and_blocks_its_subject(engine: Engine, start: int) -> None:
    holder = await funded(engine)
    case, claim = await confirmed(engine, holder.address)
    forged = await signed_by_us(engine, claim.identity)
    await by_owner(engine, contracts.onboard([contracts.Onboarding(wallet=holder.address, claims=(forged,))]))
    assert Code.UNKNOWN_ON_CHAIN in await codes(engine, start)
    for _ in range(2):
        await reconciler(engine).step(first_block=start)
    async with engine.db.read() as session:
        rows = {row.code: row for row in await findings.findings(session)}
        assert await findings.open_counts(session) == {(CHAIN_ID, code): 1 for code in rows}
    assert set(rows) == {Code.UNKNOWN_ON_CHAIN, Code.OTHER_CLAIM_SHOWN}
    alarm = rows[Code.UNKNOWN_ON_CHAIN]
    assert (alarm.identity, alarm.subject_id, alarm.blocks) == (claim.identity, case.subject_id, True)

    again = await engine.open_case(holder.address)
    await engine.ring(again, Outcome.APPROVED)
    await engine.settle()
    assert await status_of(engine, again) == [ClaimStatus.QUEUED]  # blocked
    async with engine.db.write() as session:
        await findings.lift(session, alarm.id, by="test", reason="looked at", at=now())
    await engine.settle()
    assert await status_of(engine, again) == [ClaimStatus.CONFIRMED]


async def test_an_event_that_only_looks_like_ours_alarms_nobody(engine: Engine, start: int) -> None:
    """Any contract may emit ClaimAdded with our issuer in it; nothing follows unless our ClaimIssuer vouches for it."""
    holder = await funded(engine)
    liar = holder.address
    topics = [
        contracts.CLAIM_ADDED,
        claim_rules.onchain_id(engine.at.claim_issuer, BASIC_TOPIC),
        BASIC_TOPIC.to_bytes(32, "big"),
        bytes(12) + bytes.fromhex(engine.at.claim_issuer[2:]),
    ]
    push = b"".join(b"\x7f" + topic for topic in reversed(topics))
    code = push + b"\x5f\x5f\xa4\x00"  # LOG4 without data, whatever it is called with
    await rpc(engine.url, "anvil_setCode", liar, "0x" + code.hex())
    other = await funded(engine)
    await send(engine, other, liar, b"")
    report = await examine(engine, start)
    assert report.keys == 1
    assert report.findings == []


async def test_a_contract_that_answers_without_end_spoils_only_itself(engine: Engine, start: int) -> None:
    await confirmed(engine)
    _, claim = await confirmed(engine)
    await rpc(engine.url, "anvil_setCode", claim.identity, "0x5b5f56")  # jump for ever
    assert await codes(engine, start) == [Code.UNREADABLE]


async def test_a_claim_that_is_gone_without_a_word_is_made_again(engine: Engine, start: int) -> None:
    case, claim = await confirmed(engine)
    await rpc(engine.url, "anvil_setCode", claim.identity, "0x")
    report = await examine(engine, start)
    assert [finding.code for finding in report.findings] == [Code.MISSING_ON_CHAIN]
    assert await reconciler(engine).repair(report.findings, whole=False) == []  # its holder may have removed it before
    assert await reconciler(engine).repair(report.findings) == report.findings
    (row,) = await engine.claims_of(case)
    assert row.renew_at
    assert row.renew_at <= now()


async def test_the_providers_present_word_is_compared(engine: Engine, start: int) -> None:
    case, _ = await confirmed(engine)

    async def says(asked: Case) -> bool | None:
        return False if asked.id == case.id else None

    report = await examine(engine, start, provider=says)
    assert [(finding.code, finding.case_id) for finding in report.findings] == [(Code.PROVIDER_DISAGREES, case.id)]
    assert await reconciler(engine).repair(report.findings) == report.findings
    engine.persona.says(case, Outcome.DECLINED)
    await engine.cases.sweep()
    await engine.settle()
    assert await status_of(engine, case) == [ClaimStatus.REVOKED]


@pytest.mark.failure("F14")
async def test_nonces_that_are_not_ours_are_told(engine: Engine, start: int) -> None:
    await confirmed(engine)
    await send(engine, engine.keys.sender, engine.keys.sender.address, b"")
    report = await examine(engine, start)
    assert [finding.code for finding in report.findings] == [Code.NONCE_UNACCOUNTED]
    async with engine.db.write() as session:  # as if our bytes had been for the nonce that somebody else used
        await session.execute(sa.update(Transaction).values(nonce=Transaction.nonce + 1))
        await session.execute(sa.update(Attempt).values(hash="0x" + "ab" * 32))
    assert Code.EXTRA_TRANSACTION in await codes(engine, start)


async def test_a_case_without_its_claim_is_told(engine: Engine, start: int) -> None:
    _, claim = await confirmed(engine)
    async with engine.db.write() as session:
        await session.execute(sa.update(Claim).where(Claim.id == claim.id).values(status=ClaimStatus.CANCELLED))
    assert Code.CLAIM_MISSING in await codes(engine, start)


async def test_a_removal_that_is_not_deep_enough_waits(engine: Engine, start: int) -> None:
    holder = await funded(engine)
    case, claim = await confirmed(engine, holder.address)
    await send(engine, holder, claim.identity, REMOVE_CLAIM.calldata(bytes.fromhex(claim.onchain_id[2:])))
    deep = Reconciler(
        engine.db, engine.gateway, chain_id=CHAIN_ID, claim_issuer=engine.at.claim_issuer, depth=5, pause=0.0
    )
    await deep.step(first_block=start)
    assert await status_of(engine, case) == [ClaimStatus.CONFIRMED]
    await rpc(engine.url, "anvil_mine", hex(5))
    await deep.step(first_block=start)
    assert await status_of(engine, case) == [ClaimStatus.REMOVED]


async def claimwright(*argv: str) -> int:
    """In a thread: the command runs an event loop of its own."""
    return await asyncio.to_thread(cli.run, list(argv))


async def test_the_command_tells_mends_and_says_so_by_its_exit_code(
    engine: Engine, start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.deployment.save(tmp_path / "deployment.json")
    monkeypatch.setenv("DATABASE_URL", engine.db.url.render_as_string(hide_password=False))
    monkeypatch.setenv("CLAIMWRIGHT_CHAIN_ID", str(CHAIN_ID))
    monkeypatch.setenv("CLAIMWRIGHT_RPC_URL", engine.url)
    monkeypatch.setenv("CLAIMWRIGHT_DEPLOYMENT_FILE", str(tmp_path / "deployment.json"))
    holder = await funded(engine)
    case, claim = await confirmed(engine, holder.address)
    replay = ("reconcile", "--json", "--from-block", str(start))
    capsys.readouterr()
    assert await claimwright(*replay) == 0
    assert json.loads(capsys.readouterr().out)["agrees"] is True

    await send(engine, holder, claim.identity, REMOVE_CLAIM.calldata(bytes.fromhex(claim.onchain_id[2:])))
    assert await claimwright(*replay) == 1
    (chain,) = json.loads(capsys.readouterr().out)["chains"]
    (finding,) = chain["findings"]
    assert (finding["code"], finding["claim_id"], finding["repaired"]) == ("removed_by_holder", claim.id, False)
    assert await claimwright(*replay, "--repair") == 0
    assert await status_of(engine, case) == [ClaimStatus.REMOVED]

    monkeypatch.setenv("CLAIMWRIGHT_RPC_URL", "http://127.0.0.1:9")
    assert await claimwright(*replay) == 2
    assert "could not be checked" in capsys.readouterr().err
