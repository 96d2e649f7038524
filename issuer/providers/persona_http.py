"""What Persona adds to a conversation: its version, its idempotency keys, and the environment it names in each answer.

Source: https://docs.withpersona.com/errors, /idempotence, /rate-limiting, /api-key-inflection
"""

import re
from collections.abc import Mapping
from typing import Final

import httpx

from issuer.errors import ProviderRefused, SettingsError
from issuer.providers.http import TIMEOUT, Answer, ProviderHttp, checked_base

API_VERSION: Final = "2025-12-08"  # pinned: a newer one may rename what a decision is read from

_KEY = re.compile(r"[!-~]{8,512}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


class PersonaHttp(ProviderHttp):
    """One key's conversations. Raises `SettingsError` for an unusable key or URL."""

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        expected_environment_id: str | None,
        client: httpx.AsyncClient | None,
        timeout: httpx.Timeout = TIMEOUT,
        total_seconds: float = 12.0,
    ) -> None:
        if not _KEY.fullmatch(api_key):
            raise SettingsError("PERSONA_API_KEY", "is missing or has characters that no key has")
        self._expected_environment_id = expected_environment_id
        super().__init__(
            "Persona",
            checked_base("PERSONA_API_BASE_URL", base_url),
            headers={
                "Authorization": f"Bearer {api_key}",
                "Persona-Version": API_VERSION,
                "Key-Inflection": "kebab",
            },
            client=client,
            timeout=timeout,
            total_seconds=total_seconds,
        )

    async def act(self, what: str, path: str, body: Mapping[str, object] | None, idempotency_key: str) -> Answer:
        """A POST, sent once. Persona takes idempotency keys on POST only."""
        if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise ProviderRefused(f"Persona, {what}: the idempotency key is not printable text of 1 to 255 characters")
        return await self.post(what, path, body, {"Idempotency-Key": idempotency_key})

    def check(self, what: str, answer: Answer) -> None:
        """A sandbox key must not serve production: Persona names the environment on every authenticated answer."""
        expected, named = self._expected_environment_id, environment_id(answer)
        if expected is None or named == expected:
            return
        if named is None and not 200 <= answer.status < 300:
            return  # an error before authentication names none, and is an error anyway
        raise ProviderRefused(
            f"Persona, {what}: the API key belongs to another environment than the configured one",
            status=answer.status,
            request_id=answer.request_id,
        )


def environment_id(answer: Answer) -> str | None:
    """The `env_...` id that Persona answered with."""
    named: str | None = answer.headers.get("persona-environment-id")
    return named
