"""Every error of the house has a status, and an answer that tells the caller what it may know."""

import inspect

import msgspec
import pytest

from api import errors as api_errors
from issuer import errors
from issuer.errors import ClaimwrightError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ClaimwrightError)]
EXPECTED = {
    "InvalidInput": 400, "NotAuthenticated": 401, "WebhookRefused": 401, "NotAllowed": 403, "NotFound": 404,
    "Conflict": 409, "IdempotencyMismatch": 409, "IllegalMove": 409,
    "LevelNotSetUp": 409,
    "ChainOutOfReach": 409, "WalletNotProved": 409, "SubjectRestricted": 409, "AttemptsSpent": 409, "WalletsSpent": 409,
    "NoticeNotAccepted": 409, "BodyTooLarge": 413, "ProviderError": 502,
    "ProviderRefused": 502, "ProviderNotFound": 502, "ProviderUnavailable": 503, "Changed": 503, "StoreBusy": 503,
    "LaneLost": 503, "BudgetSpent": 503,
    "NodeUnavailable": 503, "ChainError": 502, "NodeRefused": 502, "WrongChain": 502, "SignerFailed": 502,
    "LaneHeld": 502, "SettingsError": 500, "AlreadyRunning": 500, "ClaimwrightError": 500,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_its_status(kind: type[ClaimwrightError]) -> None:
    assert api_errors.status_of(kind.__new__(kind)) == EXPECTED[kind.__name__]


def test_a_refused_field_is_named() -> None:
    response = api_errors.problem(errors.InvalidInput("wallet", "is wrong"), instance="/v1/cases")
    assert msgspec.json.decode(response.content) == {
        "type": "urn:claimwright:problem:invalid-input", "title": "Bad Request", "status": 400,
        "detail": "wallet: is wrong", "instance": "/v1/cases", "field": "wallet",
    }  # fmt: skip


@pytest.mark.parametrize("error", [errors.StoreBusy("x"), errors.ProviderUnavailable("x", retry_after=12.2)])
def test_503_says_when_to_come_back(error: ClaimwrightError) -> None:
    response = api_errors.problem(error)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 5


@pytest.mark.parametrize(
    "error", [errors.SettingsError("DATABASE_URL", "secret"), RuntimeError("secret"), KeyError("secret")]
)
def test_500_says_nothing_but_an_id(error: Exception) -> None:
    response = api_errors.problem(error) if isinstance(error, ClaimwrightError) else api_errors.unexpected(error)
    assert response.status_code == 500
    assert b"secret" not in response.content
    assert msgspec.json.decode(response.content)["request_id"].startswith("err_")
