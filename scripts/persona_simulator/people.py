"""The one invented person that every simulated inquiry is about.

The personal data is here on purpose: a leak scan that looks for `PII_CANARIES` in logs,
databases and chain data means something only if the data really passed through.
"""

from __future__ import annotations

from typing import Any

FIELD_TYPES: dict[str, str] = {
    "name_first": "string",
    "name_middle": "string",
    "name_last": "string",
    "birthdate": "date",
    "address_street_1": "string",
    "address_street_2": "string",
    "address_city": "string",
    "address_subdivision": "string",
    "address_postal_code": "string",
    "address_country_code": "string",
    "email_address": "string",
    "phone_number": "string",
    "identification_class": "string",
    "identification_number": "string",
    "selected_country_code": "string",
    "selected_id_class": "string",
    "current_government_id": "government_id",
    "current_selfie": "selfie",
}
"""Field key to type, in the template's own spelling and order."""

PERSON: dict[str, str] = {
    "name_first": "Testa",
    "name_last": "Examplesson",
    "birthdate": "1990-01-01",
    "address_street_1": "1 Example Way",
    "address_city": "Exampleton",
    "address_subdivision": "Exampleshire",
    "address_postal_code": "00000",
    "address_country_code": "SE",
    "email_address": "testa@example.com",
    "identification_class": "pp",
    "identification_number": "X0000000",
    "selected_country_code": "SE",
    "selected_id_class": "pp",
}

PII_CANARIES: tuple[str, ...] = (
    "Testa",
    "Examplesson",
    "1990-01-01",
    "1 Example Way",
    "Exampleton",
    "Exampleshire",
    "testa@example.com",
    "X0000000",
)
"""Strings that no log, table or chain may ever contain. Too short ones (SE, pp) are left out."""


def empty_fields() -> dict[str, dict[str, Any]]:
    """Return every field of the template with a null value."""
    return {key: {"type": kind, "value": None} for key, kind in FIELD_TYPES.items()}


def fill_in(fields: dict[str, dict[str, Any]]) -> None:
    """Fill what the person types on the first pages; prefilled values stay."""
    for key, value in PERSON.items():
        field = fields.setdefault(key, {"type": FIELD_TYPES[key], "value": None})
        if field["value"] is None:
            field["value"] = value
