"""Why a case stands where it stands: every code, and who may be told it. Data and functions of values.

A code that names a watchlist, a politically exposed person, adverse media or suspected fraud is for compliance alone:
telling its subject, or a dapp that might, can be an offence of its own ("tipping off").
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from issuer.errors import InvalidInput


class Audience(StrEnum):
    """Who reads an output. Compliance may read everything."""

    COMPLIANCE = "compliance"
    DAPP = "dapp"
    SUBJECT = "subject"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """`says` is for people; `acts` are the acts of a person that may give it, none for those that only we give."""

    says: str
    audience: frozenset[Audience]
    acts: frozenset[str] = frozenset()


_ALL = frozenset(Audience)
_DAPP = frozenset({Audience.COMPLIANCE, Audience.DAPP})
_COMPLIANCE = frozenset({Audience.COMPLIANCE})
_NO = frozenset({"decline"})
_YES = frozenset({"approve", "lift", "clear"})

REASONS: dict[str, Reason] = {
    # What we say ourselves of a case, by its status.
    "declined_by_provider": Reason(says="the provider declined the check", audience=_ALL),
    "declined_by_person": Reason(says="a person declined the case", audience=_ALL),
    "revoked_by_person": Reason(says="a person took the claims back", audience=_ALL),
    "wallet_changed": Reason(says="the person is verified with another wallet now", audience=_ALL),
    "check_failed": Reason(says="the check could not be completed", audience=_ALL),
    "check_expired": Reason(says="the check was not finished in time", audience=_ALL),
    "required_check_missing": Reason(says="approved without a verification that the level requires", audience=_DAPP),
    # What a person may give for a decline.
    "document_unreadable": Reason(says="the document cannot be read", audience=_ALL, acts=_NO),
    "document_expired": Reason(says="the document has expired", audience=_ALL, acts=_NO),
    "document_not_accepted": Reason(says="this kind of document is not accepted", audience=_ALL, acts=_NO),
    "selfie_mismatch": Reason(says="the face does not match the document", audience=_ALL, acts=_NO),
    "data_mismatch": Reason(says="what was entered differs from the document", audience=_ALL, acts=_NO),
    "underage": Reason(says="below the age that is asked for", audience=_ALL, acts=_NO),
    "place_not_served": Reason(says="from a place that is not served", audience=_ALL, acts=_NO),
    "duplicate_person": Reason(says="the person is verified with another wallet", audience=_DAPP, acts=_NO),
    "watchlist_hit": Reason(says="on a sanctions or watch list", audience=_COMPLIANCE, acts=_NO),
    "pep_hit": Reason(says="a politically exposed person", audience=_COMPLIANCE, acts=_NO),
    "adverse_media_hit": Reason(says="in adverse media", audience=_COMPLIANCE, acts=_NO),
    "suspected_fraud": Reason(says="fraud is suspected", audience=_COMPLIANCE, acts=_NO),
    "other": Reason(says="something else, kept in the compliance file", audience=_COMPLIANCE, acts=_NO | _YES),
    "record_redacted": Reason(says="the provider's record was erased", audience=_DAPP),
    # What a person may give for an approval, or for taking an own decline back.
    "evidence_accepted": Reason(says="the evidence was looked at and accepted", audience=_DAPP, acts=_YES),
    "false_positive": Reason(says="a hit was looked at and is about somebody else", audience=_COMPLIANCE, acts=_YES),
    "decided_in_error": Reason(says="the earlier decision was a mistake", audience=_COMPLIANCE, acts=_YES),
}


# A person who is that is it with every wallet and at every level.
ABOUT_THE_PERSON = frozenset({"watchlist_hit", "suspected_fraud", "underage", "duplicate_person"})


def shown(codes: Iterable[str], audience: Audience) -> list[str]:
    """Those of these codes that this audience may read. A code that nobody knows is for compliance."""
    return [code for code in codes if audience is Audience.COMPLIANCE or _may_read(code, audience)]


def checked(code: str, act: str) -> str:
    """Raises `InvalidInput("reason")` unless a person may give this code for this act."""
    known = sorted(name for name, reason in REASONS.items() if act in reason.acts)
    if code not in known:
        raise InvalidInput("reason", f"must be one of {', '.join(known)}")
    return code


def _may_read(code: str, audience: Audience) -> bool:
    reason = REASONS.get(code)
    return reason is not None and audience in reason.audience
