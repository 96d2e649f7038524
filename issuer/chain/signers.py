"""From settings to signers: which keys a role has, wherever each of them is kept.

    {PREFIX}_KEYSTORE   paths of encrypted files, separated by commas; {PREFIX}_PASSWORD opens them: one line for all,
                        or one line for each
    {PREFIX}_REMOTE     keys that never come here: `aws-kms:KEY_ID/0xADDRESS`, `web3signer:https://HOST/0xADDRESS`
    {PREFIX}_KEY        plain keys, on local chains only

A remote key's address is part of its name, so that a signer that is away stops nothing but its own signatures, and
`checked_sign` proves the address each time.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from issuer.addresses import eip55, is_address
from issuer.chain import awskms, rules, web3signer
from issuer.chain.keystore import open_keystore
from issuer.chain.signer import LocalSigner, Signer
from issuer.errors import SettingsError
from issuer.secrets import KeySource, Secret


def load_signers(source: KeySource, *, chain_ids: Iterable[int], optional: bool = False) -> tuple[Signer, ...]:
    """The signers of one role, keystores first, each in the order given; at least one unless `optional`.

    `chain_ids` are those that they are to sign for. Raises `SettingsError` naming the variable; no message holds any
    part of a secret.
    """
    if source.key is not None and (source.keystore or source.remote):
        other = f"{source.prefix}_{'KEYSTORE' if source.keystore else 'REMOTE'}"
        raise SettingsError(f"{source.prefix}_KEY", f"is set together with {other}; keep one")
    signers = (*_keystores(source), *_remotes(source), *_plain(source, chain_ids))
    if not signers and not optional:
        raise SettingsError(f"{source.prefix}_KEYSTORE", "is required and not set")
    if len({signer.address for signer in signers}) < len(signers):
        raise SettingsError(f"{source.prefix}_KEYSTORE", "names one key twice")
    return signers


def load_signer(source: KeySource, *, chain_ids: Iterable[int]) -> Signer:
    """The one signer of a role. Raises `SettingsError` for none and for several."""
    signer, *more = load_signers(source, chain_ids=chain_ids)
    if more:
        raise SettingsError(f"{source.prefix}_KEYSTORE", "names several keys, where there can be one only")
    return signer


def refuse_shared_keys(*roles: Iterable[Signer]) -> None:
    """A claim signature is for ever, a sender is replaceable: one key for both would join their fates."""
    seen: set[str] = set()
    for role in roles:
        addresses = {signer.address for signer in role}
        if shared := seen & addresses:
            raise SettingsError("CLAIMWRIGHT_CLAIM_SIGNER_KEYSTORE", f"{min(shared)} has two roles; use different keys")
        seen |= addresses


def _keystores(source: KeySource) -> list[Signer]:
    paths = _parts(source.keystore or "", r"[,\n]")
    if not paths:
        return []
    if source.password is None:
        raise SettingsError(f"{source.prefix}_PASSWORD", f"is required to open {source.prefix}_KEYSTORE")
    passwords = source.password.reveal().splitlines()
    if len(passwords) not in (1, len(paths)):
        problem = f"has {len(passwords)} lines for {len(paths)} keystores; give one for all or one for each"
        raise SettingsError(f"{source.prefix}_PASSWORD", problem)
    passwords = passwords * len(paths) if len(passwords) == 1 else passwords
    return [
        open_keystore(source.prefix, Path(path), Secret(password))
        for path, password in zip(paths, passwords, strict=True)
    ]


def _plain(source: KeySource, chain_ids: Iterable[int]) -> list[Signer]:
    if source.key is None:
        return []
    name = f"{source.prefix}_KEY"
    if not all(rules.is_local(chain_id) for chain_id in chain_ids):
        raise SettingsError(name, "holds a plain key, which only a local chain may use; make a keystore")
    try:
        return [LocalSigner(_key_bytes(text)) for text in _parts(source.key.reveal(), r"[\s,]")]
    except ValueError:
        raise SettingsError(name, "is not a private key of 64 hex digits") from None


def _key_bytes(text: str) -> bytes:
    digits = text.removeprefix("0x")
    if len(digits) != 64:
        raise ValueError
    return bytes.fromhex(digits)


def _remotes(source: KeySource) -> list[Signer]:
    if source.remote is None:
        return []
    return [_remote(f"{source.prefix}_REMOTE", text) for text in _parts(source.remote.reveal(), r"[\s,]")]


def _remote(name: str, text: str) -> Signer:
    """`KIND:WHERE/0xADDRESS`. WHERE may be secret and is not quoted."""
    kind, rest = _kind(name, text)
    where, _, address = rest.rpartition("/")
    if not where or not is_address(address):
        raise SettingsError(name, "does not end with /0x and its address; ask `claimwright keystore remote`")
    return kind.open(name, where, eip55(address))


async def remote_keys(text: str) -> list[str]:
    """What a place `KIND:WHERE` holds, each key named as settings want it. Raises `SignerFailed`, `SettingsError`."""
    kind, where = _kind("place", text)
    return [f"{text.rstrip('/')}/{address}" for address in await kind.addresses("place", where)]


def _kind(name: str, text: str) -> tuple["Remote", str]:
    kind, _, rest = text.partition(":")
    if kind not in REMOTES:
        raise SettingsError(name, f"starts with none of {', '.join(f'{known}:' for known in sorted(REMOTES))}")
    return REMOTES[kind], rest


def _parts(text: str, separator: str) -> list[str]:
    return [part.strip() for part in re.split(separator, text) if part.strip()]


class Remote(NamedTuple):
    """A kind of place for keys. Both take the name to complain of and the place; `open` also the key's address."""

    open: Callable[[str, str, str], Signer]
    addresses: Callable[[str, str], Awaitable[list[str]]]


REMOTES = {
    "aws-kms": Remote(awskms.aws_kms, awskms.addresses),
    "web3signer": Remote(web3signer.web3signer, web3signer.addresses),
}
