"""What the Persona client says on the wire and makes of good answers, against a real server on loopback."""

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from issuer.errors import ProviderRefused, SettingsError
from issuer.providers.persona import PersonaProvider
from issuer.providers.protocol import CheckOutcome, Hit, Outcome, Part, StartCheck
from tests.unit.providers.persona_stub import API_KEY, INQUIRY, NOW, REFERENCE, TEMPLATE, Reply

CLAIMS = base64.urlsafe_b64encode(b'{"exp":1795262543}').decode().rstrip("=")
TOKEN = f"eyJhbGciOiJIUzI1NiJ9.{CLAIMS}.c2lnbmF0dXJl"
START = StartCheck(reference=REFERENCE, template=TEMPLATE, idempotency_key="case-1-try-1")


async def test_every_request_is_pinned_and_signed_in(stub, build, inquiry):
    stub.will(Reply(body=inquiry()))
    await build().fetch(INQUIRY)
    headers = stub.sent[0].headers
    assert headers["authorization"] == f"Bearer {API_KEY}"
    assert headers["persona-version"] == "2025-12-08"
    assert headers["key-inflection"] == "kebab"
    assert headers["accept-encoding"] == "identity"
    assert "idempotency-key" not in headers


async def test_start_sends_exactly_what_a_check_needs(stub, build, inquiry):
    stub.will(Reply(201, inquiry("created", {"session-token": TOKEN})))
    request = StartCheck(
        reference=REFERENCE,
        template=TEMPLATE,
        idempotency_key="case-1-try-1",
        redirect_url="https://app.example/return",
        prefill={"address_country_code": "SE"},
    )
    started = await build().start(request)
    sent = stub.sent[0]
    assert (sent.method, sent.path) == ("POST", "/api/v1/inquiries")
    assert sent.headers["idempotency-key"] == "case-1-try-1"
    assert sent.headers["content-type"] == "application/json"
    assert json.loads(sent.body) == {
        "data": {
            "attributes": {
                "inquiry-template-id": TEMPLATE,
                "redirect-uri": "https://app.example/return",
                "fields": {"address_country_code": "SE"},
            }
        },
        "meta": {
            "auto-create-account": True,
            "auto-create-account-reference-id": REFERENCE,
            "auto-create-inquiry-session": True,
        },
    }
    assert started.check_ref == INQUIRY
    assert started.session.token == TOKEN
    assert started.session.expires_at == datetime.fromtimestamp(1795262543, UTC)
    url = urlsplit(started.session.url)
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://inquiry.withpersona.com/verify"
    assert parse_qs(url.query) == {"inquiry-id": [INQUIRY], "session-token": [TOKEN]}
    assert TOKEN not in repr(started)


async def test_start_without_a_token_still_opens_a_created_inquiry(stub, build, inquiry):
    stub.will(Reply(201, inquiry("created", {"session-token": None})))
    session = (await build(hosted_url="http://127.0.0.1:9/verify").start(START)).session
    assert session.token is None
    assert session.url == f"http://127.0.0.1:9/verify?inquiry-id={INQUIRY}"
    assert session.expires_at == datetime.fromtimestamp(NOW, UTC) + timedelta(hours=24)


@pytest.mark.parametrize(
    "change",
    [
        {"reference-id": "sub_somebody_else"},
        {"template": "itmpl_other"},
    ],
)
async def test_a_reused_key_that_hands_us_another_inquiry_is_refused(stub, build, inquiry, change):
    answer = inquiry("created", {"session-token": TOKEN})
    if "template" in change:
        answer["data"]["relationships"]["inquiry-template"]["data"]["id"] = change["template"]
    else:
        answer["data"]["attributes"] |= change
    stub.will(Reply(201, answer))
    with pytest.raises(ProviderRefused, match="another inquiry"):
        await build().start(START)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reference", "testa@example.com"),
        ("reference", ""),
        ("template", "itmpl/../x"),
        ("template", ""),
        ("idempotency_key", ""),
        ("idempotency_key", "two\r\nlines: x"),
        ("prefill", {"a": object()}),
        ("prefill", {"a": "Testa\ud800"}),
    ],
)
async def test_start_refuses_before_the_wire(stub, build, field, value):
    values = {"reference": REFERENCE, "template": TEMPLATE, "idempotency_key": "k", field: value}
    with pytest.raises(ProviderRefused) as refused:
        await build().start(StartCheck(**values))
    assert stub.sent == []
    assert refused.value.__context__ is None
    assert "Testa" not in str(refused.value)
    assert "testa@" not in str(refused.value)


async def test_start_opens_configured_templates_only(stub, build, inquiry):
    stub.will(Reply(201, inquiry("created", {"session-token": TOKEN})))
    provider = build(template_ids=[TEMPLATE])
    assert (await provider.start(START)).check_ref == INQUIRY
    with pytest.raises(ProviderRefused, match="not one of the configured"):
        await provider.start(StartCheck(reference=REFERENCE, template="itmpl_other", idempotency_key="k"))
    assert len(stub.sent) == 1


