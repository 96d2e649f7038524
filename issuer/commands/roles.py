"""Which variables each of the two processes may see. What is not its own is taken away before it starts."""

import re
from collections.abc import Mapping

import msgspec

from issuer.providers.vendors import VENDORS, variables
from issuer.settings import ApiSettings, ChainSettings, DaemonSettings, Settings

_OURS = ("CLAIMWRIGHT_", *(vendor.prefix for vendor in VENDORS.values()))
_ENDINGS = ("_FILE", "_SANDBOX", "_PRODUCTION")
_OF_A_CHAIN = re.compile(r"_\d+$")
_INTERNAL = frozenset({"CLAIMWRIGHT_DIE_WITH_PARENT"})


def own_environment(kind: type[Settings], env: Mapping[str, str]) -> dict[str, str]:
    """`env` without the variables of Claimwright and its providers that `kind` does not name.

    So the API never sees a chain key, a keystore, a password, a decision or data key or the node's URL, and the
    daemon never a webhook secret, whatever else is set. Credentials of AWS open chain keys, so they are
    the daemon's alone. Variables of others (PATH, proxies) stay.
    """
    names, foreign = _names(kind), _OURS if kind is DaemonSettings else (*_OURS, "AWS_")
    return {name: value for name, value in env.items() if not name.startswith(foreign) or {name, _base(name)} & names}


def _names(kind: type[Settings]) -> frozenset[str]:
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    if kind is DaemonSettings:
        fields |= {field.encode_name for field in msgspec.structs.fields(ChainSettings)}
    vendor = variables(webhooks=kind is not DaemonSettings)
    return frozenset(fields | vendor | (_INTERNAL if kind is ApiSettings else set()))


def _base(name: str) -> str:
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return _OF_A_CHAIN.sub("", name)
