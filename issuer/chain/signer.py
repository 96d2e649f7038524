"""The only file that touches a key.

A signer is an address and one act, `sign_digest`. What it returns is never believed: `checked_sign` recovers the
signer from the signature before anything is stored (a remote signer may be slow, wrong or somebody else's).

Sources: Web3 Secret Storage v3 (keystores), EIP-2 (low s), SEC 1 section 4.1.6 (recovery).
"""

import asyncio
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any, Protocol

import coincurve
import msgspec
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from issuer.chain import rules
from issuer.errors import Conflict, InvalidInput, SettingsError, SignerFailed
from issuer.secrets import Secret

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGN_SECONDS = 10.0
SCRYPT_N = 262_144  # what go-ethereum uses; about half a second
MIN_PASSWORD_CHARS = 8
_NOT_A_KEYSTORE = "is not a keystore (Web3 Secret Storage v3, JSON)"


class Signature(msgspec.Struct, frozen=True):
    """Over secp256k1; `y_parity` 0 or 1."""

    r: int
    s: int
    y_parity: int


class Signer(Protocol):
    """Holds one key, here or elsewhere."""

    @property
    def address(self) -> str:
        """EIP-55."""

    async def sign_digest(self, digest: bytes) -> Signature:
        """Sign 32 bytes as they are, with no prefix and no further hash."""


class LocalSigner:
    """A key in this process's memory. Shows its address, never its key."""

    def __init__(self, key: bytes) -> None:
        """Raises `ValueError` unless `key` is 32 bytes and a number on the curve."""
        self._key = coincurve.PrivateKey(key)
        self._address = _address(self._key.public_key)

    @property
    def address(self) -> str:
        return self._address

    def __repr__(self) -> str:
        return f"LocalSigner({self._address})"

    async def sign_digest(self, digest: bytes) -> Signature:
        compact = self._key.sign_recoverable(digest, hasher=None)  # libsecp256k1: deterministic (RFC 6979), low s
        r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:64], "big")
        return Signature(r=r, s=s, y_parity=compact[64])


async def checked_sign(signer: Signer, digest: bytes, *, timeout_seconds: float = SIGN_SECONDS) -> Signature:
    """Sign, then prove that it is this digest under this signer's key, with low s. Raises `SignerFailed`."""
    if len(digest) != 32:
        raise SignerFailed(f"a digest has 32 bytes, not {len(digest)}")
    signature, failure = None, ""
    try:
        async with asyncio.timeout(timeout_seconds):
            signature = await signer.sign_digest(digest)
    except Exception as error:  # whatever a signer raises is told by its class alone: a text may quote a key
        failure = type(error).__name__
    if signature is None:
        raise SignerFailed(f"the signer of {signer.address} gave no signature ({failure or 'nothing'})")
    if not 0 < signature.r < CURVE_ORDER or not 0 < signature.s <= CURVE_ORDER // 2 or signature.y_parity not in (0, 1):
        raise SignerFailed(f"the signer of {signer.address} gave a signature that is not canonical")
    if _recover(digest, signature) != signer.address:
        raise SignerFailed(f"the signer of {signer.address} signed with another key or something else")
    return signature


def _recover(digest: bytes, signature: Signature) -> str | None:
    compact = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([signature.y_parity])
    try:
        return _address(coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None))
    except ValueError:
        return None  # no point of the curve has this r


def _address(key: coincurve.PublicKey) -> str:
    return str(to_checksum_address(keccak(key.format(compressed=False)[1:])[12:]))


def load_signer(
    prefix: str, *, keystore: str | None, password: Secret | None, key: Secret | None, chain_id: int
) -> LocalSigner:
    """The signer that `{prefix}_KEYSTORE` and `{prefix}_PASSWORD`, or on a local chain `{prefix}_KEY`, name.

    Raises `SettingsError` naming the variable; no message holds any part of a secret.
    """
    if keystore and key:
        raise SettingsError(f"{prefix}_KEY", f"is set together with {prefix}_KEYSTORE; keep one")
    if keystore:
        if password is None:
            raise SettingsError(f"{prefix}_PASSWORD", f"is required to open {prefix}_KEYSTORE")
        return _from_keystore(prefix, Path(keystore), password)
    if key is None:
        raise SettingsError(f"{prefix}_KEYSTORE", "is required and not set")
    if not rules.is_local(chain_id):
        raise SettingsError(f"{prefix}_KEY", "holds a plain key, which only a local chain may use; make a keystore")
    try:
        return LocalSigner(_key_bytes(key))
    except ValueError:
        raise SettingsError(f"{prefix}_KEY", "is not a private key of 64 hex digits") from None


def refuse_one_key(sender: Signer, claim_signer: Signer) -> None:
    """A claim signature is for ever, a sender is replaceable: one key for both would join their fates."""
    if sender.address == claim_signer.address:
        raise SettingsError("CLAIMWRIGHT_CLAIM_SIGNER_KEYSTORE", "holds the sender's key; use two different keys")


def new_keystore(path: str | Path, password: Secret, *, scrypt_n: int = SCRYPT_N) -> str:
    """Make a key, write it encrypted with mode 0600, whole or not at all; the new address.

    Never replaces a file: raises `Conflict`. A short password raises `SettingsError`, a place that cannot be written
    `InvalidInput`.
    """
    target = Path(path)
    if len(password.reveal()) < MIN_PASSWORD_CHARS:
        raise SettingsError("password", f"is shorter than {MIN_PASSWORD_CHARS} characters")
    key = _random_key()
    document = Account.encrypt(key, password.reveal(), kdf="scrypt", iterations=scrypt_n)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, target)  # unlike a rename, it refuses to replace
    except FileExistsError:
        raise Conflict(f"{target} exists and may hold a key; choose another name") from None
    except OSError as error:
        raise InvalidInput("path", f"{target} cannot be written: {type(error).__name__}") from None
    finally:
        partial.unlink(missing_ok=True)
    return LocalSigner(key).address


def _from_keystore(prefix: str, path: Path, password: Secret) -> LocalSigner:
    name = f"{prefix}_KEYSTORE"
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SettingsError(name, f"may be read by others; run `chmod 600 {path}`")
            document = json.load(file)
    except OSError as error:
        raise SettingsError(name, f"cannot be read: {type(error).__name__}") from None
    except ValueError:
        raise SettingsError(name, _NOT_A_KEYSTORE) from None
    if not isinstance(document, dict):
        raise SettingsError(name, _NOT_A_KEYSTORE)
    key = _decrypted(prefix, document, password)
    signer = LocalSigner(key)
    told = document.get("address")
    if told is not None and f"0x{told}".lower().replace("0x0x", "0x") != signer.address.lower():
        raise SettingsError(name, "names another address than its key has")
    return signer


def _decrypted(prefix: str, document: dict[str, Any], password: Secret) -> bytes:
    wrong, problem = f"{prefix}_KEYSTORE", _NOT_A_KEYSTORE
    try:
        return bytes(Account.decrypt(document, password.reveal()))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            wrong, problem = f"{prefix}_PASSWORD", f"does not open {prefix}_KEYSTORE"
    except (KeyError, TypeError, AttributeError, NotImplementedError):
        pass
    raise SettingsError(wrong, problem)


def _key_bytes(key: Secret) -> bytes:
    text = key.reveal().strip().removeprefix("0x")
    if len(text) != 64:
        raise ValueError
    return bytes.fromhex(text)


def _random_key() -> bytes:
    while True:
        key = secrets.token_bytes(32)
        if 0 < int.from_bytes(key, "big") < CURVE_ORDER:
            return key
