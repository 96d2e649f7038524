"""What is read from a verified Persona webhook, and what never is."""

import json
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import WebhookRefused
from issuer.providers.persona_webhook import PersonaDoor
from issuer.providers.protocol import Event
from tests.unit.providers.persona_stub import INQUIRY, PEOPLE, REFERENCE, TEMPLATE

DOOR = PersonaDoor("sandbox", ["wbhsec_00000000-1111-4222-8333-444444444444"])
KNOWN = [
    "created",
    "started",
    "completed",
    "failed",
    "expired",
    "marked-for-review",
    "approved",
    "declined",
    "redacted",
]


def parse(value: object) -> Event:
    return DOOR.parse(json.dumps(value).encode())


def recased(value: object, case: str) -> object:
    """`value` with its keys in another casing, as a webhook with that inflection setting sends them."""

    def key(text: str) -> str:
        first, *rest = text.split("-")
        return "_".join([first, *rest]) if case == "snake" else first + "".join(part.title() for part in rest)

    if isinstance(value, dict):
        return {key(name): recased(item, case) for name, item in value.items()}
    return [recased(item, case) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", KNOWN)
def test_every_event_we_act_on(webhook, name):
    body = webhook(name)
    event = parse(body)
    assert event.known
    assert event.name == f"inquiry.{name}"
    assert event.key == body["data"]["id"]
    assert (event.check_ref, event.template) == (INQUIRY, TEMPLATE)
    assert event.status == body["data"]["attributes"]["payload"]["data"]["attributes"]["status"]


def test_the_whole_of_an_approval(webhook):
    assert parse(webhook("approved")) == Event(
        key="evt_vUqdoVNMyZyUY6Y1o3xUEvZlmHAm",
        name="inquiry.approved",
        known=True,
        check_ref=INQUIRY,
        template=TEMPLATE,
        reference=REFERENCE,
        status="approved",
        occurred_at=datetime(2026, 11, 20, 12, 2, 23, 882000, tzinfo=UTC),
    )


@pytest.mark.parametrize("case", ["camel", "snake"])
def test_key_casing_is_a_setting_at_persona(webhook, case):
    assert parse(recased(webhook("approved"), case)) == parse(webhook("approved"))


@pytest.mark.parametrize("nothing", [None, {}, [], "", 0, False, {"data": None}, {"data": {}}, {"data": []}])
def test_missing_or_empty_relationships(webhook, nothing):
    body = webhook("approved")
    subject = body["data"]["attributes"]["payload"]["data"]
    subject["relationships"]["inquiry-template"] = nothing
    assert parse(body).template is None
    subject["relationships"]["template"] = {"data": {"type": "template", "id": "tmpl_legacy"}}
    assert parse(body).template == "tmpl_legacy"
    subject["relationships"] = nothing
    event = parse(body)
    assert event.template is None
    assert event.check_ref == INQUIRY


@pytest.mark.parametrize("nothing", [None, {}, [], "text", 7])
@pytest.mark.parametrize("depth", ["attributes", "payload", "data"])
def test_an_event_with_an_id_is_kept_however_empty_it_is(webhook, depth, nothing):
    body = webhook("approved")
    attributes = body["data"]["attributes"]
    if depth == "attributes":
        body["data"]["attributes"] = nothing
    elif depth == "payload":
        attributes["payload"] = nothing
    else:
        attributes["payload"]["data"] = nothing
    event = parse(body)
    assert event.key == "evt_vUqdoVNMyZyUY6Y1o3xUEvZlmHAm"
    assert event.check_ref is None


def test_extra_keys_are_ignored(webhook):
    body = webhook("approved")
    body["meta"] = body["data"]["context"] = {"new": [1]}
    body["data"]["attributes"] |= {"context": {"previous-step-name": "x"}, "redacted-at": None, "later": 1.5}
    del body["data"]["attributes"]["payload"]["included"]
    assert parse(body) == parse(webhook("approved"))


def test_what_is_skipped_is_not_even_judged():
    event = DOOR.parse(b'{"data":{"id":"evt_x","later":1e999,"text":"\xff"},"more":' + b"9" * 5000 + b"}")
    assert event.key == "evt_x"


@pytest.mark.parametrize(
    ("name", "kind", "object_id", "group"),
    [
        ("account.redacted", "account", "act_1", "account:act_1"),
        ("case.resolved", "case", "case_1", "case:case_1"),
        ("case.resolved", "case", "../accounts", None),
        ("account.redacted", "account", {"id": 7}, None),
    ],
)
def test_an_event_about_a_group_names_no_check(webhook, name, kind, object_id, group):
    body = webhook("redacted")
    body["data"]["attributes"]["name"] = name
    body["data"]["attributes"]["payload"]["data"] |= {"type": kind, "id": object_id}
    event = parse(body)
    assert (event.name, event.known, event.check_ref, event.template) == (name, True, None, None)
    assert event.group_ref == group


def test_a_report_on_an_account_names_the_account_and_one_on_an_inquiry_the_inquiry(webhook):
    body = webhook("approved")
    body["data"]["attributes"]["name"] = "report/watchlist.matched"
    about = {"account": {"data": {"type": "account", "id": "act_1"}}, "inquiry": {"data": None}}
    subject = {"type": "report/watchlist", "id": "rep_1", "relationships": about}
    body["data"]["attributes"]["payload"]["data"] = subject
    event = parse(body)
    assert (event.check_ref, event.group_ref) == (None, "account:act_1")
    about["inquiry"] = {"data": {"type": "inquiry", "id": "inq_1"}}
    event = parse(body)
    assert (event.check_ref, event.group_ref) == ("inq_1", None)


def test_a_transaction_is_a_check_under_a_mark_of_ours(webhook):
    body = webhook("approved")
    body["data"]["attributes"]["name"] = "transaction.status-updated"
    body["data"]["attributes"]["payload"]["data"] = {"type": "transaction", "id": "txn_1"}
    event = parse(body)
    assert (event.known, event.check_ref, event.group_ref) == (True, "transaction-txn_1", None)


@pytest.mark.parametrize("name", ["inquiry.transitioned", "report/watchlist.ready", "case.assigned", "x.y"])
def test_other_events_are_kept_and_nothing_more(webhook, name):
    body = webhook("approved")
    body["data"]["attributes"]["name"] = name
    assert (parse(body).name, parse(body).known) == (name, False)


@pytest.mark.parametrize("name", [None, 7, {}, "", "Testa Examplesson", "x" * 200])
def test_a_name_that_is_no_name(webhook, name):
    body = webhook("approved")
    body["data"]["attributes"]["name"] = name
    assert (parse(body).name, parse(body).known) == ("unknown", False)


@pytest.mark.parametrize(
    "at", [None, 7, "", "yesterday", "2026-11-20T12:00:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"]
)
def test_a_time_that_is_no_time(webhook, at):
    body = webhook("approved")
    body["data"]["attributes"]["created-at"] = at
    assert parse(body).occurred_at is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"data":{"id":null}}',
        b'{"data":{"id":""}}',
        b'{"data":{"id":"has space"}}',
        b'{"data":{"id":"nul\\u0000"}}',
        b'{"data":{"id":"\\ud800"}}',
        b'{"data":{"id":"' + b"x" * 129 + b'"}}',
        b'{"data":{"id":"\xff"}}',
        b"[" * 200_000,
        b'{"data":' * 200_000,
    ],
)
def test_without_an_event_id_there_is_nothing_to_keep(body):
    with pytest.raises(WebhookRefused) as refused:
        DOOR.parse(body)
    assert refused.value.reason == "malformed"


