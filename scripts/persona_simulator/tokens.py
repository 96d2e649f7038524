"""Session tokens: HS256 JWTs with the claims of Persona's own example."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid

from scripts.persona_simulator.model import Session
from scripts.persona_simulator.wire import encode

AUDIENCE = "persona-verify"
ISSUER = "persona-simulator"
HEADER = b'{"alg":"HS256"}'


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign(key: bytes, signed: str) -> str:
    return _b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def make_token(key: bytes, session: Session, now: float) -> str:
    """Return a token for the session, valid as long as the session is."""
    claims = {
        "sub": session.id,
        "aud": AUDIENCE,
        "iss": ISSUER,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(session.expires_at),
        "jti": str(uuid.uuid4()),
        "sid": session.id,
    }
    signed = f"{_b64(HEADER)}.{_b64(encode(claims))}"
    return f"{signed}.{_sign(key, signed)}"


def read_token(key: bytes, token: str, now: float) -> str | None:
    """Return the session id, or None for a token that is not ours or no longer valid."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_sign(key, signed).encode(), signature.encode()):
        return None
    body = signed.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    session_id: str = claims["sid"]
    return session_id if claims["nbf"] <= now < claims["exp"] else None