async def test_fetch_reads_the_truth_of_the_one_asked_for(stub, build, inquiry):
    stub.will(Reply(body=inquiry()))
    reading = await build().fetch(INQUIRY)
    sent = stub.sent[0]
    assert (sent.method, sent.path, sent.query) == (
        "GET",
        f"/api/v1/inquiries/{INQUIRY}",
        {"include": "reports,verifications"},
    )
    assert (reading.outcome, reading.template, reading.reference) == (Outcome.APPROVED, TEMPLATE, REFERENCE)
    assert (reading.environment, reading.read_at) == ("sandbox", datetime.fromtimestamp(NOW, UTC))


async def test_resume_gives_a_new_way_in(stub, build, inquiry):
    stub.will(Reply(body=inquiry("started", {"session-token": TOKEN})))
    session = await build().resume(INQUIRY)
    assert (stub.sent[0].method, stub.sent[0].path) == ("POST", f"/api/v1/inquiries/{INQUIRY}/resume")
    assert session.token == TOKEN
    assert parse_qs(urlsplit(session.url).query)["session-token"] == [TOKEN]


async def test_mistake_a_session_token_in_a_link_for_an_e_mail(stub, build, inquiry):
    link = "https://withpersona.com/verify?code=us1-abc"
    stub.will(Reply(body=inquiry("started", {"session-token": TOKEN, "one-time-link": link})))
    session = await build(one_time_link_seconds=600).one_time_link(INQUIRY)
    assert (session.url, session.token) == (link, None)
    assert session.expires_at == datetime.fromtimestamp(NOW + 600, UTC)
    assert stub.sent[0].path == f"/api/v1/inquiries/{INQUIRY}/generate-one-time-link"
    assert json.loads(stub.sent[0].body) == {"meta": {"expires-in-seconds": 600}}


@pytest.mark.parametrize(
    "link", [None, "", 7, "javascript:alert(1)", "http://withpersona.com/verify?code=x", "https://["]
)
async def test_a_link_that_no_browser_should_follow_is_refused(stub, build, inquiry, link):
    stub.will(Reply(body=inquiry("started", {"one-time-link": link})))
    with pytest.raises(ProviderRefused, match="without a link"):
        await build().one_time_link(INQUIRY)


@pytest.mark.parametrize(("verb", "state"), [("approve", "approved"), ("decline", "declined"), ("expire", "expired")])
async def test_decisions_by_us(stub, build, inquiry, verb, state):
    stub.will(Reply(body=inquiry(state)))
    await getattr(build(), verb)(INQUIRY)
    assert (stub.sent[0].method, stub.sent[0].path) == ("POST", f"/api/v1/inquiries/{INQUIRY}/{verb}")
    assert json.loads(stub.sent[0].body) == {}


@pytest.mark.parametrize("verb", ["approve", "decline"])
async def test_a_decision_carries_its_comment_and_a_key_of_its_own(stub, build, inquiry, verb):
    stub.will(Reply(body=inquiry()), Reply(body=inquiry()))
    provider = build()
    await getattr(provider, verb)(INQUIRY, "seen the papers")
    await getattr(provider, verb)(INQUIRY, "seen the papers")
    assert json.loads(stub.sent[0].body) == {"meta": {"comment": "seen the papers"}}
    keys = [sent.headers["idempotency-key"] for sent in stub.sent]
    assert all(keys)
    assert keys[0] != keys[1]  # a kept key would replay the first decision after it was taken back


async def test_redact(stub, build, inquiry):
    stub.will(Reply(body=inquiry("redacted")))
    await build().redact(INQUIRY)
    assert (stub.sent[0].method, stub.sent[0].path) == ("DELETE", f"/api/v1/inquiries/{INQUIRY}")


async def test_redacted_already_is_success(stub, build):
    stub.will(Reply(409, {"errors": [{"title": "Conflict", "details": "Inquiry already redacted"}]}))
    await build().redact(INQUIRY)


async def test_another_conflict_is_not(stub, build):
    stub.will(Reply(409, {"errors": [{"title": "Conflict", "details": "Stale object error"}]}))
    with pytest.raises(ProviderRefused) as refused:
        await build().redact(INQUIRY)
    assert refused.value.status == 409


async def test_check_names_the_environment_of_the_key(stub, build):
    stub.will(Reply(body={"data": []}, headers={"Persona-Environment-Id": "env_1"}))
    assert await build().check() == "env_1"