# ---- mistakes of public handlers ------------------------------------------------------------------------------


def test_mistake_reading_the_event_as_the_inquiry(webhook):
    body = webhook("completed")
    body["data"]["attributes"]["status"] = "approved"
    event = parse(body)
    assert (event.check_ref, event.status) == (INQUIRY, "completed")
    assert event.key != event.check_ref


def test_mistake_the_simplified_payload_with_the_name_at_the_top():
    event = parse({"type": "inquiry.completed", "data": {"id": INQUIRY, "attributes": {"status": "completed"}}})
    assert (event.known, event.check_ref, event.status) == (False, None, None)


def test_mistake_an_approval_on_another_template_counts(webhook):
    body = webhook("approved")
    body["data"]["attributes"]["payload"]["data"]["relationships"]["inquiry-template"]["data"]["id"] = "itmpl_other"
    assert parse(body).template == "itmpl_other"


def test_mistake_an_e_mail_as_reference_is_carried_along(webhook):
    body = webhook("approved")
    body["data"]["attributes"]["payload"]["data"]["attributes"]["reference-id"] = "testa@example.com"
    assert parse(body).reference is None


@pytest.mark.parametrize("name", KNOWN)
def test_no_person_is_in_an_event(webhook, name):
    body = webhook(name)
    body["data"]["attributes"]["payload"]["data"]["attributes"] |= {"note": "Testa", "tags": ["Examplesson"]}
    body["data"]["attributes"]["payload"]["included"] = [{"attributes": {"name-first": "Testa"}}]
    shown = repr(parse(body))
    assert not [text for text in PEOPLE if text in shown]


