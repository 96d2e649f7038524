"""Values that must never be seen, and keys of their own purpose.

`Secret` prints as `***` wherever it lands: logs, reprs, tracebacks, f-strings. `reveal()` is the one way in.
`KeySource` says where chain keys are; `chain/signers.py` makes signers of it.
`KeyRing` holds versioned 32-byte keys; each use derives a key of its own from them (HKDF-SHA256, RFC 5869), so a
value sealed for one purpose opens for no other.
"""

import hmac
import os
import re
from hashlib import sha256

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from issuer.errors import SettingsError

KEY_BYTES = 32
NONCE_BYTES = 12
_KEY = re.compile(r"(\d{1,4}):([0-9a-fA-F]{64})")


class Secret:
    """A string that does not print itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


class KeySource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the chain keys of one role are: what the variables that begin with `prefix` say."""

    prefix: str
    keystore: str | None
    password: Secret | None
    key: Secret | None
    remote: Secret | None  # its URL may carry a password


class KeyRing:
    """Versioned keys, newest first in use, all good for opening. Written `2:<64 hex> 1:<64 hex>`."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        self._keys = keys
        self._current = max(keys)
        self._derived: dict[tuple[int, str], bytes] = {}  # purposes are few, and a claim needs two of them

    @classmethod
    def parse(cls, name: str, text: Secret) -> "KeyRing":
        """Raises `SettingsError(name)` unless each entry is `version:64 hex digits` and no key is a trivial one."""
        keys: dict[int, bytes] = {}
        for part in re.split(r"[\s,]+", text.reveal().strip()):
            match = _KEY.fullmatch(part)
            if match is None:
                raise SettingsError(
                    name, "write each key as VERSION:64 hex digits; make one with `openssl rand -hex 32`"
                )
            version, key = int(match[1]), bytes.fromhex(match[2])
            if len(set(key)) < 8:
                raise SettingsError(name, f"key {version} is too regular to be random; use `openssl rand -hex 32`")
            if version in keys:
                raise SettingsError(name, f"key {version} is given twice")
            keys[version] = key
        return cls(keys)

    def __repr__(self) -> str:
        return f"KeyRing(versions={sorted(self._keys)})"

    def seal(self, purpose: str, plain: bytes, *, row: str) -> str:
        """AES-256-GCM with the row's identity as associated data: a sealed value moved to another row does not open."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._derive(self._current, purpose)).encrypt(nonce, plain, row.encode())
        return f"{self._current}:{(nonce + sealed).hex()}"

    def open(self, purpose: str, sealed: str, *, row: str) -> bytes:
        """Raises `cryptography.exceptions.InvalidTag` for a changed or moved value, `KeyError` for a lost key."""
        version, _, rest = sealed.partition(":")
        blob = bytes.fromhex(rest)
        key = self._derive(int(version), purpose)
        return AESGCM(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], row.encode())

    @property
    def prefix(self) -> str:
        """How everything begins that was sealed under the newest key."""
        return f"{self._current}:"

    def mac(self, purpose: str, message: bytes) -> str:
        """HMAC-SHA256 under the newest key, as `version:hex`."""
        return self._mac(self._current, purpose, message)

    def macs(self, purpose: str, message: bytes) -> list[str]:
        """`mac` under each key, the newest first: what an equal message may have been kept as."""
        return [self._mac(version, purpose, message) for version in sorted(self._keys, reverse=True)]

    def verify(self, purpose: str, message: bytes, mac: str) -> bool:
        """Constant-time. False for a key version that is not held."""
        version, _, _ = mac.partition(":")
        if not version.isdigit() or int(version) not in self._keys:
            return False
        return hmac.compare_digest(self._mac(int(version), purpose, message), mac)

    def _mac(self, version: int, purpose: str, message: bytes) -> str:
        return f"{version}:{hmac.new(self._derive(version, purpose), message, sha256).hexdigest()}"

    def _derive(self, version: int, purpose: str) -> bytes:
        derived = self._derived.get((version, purpose))
        if derived is None:
            hkdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"claimwright/" + purpose.encode())
            derived = self._derived[version, purpose] = hkdf.derive(self._keys[version])
        return derived
