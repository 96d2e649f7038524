"""Attribute blocklists (docs.withpersona.com/webhook-attribute-blocklists).

``name-*`` hides a key everywhere; ``/data/attributes/fields/name-*?type=inquiry`` hides it
there; a leading ``!`` exempts and always wins. Casing does not matter. Only attributes are
ever hidden, never ids, types or relationships.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scripts.persona_simulator.inflection import kebab
from scripts.persona_simulator.wire import JsonObject


@dataclass(frozen=True, slots=True)
class Pattern:
    parts: tuple[str, ...]
    anywhere: bool
    only_type: str | None
    exempts: bool

    def matches(self, path: tuple[str, ...], kind: str) -> bool:
        if self.only_type is not None and self.only_type != kind:
            return False
        if self.anywhere:
            return fnmatchcase(path[-1], self.parts[0])
        return len(path) == len(self.parts) and all(map(fnmatchcase, path, self.parts))


def parse(entry: str) -> Pattern:
    """Read one entry. Raises ValueError for an empty one."""
    exempts = entry.startswith("!")
    body, _, query = entry.removeprefix("!").partition("?")
    kind = query.removeprefix("type=") if query.startswith("type=") else None
    parts = tuple(kebab(part) for part in body.split("/") if part)
    if not parts:
        raise ValueError("an entry of api-attributes-blocklist is empty")
    return Pattern(parts, not body.startswith("/"), kind, exempts)


class Blocklist:
    """All entries of one webhook or API key."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        patterns = [parse(entry) for entry in entries]
        self._hides = [pattern for pattern in patterns if not pattern.exempts]
        self._exempts = [pattern for pattern in patterns if pattern.exempts]

    def apply(self, root: str, resource: JsonObject) -> JsonObject:
        """Return the resource without its hidden attributes.

        `root` is ``data`` or ``included``: where the resource stands in the document.
        """
        if not self._hides or "attributes" not in resource:
            return resource
        kept = self._walk(resource["attributes"], (root, "attributes"), resource["type"])
        return {**resource, "attributes": kept}

    def _walk(self, value: JsonObject, path: tuple[str, ...], kind: str) -> JsonObject:
        kept: JsonObject = {}
        for key, item in value.items():
            here = (*path, kebab(key))
            if self._hidden(here, kind):
                continue
            kept[key] = self._walk(item, here, kind) if isinstance(item, dict) else item
        return kept

    def _hidden(self, path: tuple[str, ...], kind: str) -> bool:
        if not any(pattern.matches(path, kind) for pattern in self._hides):
            return False
        return not any(pattern.matches(path, kind) for pattern in self._exempts)