@pytest.mark.parametrize(
    "spoil", [lambda body: body[:-1], lambda body: body.replace(b'"evt_', b'"evt Testa '), lambda body: b"Testa" + body]
)
def test_no_person_is_in_a_refusal_nor_in_what_is_chained_to_it(webhook, spoil):
    with pytest.raises(WebhookRefused) as refused:
        DOOR.parse(spoil(json.dumps(webhook("approved")).encode()))
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    shown = "".join(traceback.format_exception_only(refused.value)) + repr(refused.value)
    assert not [text for text in PEOPLE if text in shown]


# ---- any bytes at all -------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PATHS = [
    (),
    ("data",),
    ("data", "attributes"),
    ("data", "attributes", "name"),
    ("data", "attributes", "created-at"),
    ("data", "attributes", "payload"),
    ("data", "attributes", "payload", "data"),
    ("data", "attributes", "payload", "data", "type"),
    ("data", "attributes", "payload", "data", "id"),
    ("data", "attributes", "payload", "data", "attributes"),
    ("data", "attributes", "payload", "data", "attributes", "status"),
    ("data", "attributes", "payload", "data", "relationships"),
    ("data", "attributes", "payload", "data", "relationships", "inquiry-template"),
    ("data", "attributes", "payload", "data", "relationships", "inquiry-template", "data"),
]


@given(body=st.binary() | st.binary().map(lambda tail: b'{"data":{"id":"evt_x"' + tail))
def test_any_bytes_are_refused_in_the_one_way(body):
    with pytest.raises(WebhookRefused, match="malformed"):
        DOOR.parse(body)


@given(path=st.sampled_from(PATHS[2:]), value=JSON)
def test_any_value_anywhere_below_the_id_is_survived(webhook, path, value):
    body = webhook("approved")
    parent = body
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    assert parse(body).key == "evt_vUqdoVNMyZyUY6Y1o3xUEvZlmHAm"


def report() -> dict[str, Any]:
    """As Persona's own specification gives it."""
    path = Path(__file__).parents[2] / "fixtures/persona/official/report-watchlist-matched.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_a_match_rings_for_the_inquiry_that_the_report_is_about():
    event = parse(report())
    assert (event.name, event.known, event.check_ref) == (
        "report/watchlist.matched",
        True,
        "inq_VVpTcAmqY1iHGYmB8gPrtNLf",
    )
    assert (event.template, event.reference) == (None, None)
    assert "Jane" not in repr(event)


@pytest.mark.parametrize("inquiry", [None, {}, [], "x", {"data": None}, {"data": []}, {"data": {"id": "../x"}}])
def test_a_report_about_no_inquiry_rings_for_nobody(inquiry):
    body = report()
    body["data"]["attributes"]["payload"]["data"]["relationships"]["inquiry"] = inquiry
    assert parse(body).check_ref is None
