"""What a changed levels file would have decided on cases of the past. Pure: the cases are given.

Nothing is re-decided: decisions stay sealed with their own policy. This is for who is about to change the file.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from issuer.cases.levels import Level, Policy


class Change(StrEnum):
    """One way in which the new policy differs for one case."""

    SAME = "same"
    NO_LEVEL = "level is gone: no approval"
    TOPICS_ADDED = "more topics"
    TOPICS_DROPPED = "fewer topics"
    SHORTER = "claims end sooner"
    LONGER = "claims last longer"
    FORM = "another form of claim"
    CHAINS_DROPPED = "fewer chains"
    HIT_WAITS = "a screening hit would wait for a person"
    HIT_REVOKES = "a screening hit would revoke"
    CHECK_MISSING = "without a required check: it would wait for a person"
    SOONER = "a new check is due sooner"
    LATER = "a new check is due later"
    TWO_PEOPLE = "the approval by one person would need two"


class PastCase(msgspec.Struct, frozen=True, kw_only=True):
    """An approval as it was made. `policy` None: from before policies were sealed. `passed`: kinds of its checks."""

    level: str
    policy: Policy | None
    chain_ids: tuple[int, ...]
    had_hits: bool
    approved_by: int
    provider: str = ""
    passed: frozenset[str] = frozenset()


def compare(case: PastCase, levels: Mapping[str, Level]) -> set[Change]:
    """How the approval would have differed under these levels; `{SAME}` if it would not have."""
    level = levels.get(case.level)
    if level is None:
        return {Change.NO_LEVEL}
    found = _claims(case.policy, level)
    if level.chains and set(case.chain_ids) - set(level.chains):
        found.add(Change.CHAINS_DROPPED)
    if case.had_hits and level.on_hit != "ignore":
        found.add(Change.HIT_REVOKES if level.on_hit == "revoke" else Change.HIT_WAITS)
    if case.approved_by == 0 and level.requires(case.provider) - case.passed:
        found.add(Change.CHECK_MISSING)
    if case.approved_by == 1 and level.review == "two":
        found.add(Change.TWO_PEOPLE)
    return found or {Change.SAME}


def _claims(policy: Policy | None, level: Level) -> set[Change]:
    if policy is None:
        return set()
    found = set()
    before, after = set(policy.topics), set(level.topics)
    if after - before:
        found.add(Change.TOPICS_ADDED)
    if before - after:
        found.add(Change.TOPICS_DROPPED)
    if level.validity_seconds != policy.validity_seconds:
        found.add(Change.SHORTER if level.validity_seconds < policy.validity_seconds else Change.LONGER)
    if level.form != policy.form:
        found.add(Change.FORM)
    if level.reverify_seconds != policy.reverify_seconds:
        sooner = (level.reverify_seconds or math.inf) < (policy.reverify_seconds or math.inf)
        found.add(Change.SOONER if sooner else Change.LATER)
    return found
