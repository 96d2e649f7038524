"""Which providers there are, and the settings that each needs. Data and reading of data: no network, no adapter.

A vendor's variables keep the names its customers know. Each vendor has one or two environments, named by
`{NAME}_ENVIRONMENT`; with both, every variable of the vendor takes the ending `_SANDBOX` or `_PRODUCTION`.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from issuer.errors import SettingsError
from issuer.secrets import Secret

SANDBOX, PRODUCTION = "sandbox", "production"
ENVIRONMENTS = (SANDBOX, PRODUCTION)
PROVIDERS = "CLAIMWRIGHT_PROVIDERS"
_SPLIT = re.compile(r"[\s,]+")

Lookup = Callable[[str], str | None]  # a variable's value, from the environment or from the file that NAME_FILE names
Strong = Callable[[str, Secret], None]  # raises `SettingsError` for a secret that is short or a placeholder


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's variables. `api_url` empty: every customer has an address of its own, so it is required.

    `keys` are the secrets of its API, which both processes hold; `webhook_secret` only the API. `template` names what
    a check is opened with; a vendor without such a thing has `None`, and its checks say `template_word`. `options`
    are plain and may be left out; their defaults are here. `urls` among them are addresses. `tells_parts`: whether its
    readings name the single verifications of a check.
    """

    name: str
    keys: tuple[str, ...]
    webhook_secret: str
    api_url: str = ""
    template: str | None = None
    template_word: str = "default"
    options: Mapping[str, str] = {}
    urls: tuple[str, ...] = ()
    tells_parts: bool = False

    @property
    def prefix(self) -> str:
        return f"{self.name.upper()}_"

    @property
    def environment(self) -> str:
        """The variable that names this vendor's environments."""
        return f"{self.prefix}ENVIRONMENT"

    @property
    def base_url(self) -> str:
        return f"{self.prefix}API_BASE_URL"

    def variables(self) -> frozenset[str]:
        """Every variable of this vendor, without endings."""
        template = () if self.template is None else (self.template,)
        names = (*self.keys, self.webhook_secret, *template, *self.options, self.base_url, self.environment)
        return frozenset(names)


