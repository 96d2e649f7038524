from __future__ import annotations

import pytest

from scripts.persona_simulator.settings import RECOMMENDED_EVENTS, Refused, read_settings

GOOD = {
    "CLAIMWRIGHT_ENV": "test",
    "PERSONA_SIM_API_KEY": "persona_sandbox_0123456789",
    "PERSONA_SIM_WEBHOOK_SECRET": "wbhsec_00000000-1111-4222-8333-444444444444",
    "PERSONA_SIM_WEBHOOK_URL": "http://127.0.0.1:1/hook",
    "PERSONA_SIM_TEMPLATE_ID": "itmpl_1",
}


def test_good_settings_subscribe_to_the_recommended_events() -> None:
    settings = read_settings(GOOD)
    assert settings.webhook_events == RECOMMENDED_EVENTS
    assert settings.delivery_timeout == 5.0
    assert "inquiry.transitioned" not in settings.webhook_events


@pytest.mark.parametrize("environment", ["", "production", "staging", "Test"])
def test_only_development_and_test_may_run_it(environment: str) -> None:
    with pytest.raises(Refused, match="CLAIMWRIGHT_ENV"):
        read_settings(GOOD | {"CLAIMWRIGHT_ENV": environment})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PERSONA_SIM_API_KEY", "", "missing"),
        ("PERSONA_SIM_API_KEY", "short", "at least 24"),
        ("PERSONA_SIM_API_KEY", "persona_sandbox_0123456789,short", "at least 24"),
        ("PERSONA_SIM_WEBHOOK_SECRET", "short", "at least 24"),
        ("PERSONA_SIM_WEBHOOK_SECRET", "", "needs PERSONA_SIM_WEBHOOK_SECRET"),
        ("PERSONA_SIM_TEMPLATE_ID", "", "missing"),
        ("PERSONA_SIM_DELIVERY_TIMEOUT", "soon", "number of seconds"),
    ],
)
def test_there_are_no_default_secrets(name: str, value: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_settings(GOOD | {name: value})
