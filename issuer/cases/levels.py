"""Levels: named policies, read from a file. Each decision is sealed with the policy that it was made under.

`levels.toml` beside this file is what is shipped; a process may use another one, named once when it starts.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from issuer.cases.rules import OnHit
from issuer.errors import InvalidInput, SettingsError
from issuer.providers.vendors import ENVIRONMENTS, VENDORS

LEVELS_FILE = "CLAIMWRIGHT_LEVELS_FILE"
BASIC_TOPIC = 0x434C0001  # contracts/TOPICS.md
DAY_SECONDS = 24 * 60 * 60
SHIPPED = Path(__file__).with_name("levels.toml")
_NAME = re.compile(r"[a-z0-9_-]{1,64}")

Form = Literal["signed", "hosted"]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an approval at a level allows: sealed with the decision, so that a later file changes nothing about it.

    `topics` are ERC-735 claim topics, `validity_seconds` a claim's life, `version` a hash of all that the level says.
    `reverify_seconds`: how long after the decision it supports claims at all; None: for as long as it stands.
    """

    level: str
    version: str
    topics: tuple[int, ...]
    validity_seconds: int
    form: Form = "signed"
    reverify_seconds: int | None = None

    def supports_until(self, decided_at: datetime) -> datetime | None:
        """When a decision of then is too old for any claim. None: never."""
        return None if self.reverify_seconds is None else decided_at + timedelta(seconds=self.reverify_seconds)


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """A policy, and where its checks are made.

    `providers` in the order of preference, the next for when one is out, empty for any; `by_country` others for people
    of a country (ISO 3166-1 alpha-2); `templates` by provider and environment. Without a template
    there the level cannot be asked for, unless `default_template` lets it take the provider's own. `chains` empty: all
    configured ones. `on_redaction`: what becomes of claims when the provider's record is erased; `on_hit`: when
    screening finds somebody. `required`: by provider, the verifications that must have passed before its approval is
    taken for one. `review`: how many people it takes to approve a case by hand. `reverify_seconds`: as in `Policy`.
    `expire_seconds`: how long a check may stand unfinished without a word from its provider; None: for ever.
    `attempts`: after how many a subject needs a reset; None: any number. `wallets_per_person`: with how many a person
    may be verified at once.
    """

    name: str
    says: str
    topics: tuple[int, ...]
    validity_seconds: int
    form: Form = "signed"
    chains: tuple[int, ...] = ()
    providers: tuple[str, ...] = ()
    by_country: Mapping[str, tuple[str, ...]] = {}
    templates: Mapping[str, Mapping[str, str]] = {}
    default_template: bool = False
    on_redaction: Literal["keep", "review", "revoke"] = "keep"
    on_hit: OnHit = "review"
    required: Mapping[str, tuple[str, ...]] = {}
    review: Literal["one", "two"] = "two"
    reverify_seconds: int | None = None
    expire_seconds: int | None = None
    attempts: int | None = None
    wallets_per_person: int | None = None

    def policy(self) -> Policy:
        version = sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]
        return Policy(
            level=self.name,
            version=version,
            topics=self.topics,
            validity_seconds=self.validity_seconds,
            form=self.form,
            reverify_seconds=self.reverify_seconds,
        )

    def requires(self, provider: str) -> frozenset[str]:
        """The kinds of verification, in the provider's words, without which an approval of its waits for people."""
        return frozenset(self.required.get(provider, ()))

    def template(self, provider: str, environment: str, default: str) -> str | None:
        """What a check at this level is opened with there. None: the level is not set up for it."""
        own = self.templates.get(provider, {}).get(environment)
        return own or (default if self.default_template else None)


_Kind = Annotated[str, Meta(pattern="^[a-z0-9-]{1,64}$")]


