"""What only the claim signer can make: words with their signatures, and the leave of a hosted batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from cryptography.exceptions import InvalidTag

from issuer.cases.sealing import Backing
from issuer.chain import contracts
from issuer.chain.contracts import Authorization
from issuer.chain.gateway import Head
from issuer.chain.signer import Signature, Signer, checked_sign, checked_sign_all
from issuer.chain.transactions import Plan
from issuer.claims import rules
from issuer.claims.batches import Prepared, gas, is_signed_alone, lane_prefix
from issuer.claims.plain import Queued
from issuer.claims.queueing import SALT
from issuer.claims.rules import Word
from issuer.claims.settle import ISSUE
from issuer.secrets import KeyRing

log = structlog.get_logger(__name__)

LEAVE_SECONDS = 24 * 60 * 60  # how long a hosted batch may wait to be mined


class ClaimSigning:
    """`claim_issuer`: the contract that the signatures are for."""

    def __init__(self, signer: Signer, *, chain_id: int, claim_issuer: str, data_keys: KeyRing) -> None:
        self._signer = signer
        self._claim_issuer = claim_issuer
        self._domain = rules.domain_separator(chain_id, claim_issuer)
        self._data_keys = data_keys

    @property
    def address(self) -> str:
        """Whose signatures these are (EIP-55)."""
        return self._signer.address

    async def sign(
        self,
        claims: Sequence[Queued],
        cases: Mapping[str, Backing],
        epochs: Mapping[str, int],
        head: Head,
        ends: Mapping[str, datetime],
    ) -> tuple[list[Prepared], list[Queued]]:
        """The claims signed, in their order, and those of which no word can be made. `epochs` by claim id.

        `ends` by case id: until when its decision supports claims, where that has an end.
        `cases` are the ones that were compared with their sealed decisions, not a later reading of the same rows.
        """
        words: dict[str, bytes] = {}
        for claim in claims:
            word = self._word(claim, cases[claim.case_id], epochs[claim.id], head, ends.get(claim.case_id))
            if word is not None:
                words[claim.id] = word
        signed = [claim for claim in claims if claim.id in words and is_signed_alone(claim)]
        messages = [self._message(claim, words[claim.id]) for claim in signed]
        made = await checked_sign_all(self._signer, messages)
        signatures = {claim.id: _compact(signature) for claim, signature in zip(signed, made, strict=True)}
        prepared = [
            Prepared(claim=claim, word=words[claim.id], signature=signatures.get(claim.id))
            for claim in claims
            if claim.id in words
        ]
        return prepared, [claim for claim in claims if claim.id not in words]

    def _word(self, claim: Queued, case: Backing, epoch: int, head: Head, end: datetime | None) -> bytes | None:
        """None: the salt does not open, or a number does not fit. That is this claim's trouble and nobody else's."""
        try:
            salt = self._data_keys.open(SALT, claim.salt, row=claim.id)
            return Word(
                epoch=epoch,
                issued_at=head.timestamp,
                expires_at=rules.expires_at(head.timestamp, claim.validity_seconds, end),
                commitment=rules.commitment(
                    salt=salt,
                    case_id=case.id,
                    level=case.level,
                    provider=case.provider,
                    environment=case.environment,
                ),
            ).pack()
        except (InvalidTag, KeyError, ValueError, OverflowError) as error:
            log.error("claim_not_made", claim_id=claim.id, case_id=case.id, reason=type(error).__name__)
            return None

    def _message(self, claim: Queued, word: bytes) -> bytes:
        return rules.claim_message(domain=self._domain, identity=claim.identity, topic=int(claim.topic), word=word)

    async def plan(self, batch: Sequence[Prepared], head: Head, *, sender: str, nonce: int) -> Plan:
        """The transaction of a batch. `nonce` is the sender's: a leave's own is made of it, and counts once."""
        calldata = await self._calldata(batch, head, (lane_prefix(sender) << 64) | nonce)
        return Plan(purpose=ISSUE, recipient=self._claim_issuer, calldata=calldata, gas_limit=gas(batch, calldata))

    async def _calldata(self, batch: Sequence[Prepared], head: Head, nonce: int) -> bytes:
        """Signed claims speak for themselves; a hosted batch carries the signer's leave: a gas key cannot mint."""
        first = batch[0].claim
        if first.foreign:
            return contracts.add_claims_to([item.addition() for item in batch])
        if first.form == rules.SIGNED:
            return contracts.onboard([item.onboarding() for item in batch])
        items, topic = [item.hosted() for item in batch], int(first.topic)
        deadline = head.timestamp + LEAVE_SECONDS
        message = rules.batch_message(
            domain=self._domain,
            topic=topic,
            items=contracts.hosted_items(items),
            nonce=nonce,
            deadline=deadline,
        )
        leave = Authorization(
            nonce=nonce, deadline=deadline, signature=_compact(await checked_sign(self._signer, message))
        )
        return contracts.onboard_hosted(topic, items, leave)


def _compact(signature: Signature) -> bytes:
    return rules.compact_signature(signature.r, signature.s, signature.y_parity)
