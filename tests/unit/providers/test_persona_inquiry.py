"""From Persona's inquiry to the house's reading."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.providers.persona_inquiry import read_one, read_page, says_already_redacted, session_end
from issuer.providers.protocol import Outcome, Reading
from tests.unit.providers.persona_stub import INQUIRY, PEOPLE, REFERENCE, TEMPLATE

NOW = datetime(2026, 11, 20, 12, 5, tzinfo=UTC)


def reading(answer: dict) -> Reading | None:
    opened = read_one(json.dumps(answer).encode())
    assert opened is not None
    return opened.inquiry.reading("sandbox", NOW)


def token(claims: object) -> str:
    return f"eyJh.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_an_approval(inquiry):
    assert reading(inquiry("approved")) == Reading(
        check_ref=INQUIRY,
        outcome=Outcome.APPROVED,
        status="approved",
        reference=REFERENCE,
        template=TEMPLATE,
        environment="sandbox",
        evidence_at=datetime(2026, 11, 20, 12, 2, 23, tzinfo=UTC),
        decided_at=datetime(2026, 11, 20, 12, 2, 23, tzinfo=UTC),
        redacted=False,
        read_at=NOW,
        person_ref="act_vYCuiyZvlTObZj6pbsD05yJr0Z7u",
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("created", Outcome.CREATED),
        ("pending", Outcome.STARTED),
        ("completed", Outcome.SUBMITTED),
        ("needs_review", Outcome.IN_REVIEW),
        ("approved", Outcome.APPROVED),
        ("declined", Outcome.DECLINED),
        ("failed", Outcome.FAILED),
        ("expired", Outcome.EXPIRED),
        ("suspected", Outcome.UNKNOWN),
        ("Approved", Outcome.UNKNOWN),
        ("approved2", Outcome.UNKNOWN),
    ],
)
def test_every_status_has_one_outcome(inquiry, status, outcome):
    found = reading(inquiry("approved", status=status))
    assert (found.outcome, found.status) == (outcome, status)


def test_mistake_completed_is_not_approved(inquiry):
    found = reading(inquiry("completed"))
    assert found.outcome is Outcome.SUBMITTED
    assert found.decided_at is None


def test_a_decision_that_was_taken_back_to_review_is_none(inquiry):
    found = reading(inquiry("approved", status="needs_review"))
    assert found.outcome is Outcome.IN_REVIEW
    assert found.decided_at is None


def test_mistake_invented_statuses_decide_nothing(inquiry):
    assert reading(inquiry("approved", status="completed.approved")).outcome is Outcome.UNKNOWN


def test_mistake_once_approved_always_approved(inquiry):
    before = reading(inquiry("approved"))
    later = "2026-11-20T12:10:00.000Z"
    after = reading(inquiry("declined", updated_at=later, decisioned_at=later))
    assert after.outcome is Outcome.DECLINED
    assert after.evidence_at > before.evidence_at


def test_mistake_reading_the_fields(inquiry):
    """Whatever casing `fields` has, and whatever it claims, the reading is the same."""
    told = inquiry("declined")
    told["data"]["attributes"]["fields"] = {"status": "approved", "name-first": "Testa", "name_first": 7}
    assert reading(told) == reading(inquiry("declined"))


@pytest.mark.parametrize(
    "name", ["updated_at", "decisioned_at", "completed_at", "marked_for_review_at", "expired_at", "redacted_at"]
)
def test_evidence_is_as_new_as_the_newest_time(inquiry, name):
    found = reading(inquiry("approved", **{name: "2026-11-20T13:00:00.000Z"}))
    assert found.evidence_at == datetime(2026, 11, 20, 13, tzinfo=UTC)


def test_times_that_a_blocklist_hides_are_not_needed(inquiry):
    answer = inquiry("approved")
    attributes = answer["data"]["attributes"]
    answer["data"]["attributes"] = {key: attributes[key] for key in ("status", "created-at")}
    found = reading(answer)
    assert found.evidence_at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert (found.decided_at, found.reference) == (None, None)


@pytest.mark.parametrize("at", ["2026-11-20T12:30:00.000Z", "unreadable", 0, {}])
def test_any_redaction_time_is_an_erasure(inquiry, at):
    assert reading(inquiry("approved", redacted_at=at)).redacted


def test_a_redacted_inquiry_keeps_its_status(inquiry):
    found = reading(inquiry("redacted"))
    assert (found.outcome, found.redacted) == (Outcome.APPROVED, True)


@pytest.mark.parametrize("change", [{"status": None}, {"status": 7}, {"status": "two words"}, {"status": "Testa\n"}])
def test_no_status_is_no_reading(inquiry, change):
    assert reading(inquiry("approved", **change)) is None


def test_no_time_at_all_is_no_reading(inquiry):
    answer = inquiry("approved")
    answer["data"]["attributes"] = {"status": "approved"}
    assert reading(answer) is None


@pytest.mark.parametrize("change", [{"type": "account"}, {"id": "inq/../x"}, {"id": None}, {"attributes": []}])
def test_what_is_no_inquiry_is_no_reading(inquiry, change):
    answer = inquiry("approved")
    answer["data"] |= change
    assert reading(answer) is None


@pytest.mark.parametrize(
    "relationships", [None, {}, [], {"inquiry-template": None}, {"inquiry-template": {"data": {}}}]
)
def test_a_missing_template_is_said_and_not_guessed(inquiry, relationships):
    answer = inquiry("approved")
    answer["data"]["relationships"] = relationships
    assert reading(answer).template is None


def test_no_person_is_in_anything_that_is_read(inquiry):
    opened = read_one(json.dumps(inquiry("approved", meta={"session-token": "tok-secret"})).encode())
    shown = repr(opened) + repr(opened.inquiry) + repr(opened.inquiry.reading("sandbox", NOW))
    assert not [text for text in (*PEOPLE, "tok-secret") if text in shown]


def test_a_token_says_when_it_ends():
    assert session_end(token({"exp": 1795180000}), NOW) == datetime.fromtimestamp(1795180000, UTC)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no-dots",
        "a.b.c",
        "a.é.c",
        token([1]),
        token({}),
        token({"exp": "soon"}),
        token({"exp": True}),
        token({"exp": 1e30}),
    ],
)
def test_a_token_that_does_not_say_ends_in_a_day(text):
    assert session_end(text, NOW) == NOW + timedelta(hours=24)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"errors":[{"title":"Conflict","details":"Inquiry already redacted"}]}', True),
        (b'{"errors":[{"title":"Inquiry already redacted"}]}', True),
        (b'{"errors":[{"title":"Conflict","details":"Stale object error"}]}', False),
        (b'{"errors":[]}', False),
        (b'{"errors":"already redacted"}', False),
        (b"already redacted", False),
    ],
)
def test_only_one_conflict_is_already_redacted(body, expected):
    assert says_already_redacted(body) is expected


@given(body=st.binary(), text=st.text())
def test_no_answer_is_anything_but_read_or_none(body, text):
    prefix = b'{"data":'
    for candidate in (body, prefix + body, prefix + b"[" + body):
        assert read_one(candidate) is None
        page = read_page(candidate)
        assert page is None or page[0] == []
        assert says_already_redacted(candidate) is False
    assert session_end(text, NOW) >= datetime(1970, 1, 1, tzinfo=UTC)
