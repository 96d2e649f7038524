"""Which providers this installation speaks to, keyed by (provider name, environment)."""

from collections.abc import Callable, Mapping

from issuer.providers import idenfy, onfido, persona, persona_webhook, sumsub, veriff
from issuer.providers.protocol import Provider, WebhookDoor
from issuer.providers.vendors import PRODUCTION, SANDBOX, ProviderSettings
from issuer.settings import ApiSettings, Settings

Key = tuple[str, str]

# A vendor's two halves. The door's half imports no HTTP client. `tolerance` in seconds, for those that sign a time.
DOORS: Mapping[str, Callable[[ProviderSettings, int], WebhookDoor]] = {
    "persona": persona_webhook.open_door,
    "idenfy": idenfy.open_door,
    "onfido": onfido.open_door,
    "sumsub": sumsub.open_door,
    "veriff": veriff.open_door,
}
PROVIDERS: Mapping[str, Callable[[ProviderSettings], Provider]] = {
    "persona": persona.open_provider,
    "idenfy": idenfy.open_provider,
    "onfido": onfido.open_provider,
    "sumsub": sumsub.open_provider,
    "veriff": veriff.open_provider,
}


def doors(settings: ApiSettings) -> dict[Key, WebhookDoor]:
    """One door per configured environment. Raises `SettingsError`."""
    tolerance = settings.webhook_tolerance_seconds
    return {_key(one): DOORS[one.vendor](one, tolerance) for one in settings.providers}


def providers(settings: Settings) -> dict[Key, Provider]:
    """One API client per environment; the caller closes them. Raises `SettingsError`."""
    return {_key(one): PROVIDERS[one.vendor](one) for one in settings.providers}


def templates(settings: Settings) -> dict[Key, str]:
    """The provider's template that a check is opened with."""
    return {_key(one): one.template for one in settings.providers}


def for_new_cases(settings: Settings, *, local: bool, vendor: str | None = None) -> Key:
    """Where a new case's check is opened: the first provider, or the named one.

    With both environments configured, a local chain takes sandbox checks and a live one never does.
    """
    name = vendor or settings.providers[0].vendor
    names = [one.environment for one in settings.providers if one.vendor == name]
    wanted = SANDBOX if local else PRODUCTION
    return (name, wanted if wanted in names else names[0])


def _key(one: ProviderSettings) -> Key:
    return (one.vendor, one.environment)
