"""The embedded page under the genuine npm `persona` client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Page

from scripts.persona_simulator import launch
from tests.integration.simulator.browser import BUNDLE, Dapp, open_page, serve_dapp
from tests.integration.simulator.conftest import Create, simulate, status_of

HOST_PAGE = """<!doctype html><html lang="en"><title>dapp</title><body><script src="/persona.js"></script><script>
const options = JSON.parse(decodeURIComponent(location.hash.slice(1)));
window.seen = [];
const note = (name) => (data) => window.seen.push([name, data ?? null]);
window.client = new Persona.Client({
  ...options,
  onLoad: note("load"),
  onReady: () => { window.seen.push(["ready", null]); window.client.open(); },
  onComplete: note("complete"), onCancel: note("cancel"), onError: note("error"),
});
</script></body></html>"""


@pytest.fixture
def dapp() -> Iterator[Dapp]:
    with serve_dapp() as server:
        server.pages["/"] = ("text/html; charset=utf-8", HOST_PAGE.encode())
        server.pages["/persona.js"] = ("text/javascript; charset=utf-8", BUNDLE.read_bytes())
        yield server


async def mount(page: Page, dapp: Dapp, persona: launch.Running, **options: str) -> None:
    """Open the dapp with a client whose host is the simulator."""
    host = {"customHost": f"localhost:{persona.url.rsplit(':', 1)[1]}"}
    await page.goto(f"{dapp.url}/#{httpx.QueryParams({'x': json.dumps(options | host)})['x']}")


async def seen(page: Page, name: str) -> Any:
    """Wait for one callback and return what it was given."""
    found = await page.wait_for_function("name => window.seen.find(([n]) => n === name)", arg=name)
    value = await found.json_value()
    return value[1]


@pytest.mark.chromium
async def test_a_person_completes_the_embedded_flow(
    create: Create, api: httpx.Client, persona: launch.Running, dapp: Dapp
) -> None:
    document = create({"auto-create-inquiry-session": True})
    inquiry, token = document["data"]["id"], document["meta"]["session-token"]
    async with open_page() as page:
        await mount(page, dapp, persona, inquiryId=inquiry, sessionToken=token)
        await seen(page, "ready")
        frame = page.frame_locator("iframe")
        await frame.get_by_role("button", name="Pass the checks").click()
        await frame.get_by_role("button", name="Approve").click()
        result = await seen(page, "complete")
        order = await page.evaluate("window.seen.map(([name]) => name)")
        is_open = await page.evaluate("window.client.isOpen")
    assert order == ["load", "ready", "complete"]
    assert is_open is False
    assert result["inquiryId"] == inquiry
    assert result["status"] == "approved"
    assert result["fields"]["name_first"] == {"type": "string", "value": "Testa"}
    assert status_of(api, inquiry) == "approved"


@pytest.mark.chromium
async def test_a_failed_flow_calls_complete_with_its_status(
    create: Create, persona: launch.Running, dapp: Dapp
) -> None:
    inquiry = create()["data"]["id"]
    async with open_page() as page:
        await mount(page, dapp, persona, inquiryId=inquiry)
        await seen(page, "ready")
        frame = page.frame_locator("iframe")
        await frame.get_by_role("button", name="Fail the checks").click()
        await frame.get_by_role("button", name="No decision").click()
        assert (await seen(page, "complete"))["status"] == "failed"


@pytest.mark.chromium
async def test_leaving_and_the_pages_own_cancel_call_cancel(
    create: Create, persona: launch.Running, dapp: Dapp
) -> None:
    inquiry = create()["data"]["id"]
    async with open_page() as page:
        await mount(page, dapp, persona, inquiryId=inquiry)
        await seen(page, "ready")
        await page.evaluate("window.client.cancel(true)")
        cancelled = await seen(page, "cancel")
        assert cancelled["inquiryId"] == inquiry
        await page.evaluate("window.seen = []")
        await page.evaluate("window.client.open()")
        await page.frame_locator("iframe").get_by_role("button", name="Leave without finishing").click()
        again = await seen(page, "cancel")
        assert again["sessionToken"] == cancelled["sessionToken"]


@pytest.mark.chromium
async def test_a_pending_inquiry_without_a_token_is_an_error(
    create: Create, api: httpx.Client, persona: launch.Running, dapp: Dapp
) -> None:
    inquiry = create()["data"]["id"]
    simulate(api, inquiry, "start")
    async with open_page() as page:
        await mount(page, dapp, persona, inquiryId=inquiry)
        assert (await seen(page, "error"))["code"] == "unauthenticated"
        heading = page.frame_locator("iframe").locator("h1")
        assert await heading.text_content() == "Session expired"


def test_only_pages_of_this_computer_may_embed_it(create: Create, persona: launch.Running) -> None:
    inquiry = create()["data"]["id"]
    params = {"inquiry-id": inquiry, "container-id": "c", "iframe-origin": "https://evil.example"}
    assert httpx.get(f"{persona.url}/widget", params=params).status_code == 422
    params["iframe-origin"] = "http://localhost:1"
    page = httpx.get(f"{persona.url}/widget", params=params)
    assert "frame-ancestors http://localhost:* http://127.0.0.1:*" in page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
