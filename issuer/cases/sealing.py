"""What a decision is sealed with: whoever cannot make the MAC cannot make a claim's grounds."""

from datetime import datetime

import msgspec

from issuer.cases.levels import LEVELS, Policy
from issuer.cases.tables import Case, Decision
from issuer.db import EPOCH, MICROSECOND
from issuer.secrets import KeyRing

DECISION_MAC = "decision"


class Backing(msgspec.Struct, frozen=True):
    """Of a case, what its decision is sealed with and who asked for it: plain data, for thousands of them."""

    tenant_id: str
    id: str
    subject_id: str
    level: str
    wallet: str
    identity: str | None
    chain_ids: list[int]
    provider: str
    environment: str
    template: str
    check_ref: str | None
    proof_message: str | None
    proof_signature: str | None


class Sealed(msgspec.Struct, frozen=True):
    """Of a decision, what it is and what seals it: plain data, for thousands of them."""

    id: str
    case_id: str
    outcome: str
    provider_status: str
    decided_at: datetime
    read_at: datetime
    policy: str | None
    mac: str


def decision_message(case: Case | Backing, decision: Decision | Sealed) -> bytes:
    """Everything that a claim will rest on, in one canonical form: change any of it and the MAC no longer fits."""
    parts = {
        "tenant": case.tenant_id,
        "case": case.id,
        "subject": case.subject_id,
        "wallet": case.wallet,
        "chains": case.chain_ids,
        "level": case.level,
        "provider": case.provider,
        "environment": case.environment,
        "check": case.check_ref,
        "template": case.template,
        "decision": decision.id,
        "outcome": decision.outcome,
        "status": decision.provider_status,
        "decided_at": (decision.decided_at - EPOCH) // MICROSECOND,
        "read_at": (decision.read_at - EPOCH) // MICROSECOND,
    }
    if case.identity is not None:  # decisions of cases that name none are sealed as they were before this was asked
        parts["identity"] = case.identity
    if decision.policy is not None:
        parts["policy"] = decision.policy
    return msgspec.json.encode(parts, order="deterministic")


def policy_of(case: Case | Backing, decision: Decision | Sealed) -> Policy | None:
    """What a decision allows: the policy sealed with it.

    None: it is no policy, as nothing sealed can be; or the decision is from before policies, and its level is no more.
    """
    if decision.policy is not None:
        try:
            return msgspec.json.decode(decision.policy, type=Policy)
        except msgspec.DecodeError:  # and ValidationError, which is one of them
            return None
    level = LEVELS.get(case.level)
    return None if level is None else level.policy()


def is_proved(case: Case | Backing, decision: Decision | Sealed, keys: KeyRing) -> bool:
    """Did a daemon that holds the decision key read exactly this decision for exactly this case?"""
    return keys.verify(DECISION_MAC, decision_message(case, decision), decision.mac)
