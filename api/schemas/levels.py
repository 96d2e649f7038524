"""Levels, and the templates behind them."""

import msgspec

from issuer.providers.registry import Template


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Template]


class LevelView(msgspec.Struct, frozen=True, kw_only=True):
    """A named policy: its claim topics (decimal) and how long a claim lives.

    `available`: can a case be opened at it here? If not, it names no template of a configured provider.
    """

    name: str
    says: str
    available: bool
    topics: list[str]
    validity_seconds: int
    form: str


class LevelList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[LevelView]
