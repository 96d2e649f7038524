"""How long from the provider's approval to a mined claim, and how much memory API and daemon take.

The whole stack runs as real processes. The clock starts when the approve call is sent to the Persona simulator, and
ends at the daemon's own record of `signed` and `mined`; webhook delivery, inbox, reading the decision again, queue,
preflight, signing, commit, send and the watcher's look are all inside. Two chains: one that mines each transaction at
once, and one with a block every second, where approvals are sent at moments spread evenly over the block. The
baseline in the same run is the bare chain: one signed transfer sent at the same moment of a block, until its receipt.
"""

import argparse
import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from issuer.chain import eip1559
from issuer.chain.gateway import Gateway
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.secrets import Secret
from scripts.stack import HOME, Stack, rpc
from tests.stores import fresh_store

WARM, ROUNDS = 3, 25
BLOCK_SECONDS = 1.0


def main(args: argparse.Namespace) -> int:
    with fresh_store(args.store) as first, fresh_store(args.store) as second:
        instant = asyncio.run(_measure(first, None))
        blocks = asyncio.run(_measure(second, BLOCK_SECONDS))
    result = {
        "benchmark": "latency",
        "store": args.store,
        "rounds": ROUNDS,
        "automine_to_signed_ms": instant["signed"],
        "automine_to_mined_ms": instant["mined"],
        "automine_bare_transfer_ms": instant["bare"],
        "block_seconds": BLOCK_SECONDS,
        "blocks_to_signed_ms": blocks["signed"],
        "blocks_to_mined_ms": blocks["mined"],
        "blocks_bare_transfer_ms": blocks["bare"],
        "over_bare_ms": round(blocks["mined"] - blocks["bare"], 1),
        "pss_mb": max(instant["pss"], blocks["pss"]),
    }
    if not args.json:
        for name, value in result.items():
            print(f"{name:28} {value}")
    print(json.dumps(result))
    return 0


async def _measure(database_url: str, block_time: float | None) -> dict[str, float]:
    async with Stack(HOME / "benchmark", database_url=database_url, block_time=block_time) as stack:
        signed, mined, bare = [], [], []
        for number in range(WARM + ROUNDS):
            await _moment(stack, number, block_time)
            to_signed, to_mined = await _one(stack)
            await _moment(stack, number, block_time)
            transfer = await _bare(stack)
            if number >= WARM:
                signed.append(to_signed)
                mined.append(to_mined)
                bare.append(transfer)
        pss = sum(_pss(pid) for name in ("api", "daemon") for pid in _family(stack.pids[name]))
    return {
        "signed": round(statistics.median(signed), 1),
        "mined": round(statistics.median(mined), 1),
        "bare": round(statistics.median(bare), 1),
        "pss": round(pss / 1024, 1),
    }


async def _moment(stack: Stack, number: int, block_time: float | None) -> None:
    """Wait for a new block and then for a tenth of its time more with each round."""
    if block_time is None:
        return
    before = await asyncio.to_thread(rpc, stack.rpc_url, "eth_blockNumber")
    while await asyncio.to_thread(rpc, stack.rpc_url, "eth_blockNumber") == before:
        await asyncio.sleep(0.002)
    await asyncio.sleep(number % 10 / 10 * block_time)


async def _one(stack: Stack) -> tuple[float, float]:
    """Milliseconds from the approve call to `signed` and to `mined`, for one fresh wallet."""
    async with (
        httpx.AsyncClient(base_url=stack.api_url, headers={"Authorization": f"Bearer {stack.api_key}"}) as dapp,
        httpx.AsyncClient(
            base_url=f"{stack.persona_url}/api/v1", headers={"Authorization": f"Bearer {stack.persona_api_key}"}
        ) as persona,
    ):
        wallet = "0x" + f"{time.time_ns():040x}"
        case = (await dapp.post("/v1/cases", json={"level": "basic", "wallet": wallet})).json()
        at = datetime.now(UTC)
        (await persona.post(f"/inquiries/{case['provider_ref']}/approve")).raise_for_status()
        async with asyncio.timeout(30):
            while True:
                answer = (await dapp.get(f"/v1/cases/{case['id']}/timeline")).json()
                times = {item["to"]: datetime.fromisoformat(item["at"]) for item in answer["items"]}
                if "mined" in times:
                    break
                await asyncio.sleep(0.02)
    return (times["signed"] - at).total_seconds() * 1000, (times["mined"] - at).total_seconds() * 1000


async def _bare(stack: Stack) -> float:
    """Milliseconds of one plain transfer, from send to receipt."""
    key = LocalSigner(bytes([7]) * 32)
    await asyncio.to_thread(rpc, stack.rpc_url, "anvil_setBalance", key.address, hex(10**18))
    gateway = Gateway(Secret(stack.rpc_url))
    try:
        unsigned = eip1559.UnsignedTransaction(
            chain_id=stack.chain_id,
            nonce=await gateway.nonce(key.address),
            tip=10**9,
            max_fee=100 * 10**9,
            gas_limit=21_000,
            to=key.address,
            data=b"",
        )
        signature = await checked_sign(key, eip1559.signing_message(unsigned))
        raw = eip1559.signed_bytes(unsigned, r=signature.r, s=signature.s, y_parity=signature.y_parity)
        start = time.perf_counter()
        await gateway.send([raw])
        while (await gateway.receipts([eip1559.transaction_hash(raw)]))[0] is None:
            await asyncio.sleep(0.005)
        return (time.perf_counter() - start) * 1000
    finally:
        await gateway.aclose()


def _family(pid: int) -> list[int]:
    """A process and its children, as Linux lists them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grand for child in children for grand in _family(int(child)))]


def _pss(pid: int) -> int:
    """Proportional set size in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
