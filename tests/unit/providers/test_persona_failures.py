"""What the Persona client makes of bad answers and of none."""

import asyncio
import gzip
import logging
from datetime import UTC, datetime

import httpx
import pytest

from issuer.errors import ProviderError, ProviderNotFound, ProviderRefused, ProviderUnavailable
from issuer.providers.protocol import StartCheck
from tests.unit.providers.persona_stub import API_KEY, INQUIRY, PEOPLE, REFERENCE, TEMPLATE, Reply

ERRORS = {"errors": [{"title": "Bad Request", "details": "Testa Examplesson X0000000"}]}
START = StartCheck(reference=REFERENCE, template=TEMPLATE, idempotency_key="k-1", prefill={"name_first": "Testa"})


async def failure(call) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await call
    return failed.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ProviderRefused),
        (302, ProviderRefused),
        (307, ProviderRefused),
        (400, ProviderRefused),
        (401, ProviderRefused),
        (403, ProviderRefused),
        (404, ProviderNotFound),
        (408, ProviderUnavailable),
        (409, ProviderRefused),
        (422, ProviderRefused),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
async def test_each_status_has_one_meaning(stub, build, status, kind):
    stub.will(*[Reply(status, ERRORS)] * 2)
    provider = build()
    for call in (provider.start(START), provider.approve(INQUIRY)):
        error = await failure(call)
        assert type(error) is kind
        assert (error.status, error.request_id) == (status, "req_1")
        assert f"status {status}" in str(error)
        assert "req_1" in str(error)
    assert len(stub.sent) == 2  # a POST is sent once


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"RateLimit-Reset": "17"}, 17.0),
        ({"Retry-After": "9"}, 9.0),
        ({"RateLimit-Reset": "17", "Retry-After": "9"}, 17.0),
        ({"RateLimit-Reset": "0"}, 1.0),
        ({"RateLimit-Reset": "99999999"}, 3600.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5.0),
        ({}, 5.0),
    ],
)
async def test_a_rate_limit_says_how_long_and_keeps_the_key(stub, build, headers, wait):
    stub.will(Reply(429, ERRORS, headers))
    error = await failure(build().fetch(INQUIRY))
    assert (error.retry_after, error.same_key, error.status) == (wait, True, 429)
    assert len(stub.sent) == 1  # not tried again inside: that is what was asked


async def test_a_5xx_wants_a_new_key(stub, build):
    stub.will(Reply(502, ERRORS))
    error = await failure(build().start(START))
    assert (error.same_key, error.transient) == (False, True)


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(half=True, body={}), Reply(raw=b"", half=True)])
async def test_a_lost_connection_keeps_the_key(stub, build, reply):
    stub.will(reply)
    error = await failure(build().start(START))
    assert (error.same_key, error.status) == (True, None)
    assert len(stub.sent) == 1


async def test_mistake_no_timeout(stub, build):
    stub.will(Reply(hang=True))
    provider = build(timeout=httpx.Timeout(0.05, connect=2.0))
    error = await asyncio.wait_for(failure(provider.start(START)), 5)
    assert error.same_key


async def test_the_total_is_bounded_however_slowly_bytes_come(stub, build):
    stub.will(*[Reply(hang=True)] * 3)
    provider = build(total_seconds=0.2)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(failure(provider.fetch(INQUIRY)), 5)
    assert asyncio.get_running_loop().time() - began < 2
    assert len(stub.sent) == 1


async def test_nobody_listening(stub, build):
    stub.port = 1  # a privileged port that nothing in a test listens on
    error = await failure(build().resume(INQUIRY))
    assert isinstance(error, ProviderUnavailable)


@pytest.mark.parametrize("bad", [Reply(500, ERRORS), Reply(503, ERRORS), Reply(drop=True), Reply(half=True, body={})])
async def test_a_read_is_tried_three_times(stub, build, inquiry, bad):
    stub.will(bad, bad, Reply(body=inquiry()))
    assert (await build().fetch(INQUIRY)).check_ref == INQUIRY
    assert len(stub.sent) == 3


async def test_a_read_is_not_tried_a_fourth_time(stub, build):
    stub.will(*[Reply(500, ERRORS)] * 4)
    error = await failure(build().fetch(INQUIRY))
    assert (error.status, len(stub.sent)) == (500, 3)


