"""Looking for checks before opening a second one: filters, paging, and lists that are not what was asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from issuer.errors import ProviderRefused
from tests.unit.providers.persona_stub import INQUIRY, REFERENCE, TEMPLATE, Reply


def listing(*items: dict, more: bool = False) -> dict:
    path = "https://evil.example/api/v1/inquiries?page%5Bafter%5D=x" if more else None
    return {"data": [item["data"] for item in items], "links": {"prev": None, "next": path}}


async def test_mistake_a_hand_built_query_string(stub, build, inquiry):
    stub.will(Reply(body=listing(inquiry())))
    at = datetime(2026, 11, 20, 13, 0, 0, 700000, tzinfo=timezone(timedelta(hours=1)))
    found = await build().find(REFERENCE, TEMPLATE, at)
    assert [reading.check_ref for reading in found] == [INQUIRY]
    assert stub.sent[0].query == {
        "filter[reference-id]": REFERENCE,
        "filter[inquiry-template-id]": TEMPLATE,
        "filter[created-at-start]": "2026-11-20T12:00:00.000Z",
        "page[size]": "50",
    }


async def test_mistake_an_unfiltered_list_is_somebody_elses(stub, build, inquiry):
    other_person = inquiry(reference_id="sub_somebody_else")
    other_template = inquiry()
    other_template["data"]["relationships"]["inquiry-template"]["data"]["id"] = "itmpl_other"
    too_old = inquiry(created_at="2026-11-19T12:00:00.000Z")
    stub.will(Reply(body=listing(other_person, other_template, too_old)))
    assert await build().find(REFERENCE, TEMPLATE, datetime(2026, 11, 20, tzinfo=UTC)) == []


async def test_find_pages_by_id_and_never_follows_a_link(stub, build, inquiry):
    first, second = inquiry(created_at="2026-11-20T12:00:01.000Z"), inquiry(created_at="2026-11-20T12:00:02.000Z")
    second["data"]["id"] = "inq_second"
    stub.will(Reply(body=listing(first, more=True)), Reply(body=listing(second)))
    found = await build().find(REFERENCE, TEMPLATE, datetime(2026, 11, 20, tzinfo=UTC))
    assert [reading.check_ref for reading in found] == ["inq_second", INQUIRY]  # newest first, whatever the order
    assert stub.sent[1].path == "/api/v1/inquiries"
    assert stub.sent[1].query["page[after]"] == INQUIRY


async def test_find_ends_even_if_persona_always_has_more(stub, build, inquiry):
    for number in range(9):
        item = inquiry()
        item["data"]["id"] = f"inq_{number}"
        stub.will(Reply(body=listing(item, more=True)))
    assert len(await build().find(REFERENCE, TEMPLATE, datetime(2026, 11, 20, tzinfo=UTC))) == 4
    assert len(stub.sent) == 4


@pytest.mark.parametrize(
    ("reference", "template", "since"),
    [
        ("a@b", TEMPLATE, datetime(2026, 11, 20, tzinfo=UTC)),
        (REFERENCE, "a&b", datetime(2026, 11, 20, tzinfo=UTC)),
        (REFERENCE, TEMPLATE, datetime(2026, 11, 20)),  # noqa: DTZ001 - the point is a time without a zone
    ],
)
async def test_find_refuses_before_the_wire(stub, build, reference, template, since):
    with pytest.raises(ProviderRefused):
        await build().find(reference, template, since)
    assert stub.sent == []
