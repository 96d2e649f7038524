"""Settings come from environment variables; a secret may come from the file that `NAME_FILE` names.

Two types, so that least privilege is a type: `ApiSettings` has no chain key and no decision key, `DaemonSettings` no
webhook secret. Everything required is checked before any work is done, and a problem is one line naming the variable.
What differs between chains is `ChainSettings`, one for each id that CLAIMWRIGHT_CHAIN_ID lists: with several, a
variable ends in `_ID`. docs/settings.md lists every variable; a test keeps it complete.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from issuer import crashpoint
from issuer.claims.rules import Firewall
from issuer.errors import SettingsError
from issuer.providers import vendors
from issuer.providers.vendors import VENDORS, ProviderSettings
from issuer.secrets import KeyRing, KeySource, Secret
from issuer.subjects.rules import Periods

MIN_SECRET_CHARS = 16
_WEAK = re.compile(r"(?i)change.?me|default|example|secret|password|test|xxx+")

_CHAIN_ID = "CLAIMWRIGHT_CHAIN_ID"

Positive = Annotated[int, Meta(gt=0)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What both processes need."""

    env: Annotated[str, Meta(pattern="^(development|test|production)$")] = msgspec.field(
        name="CLAIMWRIGHT_ENV", default="production"
    )
    database_url: Secret = msgspec.field(name="DATABASE_URL", default=Secret("sqlite:///claimwright.sqlite3"))
    chain_ids: tuple[Positive, ...] = msgspec.field(name="CLAIMWRIGHT_CHAIN_ID")
    provider_names: str = msgspec.field(name=vendors.PROVIDERS, default="persona")
    levels_file: str = msgspec.field(name="CLAIMWRIGHT_LEVELS_FILE", default="")
    silent_seconds: Positive = msgspec.field(name="CLAIMWRIGHT_SILENT_SECONDS", default=600)
    production_to_test: Annotated[str, Meta(pattern="^(yes|no)$")] = msgspec.field(
        name="CLAIMWRIGHT_PRODUCTION_TO_TEST_CHAINS", default="no"
    )
    checks_per_day: Positive | None = msgspec.field(name="CLAIMWRIGHT_CHECKS_PER_DAY", default=None)
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = msgspec.field(
        name="CLAIMWRIGHT_LOG_LEVEL", default="info"
    )
    providers: tuple[ProviderSettings, ...] = msgspec.field(name="providers", default=())  # filled in by `load`

    @property
    def firewall(self) -> Firewall:
        return Firewall(production_to_test=self.production_to_test == "yes")


