"""The interactive page in a browser, under its own content security policy."""

import shutil
from datetime import UTC, datetime

import pytest
from playwright.async_api import async_playwright

from issuer.access.store import create_key
from issuer.db import Database
from tests.integration.api.conftest import until
from tests.integration.api.test_served import answers, granian
from tests.ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.chromium
@pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_request_can_be_tried_from_the_page(store_url: str, db: Database) -> None:
    port = free_port()
    async with db.write() as session:
        _, key = await create_key(session, "page", ["cases:read"], datetime.now(UTC))
    complaints: list[str] = []
    asked: set[str] = set()
    with granian(store_url, port):
        await until(lambda: answers(port), 20)
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await browser.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: asked.add(request.url.split("/")[2]))
            await page.goto(f"http://127.0.0.1:{port}/schema")
            await page.click("button.authorize")
            await page.fill(".auth-container input", key.reveal())
            await page.click(".auth-container button.authorize")
            await page.click(".btn-done")
            await page.click("#operations-levels-listLevels")
            await page.click("#operations-levels-listLevels .try-out__btn")
            await page.click("#operations-levels-listLevels .execute")
            answer = page.locator("#operations-levels-listLevels .live-responses-table .response").first
            await answer.wait_for(timeout=10_000)
            assert "200" in await answer.inner_text()
            await browser.close()
    assert complaints == []
    assert asked == {f"127.0.0.1:{port}"}