@pytest.mark.parametrize("check_ref", ["", "inq/../../accounts", "inq_1?x=1", "inq_1%2F", "inq 1", "x" * 129, "inq_é"])
async def test_an_id_is_checked_before_it_is_in_a_path(stub, build, check_ref):
    provider = build()
    for call in (
        provider.fetch,
        provider.resume,
        provider.one_time_link,
        provider.expire,
        provider.approve,
        provider.decline,
        provider.redact,
    ):
        with pytest.raises(ProviderRefused, match="not an inquiry id"):
            await call(check_ref)
    assert stub.sent == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PERSONA_API_KEY", {"api_key": ""}),
        ("PERSONA_API_KEY", {"api_key": "key\nwith a line"}),
        ("PERSONA_API_BASE_URL", {"base_url": "http://api.withpersona.com/api/v1"}),
        ("PERSONA_API_BASE_URL", {"base_url": "https://user:pw@api.withpersona.com"}),
        ("PERSONA_API_BASE_URL", {"base_url": "https://api.withpersona.com/?a=b"}),
        ("PERSONA_API_BASE_URL", {"base_url": "https://["}),
        ("PERSONA_API_BASE_URL", {"base_url": ""}),
        ("PERSONA_API_BASE_URL", {"base_url": "https://api.example/\x00"}),
        ("PERSONA_HOSTED_URL", {"hosted_url": "http://inquiry.withpersona.com/verify"}),
        ("PERSONA_TEMPLATE_ID", {"template_ids": ["itmpl x"]}),
        ("PERSONA_ONE_TIME_LINK_SECONDS", {"one_time_link_seconds": 0}),
    ],
)
def test_unusable_settings_are_named(name, options):
    with pytest.raises(SettingsError) as refused:
        PersonaProvider("sandbox", **{"api_key": API_KEY, "base_url": "https://api.example"} | options)
    assert refused.value.name == name
    assert API_KEY not in str(refused.value)


async def test_a_borrowed_client_is_left_open_and_its_manners_are_not_used(stub, inquiry):
    async with httpx.AsyncClient(follow_redirects=True, auth=("somebody", "else")) as client:
        provider = PersonaProvider("sandbox", API_KEY, f"{stub.url}/", http=client)
        stub.will(Reply(body=inquiry()))
        await provider.fetch(INQUIRY)
        await provider.aclose()
        assert not client.is_closed
    assert stub.sent[0].headers["authorization"] == f"Bearer {API_KEY}"
    assert stub.sent[0].path == f"/api/v1/inquiries/{INQUIRY}"


async def test_nothing_that_is_shown_holds_the_key(build):
    provider = build()
    assert API_KEY not in repr(provider) + str(provider) + repr(provider._api) + repr(provider._api._client)


REPORT = {
    "type": "report/watchlist",
    "id": "rep_1",
    "attributes": {
        "status": "ready",
        "has-match": True,
        "completed-at": "2026-11-20T12:00:00Z",
        "name-last": "Doe",
    },
}
VERIFICATION = {
    "type": "verification/government-id",
    "id": "ver_1",
    "attributes": {
        "status": "failed",
        "name-first": "Jane",
        "checks": [
            {"name": "id_expired_detection", "status": "failed", "reasons": []},
            {"name": "id_entity_detection", "status": "passed", "reasons": []},
            {"name": "Jane Doe", "status": "failed"},
            7,
        ],
    },
}


async def test_what_came_beside_an_inquiry_is_read_as_codes_and_nothing_else(build, stub, inquiry):
    body = inquiry()
    body["included"] = [REPORT, VERIFICATION, {"type": "selfie", "id": "sel_1"}, None, 7]
    stub.will(Reply(body=body))
    reading = await build().fetch(INQUIRY)
    assert reading.hits == (Hit(code="watchlist_hit", key="rep_1@2026-11-20T12:00:00Z"),)
    assert reading.parts == (
        Part(ref="ver_1", kind="government-id", outcome=CheckOutcome.FAILED, reasons=("id_expired_detection",)),
    )
    assert "Jane" not in repr(reading)
    assert "Doe" not in repr(reading)


@pytest.mark.parametrize("has_match", [False, None, "true", 1, {}])
async def test_only_a_plain_yes_is_a_hit(build, stub, inquiry, has_match):
    body = inquiry()
    body["included"] = [{**REPORT, "attributes": {**REPORT["attributes"], "has-match": has_match}}]
    stub.will(Reply(body=body))
    assert (await build().fetch(INQUIRY)).hits == ()


@pytest.mark.parametrize("included", [None, {}, "x", 7, [[]], [{"type": []}], [{"id": 7, "attributes": []}]])
async def test_an_odd_surrounding_is_no_surrounding(build, stub, inquiry, included):
    stub.will(Reply(body=inquiry() | {"included": included}))
    reading = await build().fetch(INQUIRY)
    assert (reading.outcome, reading.hits, reading.parts) == (Outcome.APPROVED, (), ())
