"""From queued claims to mined ones: how many a second, beside the naive way and beside the chain alone.

    benchmarks/run issue [--store sqlite|postgresql] [--form signed|hosted] [--claims 10000] [--stored 0] --json

Ours: cases stood as approved with queued claims before; the clock runs from the start of the daemon's process to its
own record of the last `mined`. Then the chain is put back to where it was, and the limit is measured: the very
transactions that the daemon made, signed beforehand, sent raw in order, until their receipts are read. The naive way:
web3's AsyncWeb3, one transaction for each claim, its receipt awaited before the next (30 claims, all of one signed
claim each, whatever `--form` says).

The chain is anvil with `--block-time 1 --gas-limit 3000000000`. `--stored` puts that many confirmed claims into the
store first, to show whether a claim costs more among many.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from benchmarks.ledger import (
    BLOCK_GAS,
    BLOCK_SECONDS,
    CHAIN_ID,
    LEVEL,
    TOPIC,
    Chain,
    Ledger,
    chain,
    cpu_seconds,
    daemon,
    resident_mb,
    wallet_of,
)
from issuer.chain.eip1559 import transaction_hash
from issuer.chain.tables import Attempt, Transaction, TransactionClaim
from issuer.claims.rules import HOSTED, SIGNED, ClaimStatus
from issuer.claims.tables import Claim
from issuer.history import History
from tests.stores import fresh_store

NAIVE_CLAIMS = 30
SENT_TOGETHER = 10  # raw transactions in one request, which keeps a request under a megabyte
PATIENCE_SECONDS = 600.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=[SIGNED, HOSTED], default=SIGNED)
    parser.add_argument("--claims", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=1, help="senders, each with a lane of its own")
    parser.add_argument("--daemons", type=int, default=1, help="replicas; PostgreSQL alone takes more than one")
    parser.add_argument("--stored", type=int, default=0, help="confirmed claims that are in the store already")


def main(args: argparse.Namespace) -> int:
    with fresh_store(args.store) as url, tempfile.TemporaryDirectory(prefix="claimwright-issue-") as folder:
        result = asyncio.run(_measure(args, url, Path(folder)))
    if not args.json:
        for name, value in result.items():
            print(f"{name:28} {value}")
    print(json.dumps({"benchmark": "issue"} | result))
    return 0


async def _measure(args: argparse.Namespace, database_url: str, folder: Path) -> dict[str, Any]:
    async with chain(folder, senders=args.lanes) as where:
        ledger = Ledger(database_url, where, folder)
        try:
            await ledger.fill(args.stored)
            wallets = await ledger.queue(args.claims, args.form)
            before = await where.rpc("evm_snapshot")
            naive = await _naive(where)
            await where.rpc("evm_revert", before)
            before = await where.rpc("evm_snapshot")
            ours = await _ours(ledger, args.claims, folder, args.daemons)
            assert await where.verified(wallets) == args.claims, "the registry does not know all of them"
            raw = await _sent(ledger)
            await where.rpc("evm_revert", before)
            limit_seconds = await _limit(where, raw)
        finally:
            await ledger.db.aclose()
    rate, limit = args.claims / ours["seconds"], args.claims / limit_seconds
    return {
        "store": args.store,
        "form": args.form,
        "lanes": args.lanes,
        "daemons": args.daemons,
        "claims": args.claims,
        "stored": args.stored,
        "claims_per_second": round(rate, 1),
        "naive_per_second": round(naive, 2),
        "times_naive": round(rate / naive, 1),
        "limit_per_second": round(limit, 1),
        "share_of_limit": round(rate / limit, 3),
        "transactions": len(raw),
        "block_seconds": BLOCK_SECONDS,
        "block_gas": BLOCK_GAS,
        **{name: value for name, value in ours.items() if name != "seconds"},
    }


async def _ours(ledger: Ledger, count: int, folder: Path, daemons: int) -> dict[str, Any]:
    """Seconds until all are mined, and what the daemons took for it together."""
    node = psutil.Process(ledger.chain.pid)
    node_before = cpu_seconds(node)
    started = datetime.now(UTC)
    memory: list[float] = []
    with ExitStack() as stack:
        processes = [stack.enter_context(daemon(ledger, folder, number)) for number in range(daemons)]
        until = time.monotonic() + PATIENCE_SECONDS
        while await _any_left(ledger):
            if time.monotonic() > until:
                raise RuntimeError("not all claims were mined in time")
            if any(process.status() == psutil.STATUS_ZOMBIE for process in processes):
                break  # its last words are told on the way out
            memory.append(sum(map(resident_mb, processes)))
            await asyncio.sleep(0.25)
        cpu, node_cpu = sum(map(cpu_seconds, processes)), cpu_seconds(node) - node_before
    async with ledger.db.read() as session:
        mined = sa.select(sa.func.max(History.at), sa.func.count()).where(History.target == ClaimStatus.MINED)
        last, rows = (await session.execute(mined)).one()
        signed = sa.select(sa.func.min(History.at), sa.func.max(History.at)).where(History.target == ClaimStatus.SIGNED)
        first_signed, last_signed = (await session.execute(signed)).one()
        transactions = await session.scalar(sa.select(sa.func.count(sa.distinct(TransactionClaim.transaction_id))).join(
            Transaction, Transaction.id == TransactionClaim.transaction_id).join(
            Attempt, Attempt.transaction_id == Transaction.id).where(Attempt.max_fee_per_gas > 1))  # fmt: skip
    assert rows == count, f"{rows} claims were mined, not {count}"
    nonces = sum([await ledger.chain.gateway.nonce(sender) for sender in ledger.chain.senders])
    assert nonces == transactions, "a nonce is not accounted for"
    return {
        "seconds": (last - started).total_seconds(),
        "until_first_signed": round((first_signed - started).total_seconds(), 2),
        "until_last_signed": round((last_signed - started).total_seconds(), 2),
        "until_last_mined": round((last - started).total_seconds(), 2),
        "daemon_cpu_ms_per_claim": round(cpu / count * 1000, 3),
        "node_cpu_ms_per_claim": round(node_cpu / count * 1000, 3),
        "rss_mb_early": round(memory[len(memory) // 4], 1),
        "rss_mb_end": round(memory[-1], 1),
    }


async def _any_left(ledger: Ledger) -> bool:
    """A look that costs the store nothing."""
    waiting = (ClaimStatus.QUEUED, ClaimStatus.SIGNED)
    async with ledger.db.read() as session:
        found = sa.select(Claim.id).where(Claim.chain_id == CHAIN_ID, Claim.status.in_(waiting)).limit(1)
        return await session.scalar(found) is not None


async def _sent(ledger: Ledger) -> list[bytes]:
    """What the daemon put on the wire, in order."""
    async with ledger.db.read() as session:
        statement = (
            sa.select(Attempt.raw)
            .join(Transaction, Transaction.id == Attempt.transaction_id)
            .where(Attempt.max_fee_per_gas > 1)
            .order_by(Transaction.nonce)
        )
        return list(await session.scalars(statement))


async def _limit(where: Chain, raw: list[bytes]) -> float:
    """Seconds from the first byte sent to the last receipt read."""
    hashes = [transaction_hash(item) for item in raw]
    began = time.perf_counter()
    for start in range(0, len(raw), SENT_TOGETHER):
        await where.gateway.send(raw[start : start + SENT_TOGETHER])
    while None in await where.gateway.receipts(hashes[-len(where.senders) :]):
        await asyncio.sleep(0.02)
    for start in range(0, len(hashes), SENT_TOGETHER):
        receipts = await where.gateway.receipts(hashes[start : start + SENT_TOGETHER])
        assert all(receipt is not None and receipt.succeeded for receipt in receipts)
    return time.perf_counter() - began


async def _naive(where: Chain) -> float:
    """Claims a second as one writes it first."""
    from eth_account import Account
    from eth_utils.crypto import keccak
    from web3 import AsyncHTTPProvider, AsyncWeb3

    from issuer.chain.abi import artifact
    from issuer.claims import rules

    web3 = AsyncWeb3(AsyncHTTPProvider(where.url))
    try:
        sender, signer = Account.from_key(where.sender_keys[0]), Account.from_key(where.claim_signer_key)
        issuer = web3.eth.contract(address=where.contracts["ClaimIssuer"], abi=artifact("ClaimIssuer").abi)
        factory = web3.eth.contract(address=where.contracts["IdentityFactory"], abi=artifact("IdentityFactory").abi)
        domain = rules.domain_separator(CHAIN_ID, issuer.address)
        began = time.perf_counter()
        for number in range(NAIVE_CLAIMS):
            wallet = wallet_of(f"naive {number}")
            identity = await factory.functions.predict(wallet, issuer.address).call()
            now = (await web3.eth.get_block("latest"))["timestamp"]
            word = rules.Word(
                epoch=0, issued_at=now, expires_at=now + LEVEL.validity_seconds, commitment=bytes(21)
            ).pack()
            message = rules.claim_message(domain=domain, identity=identity, topic=TOPIC, word=word)
            signed = Account.unsafe_sign_hash(keccak(message), signer.key)
            signature = rules.compact_signature(signed.r, signed.s, signed.v - 27)
            call = issuer.functions.onboard([(wallet, [(TOPIC, rules.SCHEME_ECDSA, signature, word, "")])])
            nonce = await web3.eth.get_transaction_count(sender.address)
            transaction = await call.build_transaction({"from": sender.address, "nonce": nonce, "gas": 3_000_000})
            sent = await web3.eth.send_raw_transaction(sender.sign_transaction(transaction).raw_transaction)
            receipt = await web3.eth.wait_for_transaction_receipt(sent)
            assert receipt["status"] == 1
        return NAIVE_CLAIMS / (time.perf_counter() - began)
    finally:
        await web3.provider.disconnect()
