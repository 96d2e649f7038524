"""From our objects to Persona's JSON:API, in the version and casing that was asked for.

Two steps, because an event's payload is a snapshot: `Resources` writes the neutral form
at the moment something happens, `View` renders a neutral form for one reader later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from scripts.persona_simulator.blocklist import Blocklist
from scripts.persona_simulator.inflection import inflect, inflect_field, inflect_keys
from scripts.persona_simulator.model import Event, Snapshot
from scripts.persona_simulator.wire import JsonObject, milliseconds

FLAT_VERSION = "2023-01-05"
VERSIONS = (FLAT_VERSION, "2025-12-08")
NOT_TOP_LEVEL = frozenset({"current_government_id", "current_selfie"})


@dataclass(frozen=True, slots=True)
class View:
    """How one reader sees resources: an API call's headers, or a webhook's settings."""

    version: str = "2025-12-08"
    inflection: str = "kebab"
    blocklist: Blocklist = field(default_factory=Blocklist)
    relationships: bool = True
    sparse: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def resource(self, neutral: JsonObject, root: str = "data") -> JsonObject:
        """Render one neutral resource."""
        attributes: JsonObject = dict(neutral["attributes"])
        fields = attributes.pop("fields", None)
        if fields is not None:
            if self.version == FLAT_VERSION and neutral["type"] == "inquiry":
                attributes |= _flat(fields)
            attributes["fields"] = fields
        relationships = neutral.get("relationships")
        rendered: JsonObject = {"type": neutral["type"], "id": neutral["id"]}
        rendered["attributes"] = attributes
        wanted = self.sparse.get(neutral["type"])
        if wanted is not None:
            rendered["attributes"] = {k: v for k, v in attributes.items() if k in wanted}
        rendered = self.blocklist.apply(root, rendered)
        rendered["attributes"] = self._attributes(rendered["attributes"])
        if relationships is not None and self.relationships:
            if wanted is not None:
                # JSON:API counts relationships among the fields of a sparse request.
                relationships = {k: v for k, v in relationships.items() if k in wanted}
            if relationships or wanted is None:
                rendered["relationships"] = inflect_keys(relationships, self.inflection)
        return rendered

    def _attributes(self, attributes: JsonObject) -> JsonObject:
        rendered: JsonObject = {}
        for key, value in attributes.items():
            if key == "fields":
                rendered[key] = self._fields(value)
            else:
                rendered[inflect(key, self.inflection)] = inflect_keys(value, self.inflection)
        return rendered

    def _fields(self, fields: JsonObject) -> JsonObject:
        if self.version != FLAT_VERSION:
            return fields
        return {inflect_field(key, self.inflection): value for key, value in fields.items()}

    def document(self, neutral: JsonObject, included: Iterable[JsonObject]) -> JsonObject:
        """Render a single-resource document."""
        return {
            "data": self.resource(neutral),
            "included": [self.resource(item, "included") for item in included],
        }

    def event(self, event: Event, included: Iterable[JsonObject]) -> JsonObject:
        """Render an event with its payload, as ``GET /events`` and the webhooks show it."""
        payload = self.document(event.payload.data, included)
        if event.drop_included:
            del payload["included"]
        attributes = {
            "name": event.name,
            "payload": payload,
            inflect("created-at", self.inflection): milliseconds(event.created_at),
        }
        attributes |= inflect_keys(event.extra, self.inflection)
        return {"type": "event", "id": event.id, "attributes": attributes}


def _flat(fields: dict[str, Any]) -> JsonObject:
    """The personal data that older versions repeat at the top level."""
    return {key.replace("_", "-"): item["value"] for key, item in fields.items() if key not in NOT_TOP_LEVEL}


def select_included(snapshot: Snapshot, relationships: Iterable[str] | None) -> list[JsonObject]:
    """Pick the included resources: all for None, else those of the named relationships."""
    if relationships is None:
        return snapshot.included
    wanted: set[str] = set()
    for name in relationships:
        data = snapshot.data.get("relationships", {}).get(name.split(".")[0], {}).get("data")
        for reference in data if isinstance(data, list) else [data] if data else []:
            wanted.add(reference["id"])
    return [item for item in snapshot.included if item["id"] in wanted]