class _LevelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    says: Annotated[str, Meta(min_length=1, max_length=200)]
    topics: Annotated[list[str | int], Meta(min_length=1, max_length=15)]
    validity_days: Annotated[int, Meta(ge=1, le=36_500)]
    form: Form = "signed"
    chains: tuple[int, ...] = ()
    providers: tuple[str, ...] = ()
    by_country: dict[Annotated[str, Meta(pattern="^[A-Z]{2}$")], tuple[str, ...]] = {}
    templates: dict[str, dict[str, Annotated[str, Meta(min_length=1, max_length=200)]]] = {}
    default_template: bool = False
    on_redaction: Literal["keep", "review", "revoke"] = "keep"
    on_hit: OnHit = "review"
    required: dict[str, Annotated[tuple[_Kind, ...], Meta(min_length=1, max_length=20)]] = {}
    review: Literal["one", "two"] = "two"
    reverify_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    expire_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    attempts: Annotated[int, Meta(ge=1, le=1000)] | None = None
    wallets_per_person: Annotated[int, Meta(ge=1, le=1000)] | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    levels: Annotated[dict[str, _LevelRow], Meta(min_length=1)]
    topics: dict[str, int] = {}


def read(text: str) -> dict[str, Level]:
    """The levels of a file's text. Raises `SettingsError` naming what is wrong with it."""
    try:
        file = msgspec.toml.decode(text, type=_File)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(LEVELS_FILE, f"is no levels file: {error}") from None
    return {name: _level(name, row, file.topics) for name, row in file.levels.items()}


def use(path: str) -> None:
    """Make a file's levels those of this process; an empty path means the shipped ones. Once, before any work."""
    try:
        text = (Path(path) if path else SHIPPED).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(LEVELS_FILE, f"cannot be read: {type(error).__name__}") from None
    found = read(text)
    LEVELS.clear()
    LEVELS.update(found)


def level(name: str) -> Level:
    """Raises `InvalidInput("level")` for a name that is no level."""
    found = LEVELS.get(name)
    if found is None:
        raise InvalidInput("level", f"no such level; known: {', '.join(sorted(LEVELS))}")
    return found


def all_topics() -> list[int]:
    """Every topic that some level issues, in order."""
    return sorted({topic for one in LEVELS.values() for topic in one.topics})


def _level(name: str, row: _LevelRow, topics: Mapping[str, int]) -> Level:
    if not _NAME.fullmatch(name):
        raise SettingsError(LEVELS_FILE, f"level {name!r}: a name has 1 to 64 of a-z 0-9 _ -")
    routed = {vendor for vendors in row.by_country.values() for vendor in vendors}
    unknown = sorted((set(row.providers) | routed | row.templates.keys() | row.required.keys()) - VENDORS.keys())
    silent = sorted(vendor for vendor in row.required.keys() & VENDORS.keys() if not VENDORS[vendor].tells_parts)
    environments = {environment for each in row.templates.values() for environment in each}
    if unknown:
        raise SettingsError(LEVELS_FILE, f"level {name}: no provider {unknown[0]!r}; known: {', '.join(VENDORS)}")
    if silent:
        raise SettingsError(LEVELS_FILE, f"level {name}: {silent[0]} names no single checks, so none can be required")
    if environments - set(ENVIRONMENTS):
        raise SettingsError(LEVELS_FILE, f"level {name}: templates are for {' and '.join(ENVIRONMENTS)}")
    return Level(
        name=name,
        says=row.says,
        topics=tuple(_topic(name, topic, topics) for topic in row.topics),
        validity_seconds=row.validity_days * DAY_SECONDS,
        form=row.form,
        chains=row.chains,
        providers=row.providers,
        by_country=row.by_country,
        templates=row.templates,
        default_template=row.default_template,
        on_redaction=row.on_redaction,
        on_hit=row.on_hit,
        required=row.required,
        review=row.review,
        reverify_seconds=_seconds(row.reverify_days),
        expire_seconds=_seconds(row.expire_days),
        attempts=row.attempts,
        wallets_per_person=row.wallets_per_person,
    )


def _seconds(days: int | None) -> int | None:
    return None if days is None else days * DAY_SECONDS


def _topic(name: str, topic: str | int, topics: Mapping[str, int]) -> int:
    number = topics.get(topic) if isinstance(topic, str) else topic
    if number is None:
        raise SettingsError(LEVELS_FILE, f"level {name}: topic {topic!r} has no number under [topics]")
    if not 0 < number < 2**63:  # TOML knows no larger one
        raise SettingsError(LEVELS_FILE, f"level {name}: topic {topic!r} is out of range")
    return number


LEVELS: dict[str, Level] = read(SHIPPED.read_text(encoding="utf-8"))
