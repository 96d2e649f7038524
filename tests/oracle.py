"""The judge of every crash and chaos test: the chain from a given block on, beside the database. Reads only.

Whatever happened in between, once all is settled: one effective claim for each approved case and none otherwise, each
nonce of a sender used by one transaction that the database knows, no claim on chain that it does not know, none twice,
and nothing left waiting or held.
"""

from collections import Counter
from itertools import pairwise
from typing import Any

import httpx
import sqlalchemy as sa
from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from sqlalchemy.orm import aliased

from issuer.cases.rules import CaseStatus
from issuer.cases.tables import Case, Decision
from issuer.chain import contracts, store
from issuer.chain.deployment import Deployment
from issuer.chain.gateway import Gateway
from issuer.chain.rules import OPEN, TxStatus
from issuer.chain.tables import Transaction, TransactionClaim
from issuer.claims.rules import ClaimStatus
from issuer.claims.tables import Claim
from issuer.db import Database
from issuer.inbox.tables import InboxEvent
from issuer.secrets import Secret

WAITING = frozenset({ClaimStatus.QUEUED, ClaimStatus.SIGNED, ClaimStatus.MINED, ClaimStatus.REVOKING})
BATCH = 100


class Oracle:
    """`since`: the newest block before anything of this database was sent."""

    def __init__(self, db: Database, rpc_url: str, deployment: Deployment, *, since: int) -> None:
        self._db = db
        self._url = rpc_url
        self._deployment = deployment
        self._since = since

    async def unsettled(self) -> list[str]:
        """What is still on its way, or held: empty once there is nothing left to wait for."""
        async with self._db.read() as session:
            claims = list(await session.scalars(sa.select(Claim).where(Claim.status.in_(WAITING))))
            transactions = list(await session.scalars(sa.select(Transaction).where(Transaction.status.in_(OPEN))))
            events = list(await session.scalars(sa.select(InboxEvent).where(InboxEvent.handled_at.is_(None))))
            lanes = await store.lanes(session)
            lacking = list(await session.scalars(_lacking()))
        return [
            *(f"claim {claim.id} is {claim.status}" for claim in claims),
            *(f"nonce {transaction.nonce} is {transaction.status}" for transaction in transactions),
            *(f"case {case_id} is approved and lacks its claim" for case_id in lacking),
            *(f"event {event.id} is not handled" for event in events),
            *(f"lane {lane.sender} is held: {lane.held_because}" for lane in lanes if lane.held_because),
        ]

    async def problems(self) -> list[str]:
        """Everything that is wrong, one line each."""
        async with self._db.read() as session:
            self._lanes = await store.lanes(session)
            self._transactions = list(await session.scalars(sa.select(Transaction).order_by(Transaction.nonce)))
            self._attempts = await store.attempts(session, [row.id for row in self._transactions])
            self._links = list(await session.scalars(sa.select(TransactionClaim)))
            self._claims = list(await session.scalars(sa.select(Claim).order_by(Claim.id)))
            self._cases = list(await session.scalars(sa.select(Case)))
            self._decisions = list(await session.scalars(sa.select(Decision).order_by(Decision.id)))
        return [
            *await self.unsettled(),
            *await self._nonces(),
            *self._fees(),
            *self._carried(),
            *await self._added(),
            *await self._effective(),
        ]

    async def _nonces(self) -> list[str]:
        """Chain and database name the same transaction under each nonce that our senders used."""
        found = []
        mined = await self._mined([lane.sender for lane in self._lanes])
        for lane in self._lanes:
            first, used = await self._rpc(
                ("eth_getTransactionCount", [lane.sender, hex(self._since)]),
                ("eth_getTransactionCount", [lane.sender, "latest"]),
            )
            ours = {row.nonce: row for row in self._transactions if row.lane_id == lane.id}
            if sorted(ours) != list(range(int(first, 16), int(used, 16))):
                found.append(f"{lane.sender} used nonces {int(first, 16)} to {int(used, 16)}, we know {sorted(ours)}")
            if lane.next_nonce != int(used, 16):
                found.append(f"{lane.sender} is at nonce {int(used, 16)} on chain and at {lane.next_nonce} here")
            for nonce, row in ours.items():
                on_chain = mined.get((lane.sender, nonce))
                if row.status == TxStatus.DEAD and on_chain not in {each.hash for each in self._attempts[row.id]}:
                    continue  # a stranger's, as the database says
                if on_chain != row.mined_hash or on_chain not in {each.hash for each in self._attempts[row.id]}:
                    found.append(f"nonce {nonce} is {on_chain} on chain and {row.mined_hash} here")
        return found

    def _fees(self) -> list[str]:
        """A second signed form exists only as a raise that nodes accept: 10 % on both fees."""
        found = []
        for rows in self._attempts.values():
            for old, new in pairwise(rows):
                for name in ("max_fee_per_gas", "max_priority_fee_per_gas"):
                    if getattr(new, name) * 10 < getattr(old, name) * 11:
                        found.append(f"attempt {new.hash} does not raise {name} by a tenth")
        return found

    def _carried(self) -> list[str]:
        """A claim that stands names the transaction that carried it, and that one was mined."""
        mined = {row.id: row.mined_hash for row in self._transactions}
        carried: dict[tuple[str, str], set[str | None]] = {}
        for link in self._links:
            carried.setdefault((link.claim_id, link.purpose), set()).add(mined[link.transaction_id])
        found = [
            f"claim {claim.id} names {claim.tx_hash}, which did not carry it"
            for claim in self._claims
            if claim.status == ClaimStatus.CONFIRMED and claim.tx_hash not in carried.get((claim.id, "issue"), set())
        ]
        found += [
            f"claim {claim.id} was revoked by {claim.revoked_tx_hash}, which did not carry it"
            for claim in self._claims
            if claim.revoked_tx_hash and claim.revoked_tx_hash not in carried.get((claim.id, "revoke"), set())
        ]
        return found

    async def _added(self) -> list[str]:
        """Each claim that our ClaimIssuer put on an identity is one that we know, and was put there once."""
        known = {(claim.identity, claim.word) for claim in self._claims}
        carried: dict[tuple[str, str], Counter[tuple[str, int]]] = {}
        for key, place in await self._words():
            carried.setdefault(key, Counter())[place] += 1
        return [
            *(f"a claim on {identity} is not ours: {word}" for identity, word in carried.keys() - known),
            *(
                f"a claim went to {key[0]} {times(places)} times: {sorted(places)}; {self._story(key)}"
                for key, places in carried.items()
                if times(places) > 1
            ),
        ]

    def _story(self, key: tuple[str, str]) -> str:
        """What the database says of a claim: each transaction that was to carry it, in the order of nonces."""
        ids = {claim.id: claim for claim in self._claims if (claim.identity, claim.word) == key}
        links = {(link.transaction_id, link.purpose) for link in self._links if link.claim_id in ids}
        sent = [
            f"{purpose} nonce {row.nonce} {row.status} {row.mined_hash}"
            for row in self._transactions
            for transaction_id, purpose in links
            if transaction_id == row.id
        ]
        return "; ".join([*(f"{claim.id} is {claim.status}" for claim in ids.values()), *sent])

    async def _effective(self) -> list[str]:
        """Approved and not taken back: exactly one claim, and contracts see it. Otherwise none, and they do not."""
        approvals = {
            decision.case_id: decision.id for decision in self._decisions if decision.outcome == CaseStatus.APPROVED
        }
        effective: dict[str, list[str]] = {}
        wallets: dict[str, list[Case]] = {}
        for case in self._cases:
            wallets.setdefault(case.wallet, []).append(case)
        for claim in self._claims:
            if claim.status == ClaimStatus.CONFIRMED:
                effective.setdefault(claim.wallet, []).append(claim.case_id)
        found = []
        verified = await self._verified(list(wallets))
        for wallet, cases in wallets.items():
            backed = [case.id for case in cases if case.status == CaseStatus.APPROVED and not case.person_ruling]
            newest = max((case.id for case in cases), key=lambda each: approvals.get(each, ""))
            # The newest approval superseded the others: once it is taken back, theirs may stand or have gone with it.
            allowed = [[newest]] if newest in backed else [[], *([each] for each in backed)]
            standing = effective.get(wallet, [])
            if standing not in allowed:
                found.append(f"{wallet} has claims of cases {standing} and may have those of {allowed}")
            if verified[wallet] is not bool(standing):
                found.append(f"contracts see {wallet} as {'' if verified[wallet] else 'not '}verified")
        return found

    async def _verified(self, wallets: list[str]) -> dict[str, bool]:
        registry = self._deployment.contracts["ClaimIssuerRegistry"]
        topics = {claim.wallet: int(claim.topic) for claim in self._claims}
        asked = [wallet for wallet in wallets if wallet in topics]
        gateway = Gateway(Secret(self._url))
        try:
            answers = await gateway.call([contracts.is_verified(registry, each, topics[each]) for each in asked])
        finally:
            await gateway.aclose()
        seen = {wallet: contracts.decode_bool(answer) for wallet, answer in zip(asked, answers, strict=True)}
        return {wallet: seen.get(wallet, False) for wallet in wallets}

    async def _mined(self, senders: list[str]) -> dict[tuple[str, int], str]:
        """(sender, nonce) > hash of every transaction of our senders since."""
        (head,) = await self._rpc(("eth_blockNumber", []))
        numbers = range(self._since + 1, int(head, 16) + 1)
        blocks = await self._rpc(*(("eth_getBlockByNumber", [hex(number), True]) for number in numbers))
        ours = {sender.lower(): sender for sender in senders}
        return {
            (ours[each["from"]], int(each["nonce"], 16)): each["hash"]
            for block in blocks
            if block is not None  # anvil forgets some after many reorgs; what was in one is then missing, and told
            for each in block["transactions"]
            if each["from"] in ours
        }

    async def _words(self) -> list[tuple[tuple[str, str], tuple[str, int]]]:
        """(identity, claim word) of each claim of our ClaimIssuer that an identity says it took.

        And where: (transaction, block).
        """
        issuer = "0x" + self._deployment.contracts["ClaimIssuer"][2:].lower().rjust(64, "0")
        kinds = ["0x" + each.hex() for each in (contracts.CLAIM_ADDED, contracts.CLAIM_CHANGED)]
        wanted = {"fromBlock": hex(self._since + 1), "toBlock": "latest", "topics": [kinds, None, None, issuer]}
        (logs,) = await self._rpc(("eth_getLogs", [wanted]))
        return [
            (
                (str(to_checksum_address(log["address"])), _word(log["data"])),
                (str(log["transactionHash"]), int(log["blockNumber"], 16)),
            )
            for log in logs
        ]

    async def _rpc(self, *questions: tuple[str, list[Any]]) -> list[Any]:
        answers: list[Any] = []
        async with httpx.AsyncClient(timeout=20) as client:
            for start in range(0, len(questions), BATCH):
                body = [
                    {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                    for number, (method, params) in enumerate(questions[start : start + BATCH])
                ]
                batch = (await client.post(self._url, json=body)).json()
                answers += [each["result"] for each in sorted(batch, key=lambda each: each["id"])]
        return answers


def times(places: Counter[tuple[str, int]]) -> int:
    """How often a claim was put there, by (transaction, block).

    A transaction has a nonce and runs once. After many reorgs anvil goes on listing one in the block that it was taken
    from, beside the block that it is in now; so of each transaction the fullest block counts, and no second one.
    """
    fullest: dict[str, int] = {}
    for (transaction, _), count in places.items():
        fullest[transaction] = max(count, fullest.get(transaction, 0))
    return sum(fullest.values())


def _lacking() -> sa.Select[tuple[str]]:
    """Approved cases whose newest decision has no claim, though no other case of the wallet was approved later."""
    other, later = aliased(Case), aliased(Decision)
    decisions = sa.select(sa.func.max(Decision.id)).where(Decision.case_id == Case.id)
    newest = decisions.correlate(Case).scalar_subquery()  # it stands two levels down, where nothing is found by itself
    return sa.select(Case.id).where(
        Case.status == CaseStatus.APPROVED,
        Case.person_ruling.is_(None),
        Case.redacted_at.is_(None),
        ~sa.exists().where(Claim.decision_id == newest),
        ~sa.exists().where(
            other.wallet == Case.wallet,
            later.case_id == other.id,
            later.id > newest,
            later.outcome == CaseStatus.APPROVED,
        ),
    )


def _word(data: str) -> str:
    _, _, word, _ = decode(["uint256", "bytes", "bytes", "string"], bytes.fromhex(data[2:]))
    return "0x" + word.hex()