VENDORS: dict[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            name="persona",
            keys=("PERSONA_API_KEY",),
            webhook_secret="PERSONA_WEBHOOK_SECRET",  # noqa: S106 - the name of a variable
            template="PERSONA_TEMPLATE_ID",
            api_url="https://api.withpersona.com/api/v1",
            options={
                "PERSONA_ENVIRONMENT_ID": "",
                "PERSONA_HOSTED_URL": "https://inquiry.withpersona.com/verify",
                "PERSONA_ACCOUNT_REPORTS": "no",
                "PERSONA_CASE_TEMPLATES": "",
                "PERSONA_CASE_APPROVED": "Approved",
                "PERSONA_CASE_DECLINED": "Declined",
                "PERSONA_TRANSACTION_APPROVED": "approved",
                "PERSONA_TRANSACTION_DECLINED": "declined",
            },
            urls=("PERSONA_HOSTED_URL",),
            tells_parts=True,
        ),
        Vendor(
            name="idenfy",
            keys=("IDENFY_API_KEY", "IDENFY_API_SECRET"),
            webhook_secret="IDENFY_SIGNING_KEY",  # noqa: S106 - the name of a variable
            api_url="https://ivs.idenfy.com",
            options={"IDENFY_MODE": "test", "IDENFY_AUTO_IS_FINAL": "no", "IDENFY_HARMLESS_TAGS": ""},
            tells_parts=True,
        ),
        Vendor(
            name="onfido",
            keys=("ONFIDO_API_TOKEN",),
            webhook_secret="ONFIDO_WEBHOOK_TOKEN",  # noqa: S106 - the name of a variable
            template="ONFIDO_WORKFLOW_ID",
        ),
        Vendor(
            name="sumsub",
            keys=("SUMSUB_APP_TOKEN", "SUMSUB_SECRET_KEY"),
            webhook_secret="SUMSUB_WEBHOOK_SECRET",  # noqa: S106 - the name of a variable
            template="SUMSUB_LEVEL_NAME",
            api_url="https://api.sumsub.com",
            options={"SUMSUB_DIGEST_ALG": "HMAC_SHA256_HEX"},
        ),
        Vendor(
            name="veriff",
            keys=("VERIFF_API_KEY", "VERIFF_SHARED_SECRET"),
            webhook_secret="VERIFF_SHARED_SECRET",  # noqa: S106 - one secret signs both ways
        ),
    )
}


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One environment of one vendor. `webhook_secrets` is empty in the daemon.

    `template` is the one that its own setting names, `more_templates` those that levels name.
    """

    vendor: str
    environment: str
    template: str
    api_url: str
    keys: Mapping[str, Secret]
    options: Mapping[str, str]
    webhook_secrets: tuple[Secret, ...] = ()
    more_templates: tuple[str, ...] = ()

    @property
    def templates(self) -> frozenset[str]:
        return frozenset({self.template, *self.more_templates})

    def says_yes(self, option: str) -> bool:
        """Raises `SettingsError` unless the option is `yes` or `no`."""
        if self.options[option] not in ("yes", "no"):
            raise SettingsError(option, "must be yes or no")
        return self.options[option] == "yes"


def variables(*, webhooks: bool) -> frozenset[str]:
    """Every variable of every vendor that a process may see: the daemon (`webhooks` False) no webhook secret."""
    hidden = frozenset() if webhooks else frozenset(vendor.webhook_secret for vendor in VENDORS.values())
    shared = frozenset(key for vendor in VENDORS.values() for key in vendor.keys)
    return frozenset().union(*(vendor.variables() for vendor in VENDORS.values())) - (hidden - shared)


def read(names: str, lookup: Lookup, strong: Strong, *, webhooks: bool) -> tuple[ProviderSettings, ...]:
    """The settings of the vendors in `names` (a list), in that order, each environment by itself."""
    listed = tuple(filter(None, _SPLIT.split(names)))
    if not listed or len(set(listed)) != len(listed) or set(listed) - VENDORS.keys():
        raise SettingsError(PROVIDERS, f"must list some of {', '.join(VENDORS)}, each once")
    return tuple(one for name in listed for one in _vendor(VENDORS[name], lookup, strong, webhooks=webhooks))


def _vendor(vendor: Vendor, lookup: Lookup, strong: Strong, *, webhooks: bool) -> list[ProviderSettings]:
    names = tuple(_SPLIT.split((lookup(vendor.environment) or SANDBOX).strip()))
    if len(set(names)) != len(names) or set(names) - set(ENVIRONMENTS):
        raise SettingsError(vendor.environment, f"must be one or both of {', '.join(ENVIRONMENTS)}")
    return [_environment(vendor, name, len(names) > 1, lookup, strong, webhooks=webhooks) for name in names]


def _environment(
    vendor: Vendor, name: str, suffixed: bool, lookup: Lookup, strong: Strong, *, webhooks: bool
) -> ProviderSettings:
    suffix = f"_{name.upper()}" if suffixed else ""

    def need(variable: str) -> str:
        value = lookup(variable + suffix)
        if value is None:
            raise SettingsError(variable + suffix, "is required and not set")
        return value

    def secret(variable: str, value: str) -> Secret:
        made = Secret(value)
        strong(variable + suffix, made)
        return made

    def option(variable: str, default: str) -> str:
        return lookup(variable + suffix) or (lookup(variable) if variable in addresses else None) or default

    # An address may be the same for both environments, so its bare name counts too.
    addresses = (vendor.base_url, *vendor.urls)
    hooks = _SPLIT.split(need(vendor.webhook_secret).strip()) if webhooks else []
    return ProviderSettings(
        vendor=vendor.name,
        environment=name,
        template=vendor.template_word if vendor.template is None else need(vendor.template),
        api_url=option(vendor.base_url, vendor.api_url) if vendor.api_url else need(vendor.base_url),
        # Where one secret signs both ways, the first of those listed is the one to sign with.
        keys={variable: secret(variable, _SPLIT.split(need(variable).strip())[0]) for variable in vendor.keys},
        options={variable: option(variable, default) for variable, default in vendor.options.items()},
        webhook_secrets=tuple(secret(vendor.webhook_secret, part) for part in hooks if part),
    )
