"""A headless Chromium and a dapp for it to visit."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, async_playwright

from scripts.persona_simulator.launch import ROOT

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BUNDLE = ROOT / "node_modules" / "persona" / "dist" / "persona.js"


def chromium() -> str:
    """The browser to use. Its absence fails the test unless the environment says to skip."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CLAIMWRIGHT_SKIP_CHROMIUM") == "1":
        pytest.skip("CLAIMWRIGHT_SKIP_CHROMIUM=1: chromium is not installed here")
    assert found is not None, "chromium is not installed; install it, or set CLAIMWRIGHT_SKIP_CHROMIUM=1"
    return found


@asynccontextmanager
async def open_page() -> AsyncIterator[Page]:
    """A fresh page; any error a script throws on it fails the test at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = await browser.new_page()
        page.set_default_timeout(15_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
        finally:
            await browser.close()
        assert errors == []


@dataclass
class Dapp:
    """A page server of our own: the return page of the hosted flow, the host of the embedded."""

    url: str = ""
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Path to content type and content."""
    visits: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)


@contextmanager
def serve_dapp() -> Iterator[Dapp]:
    dapp = Dapp()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            dapp.visits.append((parts.path, parse_qs(parts.query)))
            kind, content = dapp.pages.get(parts.path, ("text/html", b"<!doctype html><title>dapp</title>"))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        dapp.url = f"http://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield dapp
        server.shutdown()
        thread.join()
