"""Everything that proves one case, in one signed document: `claimwright case evidence`.

It holds what an auditor or a court asks for and nothing of the person: the policy and its version, what the provider
decided under which of its ids, which people ruled, what the wallet's owner signed, the transactions and their blocks,
the opening of each commitment, and where all of it stands in the audit chain.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncSession

from issuer import history
from issuer.access import store as access
from issuer.audit import rules, store
from issuer.audit.rules import AuditKey
from issuer.cases import store as cases
from issuer.cases.tables import Case, Decision
from issuer.claims import store as claims
from issuer.claims.queueing import SALT
from issuer.claims.tables import Claim
from issuer.history import History
from issuer.reviews import store as reviews
from issuer.secrets import KeyRing

FORMAT = "claimwright evidence 1"


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the exact text that was hashed and signed. `signature`: Ed25519 in hex; empty without a key."""

    format: str
    document: str
    sha256: str
    public_key: str
    signature: str


async def gather(session: AsyncSession, case_id: str, tenant_id: str, data_keys: KeyRing | None) -> dict[str, Any]:
    """One case and all that stands behind it. Without `data_keys` the commitments stay closed. Raises `NotFound`."""
    case = await cases.get(session, case_id, tenant_id)
    decisions = await cases.decisions_of(session, case_id)
    own = (await claims.of_cases(session, [case_id]))[case_id]
    rulings = await reviews.of_case(session, case_id)
    moves = await history.of_case(session, case_id)
    people = {one.id: one for one in await access.list_operators(session, tenant_id)}
    refs = [*(row.id for row in decisions), *(row.id for row in rulings), *(row.id for row in moves)]
    entries = await store.of_refs(session, refs)
    heads = await store.heads(session, from_seq=max((link.seq for link, _ in entries), default=0))
    named = {row.proposed_by for row in rulings} | {row.seconded_by for row in rulings if row.seconded_by}
    return {
        "case": _case(case),
        "consent": {"notice": case.notice, "message": case.proof_message, "signature": case.proof_signature},
        "decisions": [_decision(row) for row in decisions],
        "rulings": [_plain(row, "status", "act", "reason", "seen", "refusal", "told", *_HALVES) for row in rulings],
        "operators": [_plain(people[one], "name", "public_key", "revoked_at") for one in sorted(named & people.keys())],
        "claims": [_claim(row, case, data_keys) for row in own],
        "timeline": [_move(row) for row in moves],
        "audit": [{**msgspec.to_builtins(link), "hash": stored} for link, stored in entries],
        "head": msgspec.to_builtins(heads[0]) if entries and heads else None,
    }


def sign(content: Mapping[str, Any], key: AuditKey | None) -> Signed:
    document = msgspec.json.encode(content).decode()
    digest = sha256(document.encode()).hexdigest()
    return Signed(
        format=FORMAT,
        document=document,
        sha256=digest,
        public_key="" if key is None else key.public_key,
        signature="" if key is None else key.sign_bundle(digest),
    )


def problems(bundle: Signed, public_key: str) -> list[str]:
    """What is wrong with a bundle, for somebody who has the public key from elsewhere; empty if it is sound."""
    wrong = []
    if sha256(bundle.document.encode()).hexdigest() != bundle.sha256:
        wrong.append("the document is not the one that was signed")
    if not rules.is_signed_bundle(public_key, bundle.sha256, bundle.signature):
        wrong.append("it is not signed by this audit key")
    return wrong


_HALVES = (
    "proposed_by", "proposed_at", "proposal_signature", "seconded_by", "seconded_at", "second_signature",
)  # fmt: skip


def _plain(row: Any, *names: str) -> dict[str, Any]:  # noqa: ANN401 - any table row
    return {"id": row.id, **{name: getattr(row, name) for name in names}}


def _case(case: Case) -> dict[str, Any]:
    return _plain(
        case, "status", "level", "wallet", "identity", "chain_ids", "provider", "environment", "template", "check_ref",
        "subject_id", "reference", "person_ruling", "redacted_at", "created_at", "updated_at",
    )  # fmt: skip


def _decision(row: Decision) -> dict[str, Any]:
    policy = None if row.policy is None else msgspec.json.decode(row.policy)
    return {**_plain(row, "outcome", "provider_status", "decided_at", "read_at", "mac"), "policy": policy}


def _claim(row: Claim, case: Case, data_keys: KeyRing | None) -> dict[str, Any]:
    shown = _plain(
        row, "decision_id", "status", "topic", "chain_id", "issuer", "identity", "onchain_id", "form", "word",
        "signature", "signer", "tx_hash", "block_number", "valid_until", "revoke_reason", "revoked_tx_hash",
    )  # fmt: skip
    return {**shown, "opening": _opening(row, case, data_keys)}


def _opening(row: Claim, case: Case, data_keys: KeyRing | None) -> dict[str, str] | None:
    """What the commitment in the word was made of; None if it cannot be opened here, or was shredded."""
    if data_keys is None or not row.salt:
        return None
    try:
        salt = data_keys.open(SALT, row.salt, row=row.id)
    except (InvalidTag, KeyError, ValueError):
        return None
    return {
        "salt": "0x" + salt.hex(),
        "case_id": case.id,
        "level": case.level,
        "provider": case.provider,
        "environment": case.environment,
    }


def _move(row: History) -> dict[str, Any]:
    return _plain(row, "claim_id", "at", "source", "target", "cause", "detail")
