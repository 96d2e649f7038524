"""What the doctor makes of Persona's list of templates."""

import pytest

from issuer.commands.doctor import _templates
from issuer.errors import ClaimwrightError, ProviderRefused
from issuer.providers.vendors import VENDORS, ProviderSettings
from issuer.secrets import Secret
from tests.unit.providers.persona_stub import API_KEY, TEMPLATE, Reply, Stub

LISTED = {"data": [{"type": "inquiry-template", "id": TEMPLATE, "attributes": {"name": "KYC", "status": "active"}}]}


def settings(stub: Stub) -> ProviderSettings:
    return ProviderSettings(
        vendor="persona",
        environment="production",
        template=TEMPLATE,
        api_url=stub.url,
        keys={"PERSONA_API_KEY": Secret(API_KEY)},
        options=VENDORS["persona"].options,
    )


async def test_templates_that_persona_knows_are_fine_and_transactions_have_none(stub: Stub) -> None:
    stub.will(Reply(200, LISTED))
    assert await _templates(settings(stub), {TEMPLATE, "txntp_1"}) == f"{TEMPLATE}: known"


async def test_a_template_that_persona_does_not_know_is_named(stub: Stub) -> None:
    stub.will(Reply(200, LISTED))
    with pytest.raises(ClaimwrightError, match="knows no template itmpl_mistyped"):
        await _templates(settings(stub), {TEMPLATE, "itmpl_mistyped"})


async def test_a_key_that_may_not_list_them_is_no_fault_and_a_wrong_one_is(stub: Stub) -> None:
    stub.will(Reply(403, {"errors": [{"title": "Forbidden"}]}))
    assert "cannot be told" in await _templates(settings(stub), {TEMPLATE})
    stub.will(Reply(401, {"errors": [{"title": "Token is invalid"}]}))
    with pytest.raises(ProviderRefused):
        await _templates(settings(stub), {TEMPLATE})
