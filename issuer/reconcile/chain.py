"""What the chain says: the events that name our ClaimIssuer, and how each (identity, topic) stands now. Reads only.

Any contract can emit an event that names us, so an event proves nothing: it says where to look. What counts is that
the Identity shows the claim and that our ClaimIssuer vouches for it.
"""

from collections.abc import AsyncIterator, Collection, Sequence

import msgspec

from issuer.chain import contracts
from issuer.chain.asking import ask_each
from issuer.chain.contracts import ClaimInput
from issuer.chain.gateway import Event, Gateway
from issuer.claims import rules as claim_rules
from issuer.errors import ChainError
from issuer.reconcile.rules import Key, OnChain

FIRST_SPAN, SPAN = 4, 2_000  # blocks in one question, at first and at most: many public nodes allow no more
MANY_EVENTS = 2_000  # in one answer, which is some 2 MB then: the next question is about fewer blocks


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """The last event about a key; `removed`: the last of those that concern the Identity was a removal."""

    block_number: int
    tx_hash: str
    removed: bool


class ChainReader:
    """One chain through one gateway. `claim_issuer` in EIP-55."""

    def __init__(self, gateway: Gateway, claim_issuer: str) -> None:
        self._gateway = gateway
        self._issuer = claim_issuer
        self._span = FIRST_SPAN

    async def touched(self, first: int, last: int) -> dict[Key, Touch]:
        """Every key that an event of these blocks names, with its last one."""
        found: dict[Key, Touch] = {}
        texts: dict[str, str] = {}  # each once: a full transaction has a hundred events
        async for event in self._events(first, last):
            key = self._key(event)
            if key is None:
                continue
            kind, before = event.log.topics[0], found.get(key)
            removed = kind == contracts.CLAIM_REMOVED
            if kind == contracts.SUBJECT_REVOKED and before is not None:
                removed = before.removed  # a revocation takes nothing off the Identity
            tx_hash = texts.setdefault(event.tx_hash, event.tx_hash)
            found[key] = Touch(block_number=event.block_number, tx_hash=tx_hash, removed=removed)
        return found

    async def look(self, keys: Collection[Key], touches: dict[Key, Touch], believed: int) -> list[OnChain]:
        """How each key stands now. `believed`: the newest block that no reorg is expected to take."""
        asked = sorted(keys)
        calls = []
        for identity, topic in asked:
            calls.append(contracts.epoch_of(self._issuer, identity, int(topic)))
            calls.append(contracts.get_claim(identity, claim_rules.onchain_id(self._issuer, int(topic))))
        answers = await ask_each(self._gateway, calls)
        claims = [contracts.decode_claim(answer) for answer in answers[1::2]]
        claims = [
            claim if claim is not None and claim.topic == int(topic) else None
            for claim, (_, topic) in zip(claims, asked, strict=True)
        ]
        valid = await self._validity(asked, claims)
        found = []
        for key, epoch, shown, vouched, answer in zip(asked, answers[::2], claims, valid, answers[1::2], strict=True):
            touch = touches.get(key)
            found.append(
                OnChain(
                    identity=key[0],
                    topic=key[1],
                    epoch=contracts.decode_uint(epoch),
                    shown=None if shown is None else "0x" + shown.data.hex(),
                    valid=vouched,
                    removed=touch is not None and touch.removed,
                    settled=touch is None or touch.block_number <= believed,
                    readable=answer is not None,
                )
            )
        return found

    async def _validity(self, keys: Sequence[Key], claims: Sequence[ClaimInput | None]) -> list[bool]:
        shown = [(key, claim) for key, claim in zip(keys, claims, strict=True) if claim is not None]
        calls = [contracts.is_claim_valid(self._issuer, key[0], claim) for key, claim in shown]
        answers = await ask_each(self._gateway, calls)
        vouched = {
            key for (key, _), answer in zip(shown, answers, strict=True) if answer and contracts.decode_bool(answer)
        }
        return [key in vouched for key in keys]

    async def _events(self, first: int, last: int) -> AsyncIterator[Event]:
        while first <= last:
            end = min(first + self._span - 1, last)
            try:
                events = await self._ask(first, end)
            except ChainError:
                await self._gateway.head()
                if first == end:
                    raise
                self._span = (end - first + 1) // 2  # the node thinks it too much, or we do
                continue
            self._span = next_span(self._span, end - first + 1, len(events))
            for event in events:
                yield event
            first = end + 1

    async def _ask(self, first: int, last: int) -> list[Event]:
        kinds = [contracts.CLAIM_ADDED, contracts.CLAIM_CHANGED, contracts.CLAIM_REMOVED]
        ours = bytes(12) + bytes.fromhex(self._issuer[2:])
        claims = await self._gateway.logs(first, last, [kinds, None, None, [ours]])
        revoked = await self._gateway.logs(first, last, [[contracts.SUBJECT_REVOKED]], address=self._issuer)
        return sorted(claims + revoked, key=lambda event: (event.block_number, event.index))

    def _key(self, event: Event) -> Key | None:
        """None for an event that only looks like one of ours."""
        topics = event.log.topics
        if topics[0] == contracts.SUBJECT_REVOKED and len(topics) == 3:
            return contracts.address_of(topics[1]), str(int.from_bytes(topics[2], "big"))
        if len(topics) != 4:
            return None
        topic = int.from_bytes(topics[2], "big")
        ours = topics[1] == claim_rules.onchain_id(self._issuer, topic)
        return (event.log.address, str(topic)) if ours else None


def next_span(span: int, blocks: int, events: int) -> int:
    """How many blocks the next question is about, when this one of `blocks` found so many events."""
    if events > MANY_EVENTS:
        return max(1, blocks * MANY_EVENTS // events)
    return min(span * 2, SPAN) if blocks == span else span
