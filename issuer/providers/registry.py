"""Which providers this installation speaks to, keyed by (provider name, environment)."""

from issuer.errors import SettingsError
from issuer.providers.persona import PersonaProvider
from issuer.providers.persona_webhook import PersonaDoor
from issuer.providers.protocol import Provider, WebhookDoor
from issuer.settings import ApiSettings, ProviderSettings, Settings

Key = tuple[str, str]


def doors(settings: ApiSettings) -> dict[Key, WebhookDoor]:
    """One door per environment that has a webhook secret. Raises `SettingsError`."""
    tolerance = settings.webhook_tolerance_seconds
    made = [
        PersonaDoor(one.environment, [secret.reveal() for secret in one.webhook_secrets], tolerance)
        for one in settings.persona
    ]
    return {(door.name, door.environment): door for door in made}


def providers(settings: Settings) -> dict[Key, Provider]:
    """One API client per environment; the caller closes them. Raises `SettingsError`."""
    return {(PersonaProvider.name, one.environment): _persona(one) for one in settings.persona}


def templates(settings: Settings) -> dict[Key, str]:
    """The provider's template that a check is opened with."""
    return {(PersonaProvider.name, one.environment): one.template for one in settings.persona}


def for_new_cases(settings: Settings, *, local: bool) -> Key:
    """With both environments configured, a local chain takes sandbox checks and a live one never does."""
    names = [one.environment for one in settings.persona]
    if not names:
        raise SettingsError("PERSONA_ENVIRONMENT", "names no environment")
    wanted = "sandbox" if local else "production"
    return (PersonaProvider.name, wanted if wanted in names else names[0])


def _persona(one: ProviderSettings) -> PersonaProvider:
    return PersonaProvider(
        environment=one.environment,
        api_key=one.api_key.reveal(),
        base_url=one.api_url,
        template_ids=(one.template,),
        hosted_url=one.hosted_url,
        expected_environment_id=one.environment_id,
    )
