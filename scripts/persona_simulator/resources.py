"""The neutral form of each resource: kebab keys, the template's own field keys."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from scripts.persona_simulator.model import (
    INQUIRY_TIMES,
    Account,
    Case,
    Inquiry,
    Part,
    Session,
    Snapshot,
    Transaction,
    Webhook,
)
from scripts.persona_simulator.wire import JsonObject, seconds

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World


def ref(kind: str, key: str | None) -> JsonObject:
    return {"data": {"type": kind, "id": key} if key else None}


def inquiry(world: World, item: Inquiry) -> JsonObject:
    """An inquiry; a deep copy, so later changes do not reach snapshots."""
    attributes: JsonObject = {
        "status": item.status,
        "reference-id": item.reference_id,
        "note": item.note,
        "behaviors": item.behaviors,
        "tags": item.tags,
        "creator": item.creator,
        "reviewer-comment": item.reviewer_comment,
    }
    attributes |= {name: seconds(item.times.get(name)) for name in INQUIRY_TIMES}
    attributes |= {"previous-step-name": item.previous_step, "next-step-name": item.next_step}
    attributes |= {"fields": item.fields, **item.extra_attributes}
    relationships: JsonObject = {
        "account": ref("account", item.account_id),
        "template": ref("template", None),
        "inquiry-template": ref("inquiry-template", item.template_id),
        "inquiry-template-version": ref("inquiry-template-version", item.template_version_id),
        "transaction": ref("transaction", None),
        "reviewer": ref(*item.reviewer) if item.reviewer else ref("user", None),
        "reports": world.refs(item.reports),
        "verifications": world.refs(item.verifications),
        "sessions": {"data": [{"type": "inquiry-session", "id": key} for key in item.sessions]},
        "documents": world.refs(item.documents),
        "selfies": world.refs(item.selfies),
    }
    return {
        "type": "inquiry",
        "id": item.id,
        "attributes": copy.deepcopy(attributes),
        "relationships": relationships,
    }


def account(item: Account) -> JsonObject:
    return {
        "type": "account",
        "id": item.id,
        "attributes": {
            "reference-id": item.reference_id,
            "account-type-name": "User",
            "account-status": "Default",
            "created-at": seconds(item.created_at),
            "updated-at": seconds(item.updated_at),
            "redacted-at": seconds(item.redacted_at),
            "fields": {},
            "tags": list(item.tags),
        },
        "relationships": {"account-type": ref("account-type", item.type_id)},
    }


_NO_DEVICE: dict[str, Any] = {
    "ip-address": "127.0.0.1",
    "user-agent": None,
    "os-name": None,
    "os-full-version": None,
    "device-type": "desktop",
    "device-name": None,
    "browser-name": None,
    "browser-full-version": None,
    "mobile-sdk-name": None,
    "mobile-sdk-full-version": None,
    "device-handoff-method": None,
    "is-proxy": False,
    "is-tor": False,
    "is-datacenter": False,
    "is-vpn": False,
    "threat-level": "low",
    "country-code": "SE",
    "country-name": "Sweden",
    "region-code": None,
    "region-name": None,
    "latitude": 0.0,
    "longitude": 0.0,
}


def session(item: Session) -> JsonObject:
    return {
        "type": "inquiry-session",
        "id": item.id,
        "attributes": {
            "status": item.status,
            "created-at": seconds(item.created_at),
            "started-at": seconds(item.started_at),
            "expired-at": seconds(item.expired_at),
            **_NO_DEVICE,
        },
        "relationships": {"inquiry": ref("inquiry", item.inquiry_id)},
    }


def part(item: Part) -> JsonObject:
    return {
        "type": item.type,
        "id": item.id,
        "attributes": copy.deepcopy(item.attributes),
        "relationships": {
            "inquiry": ref("inquiry", item.inquiry_id),
            "account": ref("account", item.account_id),
        },
    }


def case(world: World, item: Case) -> JsonObject:
    known = [world.inquiries[key] for key in item.inquiries if key in world.inquiries]
    accounts = [one.account_id for one in known if one.account_id is not None]
    attributes: JsonObject = {
        "status": item.status,
        "name": item.name,
        "resolution": item.resolution,
        "created-at": seconds(item.created_at),
        "updated-at": seconds(item.updated_at),
        "assigned-at": None,
        "resolved-at": seconds(item.resolved_at),
        "redacted-at": seconds(item.redacted_at),
        "sla-expires-at": None,
        "creator-id": "testa.exempelsson@example.com",
        "creator-type": "user",
        "tags": [],
        "fields": {},
        "attachments": [],
    }
    return {
        "type": "case",
        "id": item.id,
        "attributes": attributes,
        "relationships": {
            "accounts": {"data": [{"type": "account", "id": key} for key in accounts]},
            "case-comments": {"data": []},
            "case-template": ref("case-template", item.template_id),
            "case-queue": ref("case-queue", None),
            "inquiries": {"data": [{"type": "inquiry", "id": key} for key in item.inquiries]},
            "reports": {"data": []},
            "verifications": {"data": []},
            "txns": {"data": []},
        },
    }


def transaction(item: Transaction) -> JsonObject:
    return {
        "type": "transaction",
        "id": item.id,
        "attributes": {
            "status": item.status,
            "reference-id": item.reference,
            "fields": copy.deepcopy(item.fields),
            "tags": [],
            "created-at": seconds(item.created_at),
            "updated-at": seconds(item.updated_at),
        },
        "relationships": {
            "reviewer": ref("user", None),
            "transaction-label": ref("transaction-label", None),
            "transaction-type": ref("transaction-type", item.type_id),
            "related-objects": {"data": []},
        },
    }


def template(template_id: str, version_id: str) -> list[JsonObject]:
    """The template and its published version."""
    return [
        {
            "type": "inquiry-template",
            "id": template_id,
            "attributes": {"status": "active", "name": "Simulated KYC"},
            "relationships": {"latest-published-version": ref("inquiry-template-version", version_id)},
        },
        {
            "type": "inquiry-template-version",
            "id": version_id,
            "attributes": {"status": "published", "name-display": "Simulated KYC"},
            "relationships": {"inquiry-template": ref("inquiry-template", template_id)},
        },
    ]


def webhook(item: Webhook) -> JsonObject:
    return {
        "type": "webhook",
        "id": item.id,
        "attributes": {
            "status": item.status,
            "name": item.name,
            "description": item.description,
            "url": item.url,
            "secret": item.secrets[0].value,
            "secrets": [{"value": secret.value, "expires-at": seconds(secret.expires_at)} for secret in item.secrets],
            "api-version": item.api_version,
            "api-key-inflection": item.api_key_inflection,
            "api-attributes-blocklist": list(item.attributes_blocklist),
            "file-access-token-expires-in": item.file_access_token_expires_in,
            "enabled-events": list(item.enabled_events),
            "payload-filter": copy.deepcopy(item.payload_filter),
            "custom-http-headers": dict(item.custom_http_headers),
            "included-allowlist": item.included_allowlist,
            "relationship-allowlist": item.relationship_allowlist,
            "created-at": seconds(item.created_at),
        },
    }


def inquiry_snapshot(world: World, item: Inquiry) -> Snapshot:
    """An inquiry with everything it could include, as it stands now."""
    included: list[JsonObject] = []
    if item.account_id in world.accounts:
        included.append(account(world.accounts[item.account_id]))
    included += template(item.template_id, item.template_version_id)
    included += [session(world.sessions[key]) for key in item.sessions if key in world.sessions]
    parts = [*item.verifications, *item.documents, *item.selfies, *item.reports]
    included += [part(world.parts[key]) for key in parts if key in world.parts]
    return Snapshot(inquiry(world, item), included)
