"""Keys in encrypted files (Web3 Secret Storage v3): made once, never replaced, readable by their owner alone."""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from issuer.chain.signer import CURVE_ORDER, LocalSigner
from issuer.errors import Conflict, InvalidInput, SettingsError
from issuer.secrets import Secret

SCRYPT_N = 262_144  # what go-ethereum uses; about half a second
MIN_PASSWORD_CHARS = 8
_NOT_A_KEYSTORE = "is not a keystore (Web3 Secret Storage v3, JSON)"


def new_keystore(path: str | Path, password: Secret, *, scrypt_n: int = SCRYPT_N) -> str:
    """Make a key, write it encrypted with mode 0600, whole or not at all; the new address.

    Never replaces a file: raises `Conflict`. A short password raises `SettingsError`, a place that cannot be written
    `InvalidInput`.
    """
    target = Path(path)
    if len(password.reveal()) < MIN_PASSWORD_CHARS:
        raise SettingsError("password", f"is shorter than {MIN_PASSWORD_CHARS} characters")
    key = _random_key()
    document = _eth_account().encrypt(key, password.reveal(), kdf="scrypt", iterations=scrypt_n)
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


def open_keystore(prefix: str, path: Path, password: Secret) -> LocalSigner:
    """Decrypting takes about half a second, by design. Raises `SettingsError` naming a variable of `prefix`."""
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
        return bytes(_eth_account().decrypt(document, password.reveal()))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            wrong, problem = f"{prefix}_PASSWORD", f"does not open {prefix}_KEYSTORE"
    except (KeyError, TypeError, AttributeError, NotImplementedError):
        pass
    raise SettingsError(wrong, problem)


def _eth_account() -> Any:  # noqa: ANN401 - a class that is imported late
    """Imported at the first use: that takes a second, for curves that are not ours."""
    from eth_account import Account

    return Account


def _random_key() -> bytes:
    while True:
        key = secrets.token_bytes(32)
        if 0 < int.from_bytes(key, "big") < CURVE_ORDER:
            return key
