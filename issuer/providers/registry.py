"""Which providers this installation speaks to, keyed by (provider name, environment)."""

from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from issuer.cases.levels import LEVELS, Level
from issuer.providers import idenfy, onfido, persona, persona_webhook, sumsub, veriff
from issuer.providers.breaker import Guarded
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


def providers(settings: Settings) -> dict[Key, Guarded]:
    """One API client per environment behind its breaker, for its own template and those of the levels.

    The caller closes them. Raises `SettingsError`.
    """
    return {_key(one): Guarded(PROVIDERS[one.vendor](_with_levels(one))) for one in settings.providers}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Where a check is opened, and with what."""

    provider: str
    environment: str
    template: str


def way(
    settings: Settings, level: Level, *, live: bool, country: str | None = None, out: Collection[Key] = ()
) -> Way | None:
    """Where a new case's check at `level` is opened: at the first provider, of the level's for the country, of the
    level's or of the settings', that has a template for it and is not `out`. None: the level is not set up here.

    With all of them out it is the first, which may be back by then. With both environments configured, live chains
    take production's checks and others the sandbox's.
    """
    ways = list(_ways(settings, level, PRODUCTION if live else SANDBOX, country))
    return next((one for one in ways if (one.provider, one.environment) not in out), ways[0] if ways else None)


def _ways(settings: Settings, level: Level, wanted: str, country: str | None) -> Iterator[Way]:
    named = level.by_country.get(country or "", ()) or level.providers
    for name in named or dict.fromkeys(one.vendor for one in settings.providers):
        environments = {one.environment: one for one in settings.providers if one.vendor == name}
        one = environments.get(wanted) or next(iter(environments.values()), None)
        template = None if one is None else level.template(name, one.environment, one.template)
        if one is not None and template is not None:
            yield Way(provider=name, environment=one.environment, template=template)


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What checks are opened with at one environment of a provider, and the levels that do so."""

    environment: str
    template: str
    levels: list[str]


def templates(settings: Settings, provider: str) -> list[Template]:
    """As the settings and the levels name them; empty for a provider that is not configured."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in settings.providers:
        if one.vendor == provider:
            for level in LEVELS.values():
                template = level.template(provider, one.environment, one.template)
                if template is not None and (not level.providers or provider in level.providers):
                    found.setdefault((one.environment, template), []).append(level.name)
    return [
        Template(environment=environment, template=template, levels=names)
        for (environment, template), names in found.items()
    ]


def _with_levels(one: ProviderSettings) -> ProviderSettings:
    own = (level.templates.get(one.vendor, {}).get(one.environment) for level in LEVELS.values())
    return msgspec.structs.replace(one, more_templates=tuple(filter(None, own)))


def _key(one: ProviderSettings) -> Key:
    return (one.vendor, one.environment)