async def test_an_answer_about_another_inquiry_is_refused(stub, build, inquiry):
    provider = build()
    for call in (provider.fetch, provider.resume, provider.one_time_link, provider.approve, provider.expire):
        answer = inquiry("approved", {"session-token": "t", "one-time-link": "https://x.example"})
        answer["data"]["id"] = "inq_somebody_elses"
        stub.will(Reply(body=answer))
        error = await failure(call(INQUIRY))
        assert isinstance(error, ProviderRefused)
        assert "another inquiry" in str(error)


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", b"{}", b'{"data":null}', b'{"data":[]}', b'{"data":{}}', b"[" * 100_000]
)
async def test_an_answer_of_another_shape_is_refused(stub, build, raw):
    stub.will(Reply(raw=raw), Reply(201, raw=raw))
    provider = build()
    assert isinstance(await failure(provider.fetch(INQUIRY)), ProviderRefused)
    assert isinstance(await failure(provider.start(START)), ProviderRefused)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{}", b'{"data":{}}', b'{"data":[7]}'])
async def test_a_list_of_another_shape_is_refused(stub, build, raw, inquiry):
    stub.will(Reply(raw=raw))
    assert isinstance(
        await failure(build().find(REFERENCE, TEMPLATE, datetime(2026, 11, 20, tzinfo=UTC))), ProviderRefused
    )


async def test_a_resume_without_a_token_is_refused(stub, build, inquiry):
    stub.will(Reply(body=inquiry("started", {"session-token": None})))
    assert "without a session token" in str(await failure(build().resume(INQUIRY)))


async def test_an_answer_without_end_is_cut_at_one_mebibyte(stub, build):
    stub.will(Reply(raw=b" " * (1024 * 1024 + 1)))
    error = await failure(build().fetch(INQUIRY))
    assert isinstance(error, ProviderRefused)
    assert "larger than" in str(error)


async def test_a_compressed_answer_is_refused_unread(stub, build):
    stub.will(Reply(raw=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"}))
    assert "compressed" in str(await failure(build().fetch(INQUIRY)))


async def test_a_redirect_is_not_followed(stub, build, inquiry):
    stub.will(Reply(302, {}, {"Location": f"{stub.url}/inquiries/{INQUIRY}"}), Reply(body=inquiry()))
    error = await failure(build().fetch(INQUIRY))
    assert "redirect" in str(error)
    assert len(stub.sent) == 1


@pytest.mark.parametrize("headers", [{"Persona-Environment-Id": "env_sandbox"}, {}])
async def test_a_key_of_another_environment_is_refused(stub, build, inquiry, headers):
    stub.will(Reply(body=inquiry(), headers=headers))
    error = await failure(build(expected_environment_id="env_production").fetch(INQUIRY))
    assert isinstance(error, ProviderRefused)
    assert "another environment" in str(error)


async def test_a_key_of_the_right_environment_is_not(stub, build, inquiry):
    provider = build(expected_environment_id="env_1")
    stub.will(Reply(body=inquiry(), headers={"Persona-Environment-Id": "env_1"}), Reply(401, ERRORS))
    assert (await provider.fetch(INQUIRY)).check_ref == INQUIRY
    assert "does not accept the API key" in str(await failure(provider.fetch(INQUIRY)))


@pytest.mark.parametrize("request_id", ["Testa Examplesson", "", "x" * 65])
async def test_a_request_id_that_is_none_is_not_repeated(stub, build, request_id):
    stub.will(Reply(400, ERRORS, {"Request-Id": request_id}))
    error = await failure(build().start(START))
    assert error.request_id is None
    assert "request unnamed" in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, ERRORS),
        Reply(404, ERRORS),
        Reply(429, ERRORS),
        Reply(500, ERRORS),
        Reply(302, {}, {"Location": "https://evil.example/?name=Testa"}),
        Reply(raw=b'{"data":"Testa Examplesson"}'),
        Reply(drop=True),
    ],
)
async def test_errors_say_nothing_of_people_keys_or_addresses(stub, build, caplog, reply):
    caplog.set_level(logging.DEBUG, logger="issuer")
    stub.will(*[reply] * 4)
    provider = build()
    for call in (provider.start(START), provider.fetch(INQUIRY)):
        error = await failure(call)
        text = str(error) + repr(error) + repr(error.__dict__) + caplog.text
        assert not [secret for secret in (*PEOPLE, API_KEY, "k-1", "evil.example", stub.url) if secret in text]
        assert error.__cause__ is None
        assert error.__context__ is None  # an httpx error carries the request, and that the key