class ApiSettings(Settings, frozen=True, kw_only=True):
    """The process that faces the internet."""

    host: str = msgspec.field(name="CLAIMWRIGHT_API_HOST", default="127.0.0.1")
    port: Port = msgspec.field(name="CLAIMWRIGHT_API_PORT", default=8000)
    private_host: str = msgspec.field(name="CLAIMWRIGHT_API_PRIVATE_HOST", default="127.0.0.1")
    private_port: Port | None = msgspec.field(name="CLAIMWRIGHT_API_PRIVATE_PORT", default=None)
    workers: Positive = msgspec.field(name="CLAIMWRIGHT_API_WORKERS", default=1)
    webhook_tolerance_seconds: Positive = msgspec.field(name="CLAIMWRIGHT_WEBHOOK_TOLERANCE_SECONDS", default=300)
    redirect_hosts: str = msgspec.field(name="CLAIMWRIGHT_REDIRECT_HOSTS", default="")
    notice: str = msgspec.field(name="CLAIMWRIGHT_NOTICE_VERSION", default="")


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One chain, to be read: where its node is, and when its events are believed."""

    chain_id: Positive = msgspec.field(name="CLAIMWRIGHT_CHAIN_ID")
    rpc_urls: tuple[Secret, ...] = msgspec.field(name="CLAIMWRIGHT_RPC_URL")
    deployment_file: str = msgspec.field(name="CLAIMWRIGHT_DEPLOYMENT_FILE", default="deployment.json")
    levels_file: str = msgspec.field(name="CLAIMWRIGHT_LEVELS_FILE", default="")
    depth: Positive | None = msgspec.field(name="CLAIMWRIGHT_DEPTH", default=None)


class ChainSettings(NodeSettings, frozen=True, kw_only=True):
    """One chain of the daemon's: who signs there, and what may be spent."""

    sender_keystore: str | None = msgspec.field(name="CLAIMWRIGHT_SENDER_KEYSTORE", default=None)
    sender_password: Secret | None = msgspec.field(name="CLAIMWRIGHT_SENDER_PASSWORD", default=None)
    sender_key: Secret | None = msgspec.field(name="CLAIMWRIGHT_SENDER_KEY", default=None)
    sender_remote: Secret | None = msgspec.field(name="CLAIMWRIGHT_SENDER_REMOTE", default=None)
    claim_signer_keystore: str | None = msgspec.field(name="CLAIMWRIGHT_CLAIM_SIGNER_KEYSTORE", default=None)
    claim_signer_password: Secret | None = msgspec.field(name="CLAIMWRIGHT_CLAIM_SIGNER_PASSWORD", default=None)
    claim_signer_key: Secret | None = msgspec.field(name="CLAIMWRIGHT_CLAIM_SIGNER_KEY", default=None)
    claim_signer_remote: Secret | None = msgspec.field(name="CLAIMWRIGHT_CLAIM_SIGNER_REMOTE", default=None)
    revoker_keystore: str | None = msgspec.field(name="CLAIMWRIGHT_REVOKER_KEYSTORE", default=None)
    revoker_password: Secret | None = msgspec.field(name="CLAIMWRIGHT_REVOKER_PASSWORD", default=None)
    revoker_key: Secret | None = msgspec.field(name="CLAIMWRIGHT_REVOKER_KEY", default=None)
    revoker_remote: Secret | None = msgspec.field(name="CLAIMWRIGHT_REVOKER_REMOTE", default=None)
    max_fee_gwei: Positive | None = msgspec.field(name="CLAIMWRIGHT_MAX_FEE_GWEI", default=None)
    daily_fees_gwei: Positive | None = msgspec.field(name="CLAIMWRIGHT_DAILY_FEES_GWEI", default=None)
    max_in_flight: Annotated[int, Meta(ge=1, le=512)] | None = msgspec.field(
        name="CLAIMWRIGHT_MAX_IN_FLIGHT", default=None
    )
    reserve_revocations: Annotated[int, Meta(ge=0)] = msgspec.field(name="CLAIMWRIGHT_RESERVE_REVOCATIONS", default=100)

    @property
    def senders(self) -> KeySource:
        """They pay for gas, and what they send can be replaced."""
        return KeySource(
            prefix="CLAIMWRIGHT_SENDER",
            keystore=self.sender_keystore,
            password=self.sender_password,
            key=self.sender_key,
            remote=self.sender_remote,
        )

    @property
    def claim_signer(self) -> KeySource:
        """It makes claims true, for ever."""
        return KeySource(
            prefix="CLAIMWRIGHT_CLAIM_SIGNER",
            keystore=self.claim_signer_keystore,
            password=self.claim_signer_password,
            key=self.claim_signer_key,
            remote=self.claim_signer_remote,
        )

    @property
    def revoker(self) -> KeySource:
        """A sender for revocations alone, if there is one."""
        return KeySource(
            prefix="CLAIMWRIGHT_REVOKER",
            keystore=self.revoker_keystore,
            password=self.revoker_password,
            key=self.revoker_key,
            remote=self.revoker_remote,
        )


class DaemonSettings(Settings, frozen=True, kw_only=True):
    """The process that signs."""

    private_host: str = msgspec.field(name="CLAIMWRIGHT_DAEMON_PRIVATE_HOST", default="127.0.0.1")
    private_port: Port | None = msgspec.field(name="CLAIMWRIGHT_DAEMON_PRIVATE_PORT", default=None)
    decision_keys: Secret = msgspec.field(name="CLAIMWRIGHT_DECISION_KEYS")
    data_keys: Secret = msgspec.field(name="CLAIMWRIGHT_DATA_KEYS")
    hosted_levels: str = msgspec.field(name="CLAIMWRIGHT_HOSTED_LEVELS", default="")
    batch_size: Annotated[int, Meta(ge=1, le=200)] = msgspec.field(name="CLAIMWRIGHT_BATCH_SIZE", default=200)
    audit_key: Secret | None = msgspec.field(name="CLAIMWRIGHT_AUDIT_KEY", default=None)
    audit_anchor: str = msgspec.field(name="CLAIMWRIGHT_AUDIT_ANCHOR_FILE", default="")
    crash_at: str | None = msgspec.field(name="CLAIMWRIGHT_CRASH_AT", default=None)
    chains: tuple[ChainSettings, ...] = msgspec.field(name="chains", default=())  # filled in by `load`


class OwnerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that change the contracts: only they need the deployer's key, who is their owner and manager."""

    rpc_urls: tuple[Secret, ...] = msgspec.field(name="CLAIMWRIGHT_RPC_URL")
    chain_id: Positive = msgspec.field(name="CLAIMWRIGHT_CHAIN_ID")
    deployment_file: str = msgspec.field(name="CLAIMWRIGHT_DEPLOYMENT_FILE", default="deployment.json")
    levels_file: str = msgspec.field(name="CLAIMWRIGHT_LEVELS_FILE", default="")
    deployer_keystore: str | None = msgspec.field(name="CLAIMWRIGHT_DEPLOYER_KEYSTORE", default=None)
    deployer_password: Secret | None = msgspec.field(name="CLAIMWRIGHT_DEPLOYER_PASSWORD", default=None)
    deployer_key: Secret | None = msgspec.field(name="CLAIMWRIGHT_DEPLOYER_KEY", default=None)
    deployer_remote: Secret | None = msgspec.field(name="CLAIMWRIGHT_DEPLOYER_REMOTE", default=None)

    @property
    def deployer(self) -> KeySource:
        return KeySource(
            prefix="CLAIMWRIGHT_DEPLOYER",
            keystore=self.deployer_keystore,
            password=self.deployer_password,
            key=self.deployer_key,
            remote=self.deployer_remote,
        )


class DeploySettings(OwnerSettings, frozen=True, kw_only=True):
    """`claimwright deploy`, which also registers whom the daemon signs with."""

    senders: tuple[Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")], ...] = msgspec.field(
        name="CLAIMWRIGHT_SENDER_ADDRESS"
    )
    claim_signer: Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")] = msgspec.field(
        name="CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS"
    )


