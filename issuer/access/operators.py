"""Personal operator tokens: an Ed25519 key (RFC 8032) that its owner signs acts with. No I/O.

The token stays with the person; the database keeps the public key. So an act is proved by its signature, wherever it
went through, and whoever takes over the API can neither make one nor change one.
"""

import base64
import os
import re

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from issuer.errors import InvalidInput
from issuer.secrets import Secret

TOKEN = "CLAIMWRIGHT_OPERATOR_TOKEN"  # noqa: S105 - the name of a variable
_SEED_BYTES = 32
_FORM = re.compile(r"cwo_(?P<operator>opr_[0-9a-f]{32})_(?P<seed>[A-Za-z0-9_-]{43})")


class Signer(msgspec.Struct, frozen=True):
    """Who holds a token, and the key in it."""

    operator_id: str
    _key: Ed25519PrivateKey

    def sign(self, message: bytes) -> str:
        """64 bytes in hex."""
        return self._key.sign(message).hex()

    @property
    def public_key(self) -> str:
        """32 bytes in hex."""
        return self._key.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"Signer({self.operator_id})"


def new_token(operator_id: str) -> Secret:
    """`cwo_`, the operator's id, and 32 random bytes in base64url: shown once, kept by its owner alone."""
    seed = base64.urlsafe_b64encode(os.urandom(_SEED_BYTES)).rstrip(b"=").decode()
    return Secret(f"cwo_{operator_id}_{seed}")


def signer_of(token: Secret) -> Signer:
    """Raises `InvalidInput` for what is no operator token."""
    found = _FORM.fullmatch(token.reveal())
    if found is None:
        raise InvalidInput(TOKEN, "is no operator token; `claimwright operator new` makes one")
    seed = base64.urlsafe_b64decode(found["seed"] + "=")
    return Signer(found["operator"], Ed25519PrivateKey.from_private_bytes(seed))


def is_signed(public_key: str, message: bytes, signature: str) -> bool:
    """Never raises, whatever the three are."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (ValueError, InvalidSignature):
        return False
    return True
