"""What the simulator is told at start-up, and the reasons it may refuse to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALLOWED_ENVIRONMENTS = ("development", "test")
SHORTEST_SECRET = 24
"""Characters. Persona's own secrets are longer; anything shorter was typed by hand."""

RECOMMENDED_EVENTS = (
    "inquiry.approved",
    "inquiry.declined",
    "inquiry.marked-for-review",
    "inquiry.completed",
    "inquiry.failed",
    "inquiry.expired",
    "inquiry.started",
    "inquiry.redacted",
    "account.redacted",
    "case.resolved",
    "case.reopened",
    "case.status-updated",
    "case.redacted",
    "transaction.created",
    "transaction.status-updated",
    *(
        f"report/{kind}.{what}"
        for kind in (
            "watchlist",
            "politically-exposed-person",
            "adverse-media",
            "business-watchlist",
            "business-adverse-media",
        )
        for what in ("matched", "dismissed")
    ),
)


class Refused(Exception):
    """The settings are not acceptable; the text is one line for the person starting us."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything fixed for the life of one simulator process."""

    api_keys: tuple[str, ...]
    webhook_secret: str | None
    webhook_url: str | None
    webhook_events: tuple[str, ...]
    template_ids: tuple[str, ...]
    environment_id: str
    organization_id: str
    redirect_hosts: tuple[str, ...]
    api_blocklist: tuple[str, ...]
    delivery_timeout: float
    """Seconds, of the wall clock: the receiver is real even when our clock is not."""
    base_url: str = "http://127.0.0.1"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _long_enough(name: str, value: str) -> str:
    if len(value) < SHORTEST_SECRET:
        raise Refused(f"{name} must be at least {SHORTEST_SECRET} characters long")
    return value


def read_settings(env: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables.

    Raises `Refused` outside development and test, and for a missing or short secret:
    there are no defaults, so a forgotten simulator can never be reached with a known key.
    """
    environment = env.get("CLAIMWRIGHT_ENV", "")
    if environment not in ALLOWED_ENVIRONMENTS:
        raise Refused(
            "the Persona simulator starts only when CLAIMWRIGHT_ENV is development or test, "
            f"not {environment or 'unset'}"
        )
    keys = _listed(env.get("PERSONA_SIM_API_KEY", ""))
    if not keys:
        raise Refused("PERSONA_SIM_API_KEY is missing; give a random key of your own")
    for key in keys:
        _long_enough("PERSONA_SIM_API_KEY", key)
    url = env.get("PERSONA_SIM_WEBHOOK_URL") or None
    secret = env.get("PERSONA_SIM_WEBHOOK_SECRET") or None
    if url and not secret:
        raise Refused("PERSONA_SIM_WEBHOOK_URL needs PERSONA_SIM_WEBHOOK_SECRET as well")
    if secret:
        _long_enough("PERSONA_SIM_WEBHOOK_SECRET", secret)
    templates = _listed(env.get("PERSONA_SIM_TEMPLATE_ID", ""))
    if not templates:
        raise Refused("PERSONA_SIM_TEMPLATE_ID is missing, for example itmpl_ and 28 characters")
    try:
        timeout = float(env.get("PERSONA_SIM_DELIVERY_TIMEOUT", "5"))
    except ValueError as error:
        raise Refused("PERSONA_SIM_DELIVERY_TIMEOUT must be a number of seconds") from error
    return Settings(
        api_keys=keys,
        webhook_secret=secret,
        webhook_url=url,
        webhook_events=_listed(env.get("PERSONA_SIM_WEBHOOK_EVENTS", "")) or RECOMMENDED_EVENTS,
        template_ids=templates,
        environment_id=env.get("PERSONA_SIM_ENVIRONMENT_ID") or "env_SimulatorSandbox000000000000",
        organization_id=env.get("PERSONA_SIM_ORGANIZATION_ID") or "org_SimulatorOrganization0000000",
        redirect_hosts=_listed(env.get("PERSONA_SIM_REDIRECT_HOSTS", "")) or ("localhost", "127.0.0.1"),
        api_blocklist=_listed(env.get("PERSONA_SIM_API_BLOCKLIST", "")),
        delivery_timeout=timeout,
    )