class ListedChains(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that go over the chains, one after the other."""

    chain_ids: tuple[Positive, ...] = msgspec.field(name=_CHAIN_ID)


class ProviderAccess(Settings, frozen=True, kw_only=True):
    """Commands that speak to providers, and see neither webhook secrets nor chain keys."""


class RetentionSettings(ProviderAccess, frozen=True, kw_only=True):
    """`claimwright retention` and `subject erase`."""

    retention_days: Annotated[int, Meta(ge=0)] = msgspec.field(name="CLAIMWRIGHT_RETENTION_DAYS", default=1827)
    log_days: Annotated[int, Meta(ge=1)] = msgspec.field(name="CLAIMWRIGHT_LOG_DAYS", default=7)

    @property
    def periods(self) -> Periods:
        return Periods(decisions=timedelta(days=self.retention_days), logs=timedelta(days=self.log_days))


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`claimwright audit` and `case evidence`."""

    audit_key: Secret | None = msgspec.field(name="CLAIMWRIGHT_AUDIT_KEY", default=None)
    audit_anchor: str = msgspec.field(name="CLAIMWRIGHT_AUDIT_ANCHOR_FILE", default="")
    data_keys: Secret | None = msgspec.field(name="CLAIMWRIGHT_DATA_KEYS", default=None)


class SealingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`claimwright reseal`."""

    data_keys: Secret = msgspec.field(name="CLAIMWRIGHT_DATA_KEYS")


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that only need the database: `migrate`, `key …`, `event list`."""

    database_url: Secret = msgspec.field(name="DATABASE_URL", default=Secret("sqlite:///claimwright.sqlite3"))


T = TypeVar("T", bound=msgspec.Struct)


# Each of several chains names these itself; of everything else the plain variable counts for all that have no own one.
_EACH_ITS_OWN = frozenset({"CLAIMWRIGHT_RPC_URL", "CLAIMWRIGHT_DEPLOYMENT_FILE"})


def load(kind: type[T], env: Mapping[str, str]) -> T:
    """Read and check one settings type. Raises `SettingsError` naming the first variable that is wrong."""
    settings = _read(kind, env)
    if isinstance(settings, Settings):
        if len(set(settings.chain_ids)) != len(settings.chain_ids):
            raise SettingsError(_CHAIN_ID, "names a chain twice")
        listed = vendors.read(
            settings.provider_names, partial(lookup, env), strong, webhooks=isinstance(settings, ApiSettings)
        )
        settings = msgspec.structs.replace(settings, providers=listed)
    if isinstance(settings, DaemonSettings):
        chains = tuple(load_chain(ChainSettings, env, chain_id) for chain_id in settings.chain_ids)
        settings = msgspec.structs.replace(settings, chains=chains)
    _check(settings)
    return settings


def load_chain(kind: type[T], env: Mapping[str, str], chain_id: int | None = None) -> T:
    """What `kind` needs of one chain: of `chain_id`, which must be listed, or of the only one.

    Raises `SettingsError` naming the variable as it was looked for.
    """
    listed = _list(lookup(env, _CHAIN_ID) or "")
    if chain_id is None and len(listed) > 1:
        raise SettingsError(_CHAIN_ID, f"lists several chains ({', '.join(listed)}); say which one")
    if chain_id is not None and str(chain_id) not in listed:
        raise SettingsError(_CHAIN_ID, f"does not list chain {chain_id}")
    return _read(kind, env, chain_id if len(listed) > 1 else None)


def _read(kind: type[T], env: Mapping[str, str], chain_id: int | None = None) -> T:
    """One struct from its variables. `chain_id`: of one of several chains, whose variables end in `_ID`."""
    values: dict[str, object] = {}
    variables: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if not name.isupper():
            continue  # filled in by `load`
        variable = variables[name] = _variable(env, name, chain_id)
        text = str(chain_id) if chain_id and name == _CHAIN_ID else lookup(env, variable)
        if text is not None:
            values[name] = _list(text) if get_origin(field.type) is tuple else text
        elif chain_id and name == "CLAIMWRIGHT_DEPLOYMENT_FILE":
            values[name] = f"deployment-{chain_id}.json"
        if field.required and not values.get(name):
            raise SettingsError(variable, "is required and not set")
    try:
        return msgspec.convert(values, kind, strict=False, dec_hook=_secret)
    except msgspec.ValidationError as error:
        raise _named(error, variables) from None


def _list(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _variable(env: Mapping[str, str], name: str, chain_id: int | None) -> str:
    own = f"{name}_{chain_id}"
    if chain_id is None or not (name in _EACH_ITS_OWN or env.get(own) or env.get(f"{own}_FILE")):
        return name
    return own


def lookup(env: Mapping[str, str], name: str) -> str | None:
    """The value of `name`, or the content of the file that `name_FILE` names, without its last line break."""
    path = env.get(f"{name}_FILE")
    if path:
        if env.get(name):
            raise SettingsError(name, f"is set twice, here and in {name}_FILE; keep one")
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE", f"cannot be read: {type(error).__name__}") from None
    return env.get(name) or None


def _secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    return value


def _named(error: msgspec.ValidationError, variables: Mapping[str, str]) -> SettingsError:
    text, _, path = str(error).partition(" - at `$.")
    name = path.rstrip("`").partition("[")[0]
    return SettingsError(variables.get(name) or name or "settings", text[:1].lower() + text[1:])


def strong(name: str, secret: Secret) -> None:
    """Refuse a secret that is short or looks like a placeholder."""
    value = secret.reveal()
    if len(value) < MIN_SECRET_CHARS:
        raise SettingsError(name, f"is shorter than {MIN_SECRET_CHARS} characters")
    if len(set(value)) < 6 or (len(value) < 32 and _WEAK.search(value)):
        raise SettingsError(name, "looks like a placeholder; use the real value")


def _check(settings: msgspec.Struct) -> None:
    if isinstance(settings, Settings):
        for one in settings.providers:
            _safe_url(VENDORS[one.vendor].base_url, one.api_url, plain=settings.env != "production")
            for variable in VENDORS[one.vendor].urls:
                _safe_url(variable, one.options[variable], plain=settings.env != "production")
    if isinstance(settings, DaemonSettings):
        KeyRing.parse("CLAIMWRIGHT_DECISION_KEYS", settings.decision_keys)
        KeyRing.parse("CLAIMWRIGHT_DATA_KEYS", settings.data_keys)
        if settings.decision_keys == settings.data_keys:
            raise SettingsError("CLAIMWRIGHT_DATA_KEYS", "must differ from CLAIMWRIGHT_DECISION_KEYS")
        if settings.crash_at is not None:
            _check_crash_point(settings.crash_at, settings.env)


def _check_crash_point(point: str, env: str) -> None:
    if env == "production":
        raise SettingsError("CLAIMWRIGHT_CRASH_AT", "kills the daemon on purpose and is for tests only; unset it")
    if point not in crashpoint.POINTS:
        raise SettingsError(
            "CLAIMWRIGHT_CRASH_AT", f"names no crash point; known: {', '.join(sorted(crashpoint.POINTS))}"
        )


def _safe_url(name: str, url: str, *, plain: bool) -> None:
    parts = urlsplit(url)
    loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme == "https" and parts.hostname:
        return
    if not (parts.scheme == "http" and loopback and plain):
        raise SettingsError(name, "must be an https URL (http only for loopback, outside production)")
