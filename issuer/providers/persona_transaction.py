"""Persona's transaction: a check that is made of data alone, which nobody enters. No I/O.

Its `status` is a word of the customer's own, so which of them mean yes, no and look is configured; every other one is
still open. `fields` (a business, its people) is not declared below, so the decoder skips it without building it.

Source: persona-openapi 2025-12-08, https://docs.withpersona.com/transaction-api-first-lifecycle
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from issuer.providers.persona_custom import One, linked, yes_and_no
from issuer.providers.protocol import Outcome, Reading
from issuer.providers.wire import identifier, moment, reference

TYPE_PREFIX: Final = "txntp_"  # of the template that a level names; what Persona answers is not judged by its prefix
MARK: Final = "transaction-"  # how our check_ref of one begins: an inquiry's is Persona's bare id


class TransactionRules(msgspec.Struct, frozen=True, kw_only=True):
    """Words in lower case."""

    approved: frozenset[str] = frozenset({"approved"})
    declined: frozenset[str] = frozenset({"declined"})
    review: frozenset[str] = frozenset({"needs_review", "needs review", "errored"})


class _Relationships(msgspec.Struct, rename="kebab"):
    transaction_type: One | None = None


class _Attributes(msgspec.Struct, rename="kebab"):
    status: str
    reference_id: Any = None
    created_at: Any = None
    updated_at: Any = None


class _Transaction(msgspec.Struct):
    type: str
    id: str
    attributes: _Attributes
    relationships: _Relationships


class _Single(msgspec.Struct):
    data: _Transaction


_SINGLE = msgspec.json.Decoder(_Single)


def rules_from(options: Mapping[str, str]) -> TransactionRules:
    """Raises `SettingsError`."""
    approved, declined = yes_and_no(options, "PERSONA_TRANSACTION_APPROVED", "PERSONA_TRANSACTION_DECLINED")
    return TransactionRules(approved=approved, declined=declined)


def id_of(check_ref: str) -> str | None:
    """Persona's id of the transaction that a check is; None: it is none."""
    return identifier(check_ref.removeprefix(MARK)) if check_ref.startswith(MARK) else None


def read(body: bytes, rules: TransactionRules, *, environment: str, read_at: datetime) -> Reading | None:
    """None if the shape is wrong or it has no time. That one was redacted it does not say."""
    try:
        found = _SINGLE.decode(body).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    times = [at for at in (moment(found.attributes.updated_at), moment(found.attributes.created_at)) if at is not None]
    transaction_id = identifier(found.id)
    if found.type != "transaction" or transaction_id is None or not times:
        return None
    outcome = _outcome(found.attributes.status.strip().lower(), rules)
    return Reading(
        check_ref=MARK + transaction_id,
        outcome=outcome,
        status=f"transaction.{outcome}",
        reference=reference(found.attributes.reference_id),
        template=linked(found.relationships.transaction_type),
        environment=environment,
        evidence_at=max(times),
        decided_at=max(times) if outcome in (Outcome.APPROVED, Outcome.DECLINED) else None,
        redacted=False,
        read_at=read_at,
    )


def _outcome(status: str, rules: TransactionRules) -> Outcome:
    if status in rules.approved:
        return Outcome.APPROVED
    if status in rules.declined:
        return Outcome.DECLINED
    return Outcome.IN_REVIEW if status in rules.review else Outcome.SUBMITTED
