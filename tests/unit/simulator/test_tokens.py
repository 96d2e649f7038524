from __future__ import annotations

import base64
import json

from scripts.persona_simulator.model import Session
from scripts.persona_simulator.tokens import make_token, read_token

SESSION = Session("iqse_1", "inq_1", created_at=1000.0, expires_at=87_400.0)


def test_a_token_carries_the_documented_claims() -> None:
    head, body, _ = make_token(b"k" * 32, SESSION, 1000.0).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256"}
    assert set(claims) == {"sub", "sid", "aud", "iss", "iat", "nbf", "exp", "jti"}
    assert claims["sub"] == claims["sid"] == "iqse_1"
    assert claims["aud"] == "persona-verify"
    assert claims["exp"] - claims["iat"] == 86_400


def test_only_our_own_unexpired_tokens_open_a_session() -> None:
    token = make_token(b"k" * 32, SESSION, 1000.0)
    assert read_token(b"k" * 32, token, 1000.0) == "iqse_1"
    assert read_token(b"k" * 32, token, 87_400.0) is None
    assert read_token(b"x" * 32, token, 1000.0) is None
    assert read_token(b"k" * 32, token[:-1] + ("A" if token[-1] != "A" else "B"), 1000.0) is None
    assert read_token(b"k" * 32, "", 1000.0) is None
