"""The ``Persona-Signature`` header (docs.withpersona.com/webhooks-best-practices)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def group(secret: str, body: bytes, t: int) -> str:
    """Sign one body with one secret: ``t=<unix seconds>,v1=<64 lower-case hex>``.

    The key is the whole secret text, its ``wbhsec_`` prefix included.
    """
    digest = hmac.new(secret.encode(), b"%d." % t + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"


def signature_header(secrets: Sequence[str], body: bytes, t: int) -> str:
    """One group per secret, space-separated, the newest secret first."""
    return " ".join(group(secret, body, t) for secret in secrets)


def corrupted(header: str) -> str:
    """The same header with the last digit of every digest changed."""
    return " ".join(part[:-1] + ("0" if part[-1] != "0" else "1") for part in header.split(" "))
