"""The few pages of the flow as text. Everything variable goes through `escape`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from scripts.persona_simulator.wire import Json, encode

NOTICE = "Simulator, no real verification"
LABELS = {
    "pass": "Pass the checks",
    "fail": "Fail the checks",
    "abandon": "Leave without finishing",
    "approve": "Approve",
    "decline": "Decline",
    "review": "Send to review",
    "none": "No decision",
}


def buttons(action: str, hidden: Mapping[str, str], names: Iterable[str]) -> str:
    """A form with one submit button per name; the pressed one is sent as ``action``."""
    inputs = "".join(
        f'<input type="hidden" name="{escape(key)}" value="{escape(value)}">' for key, value in hidden.items()
    )
    rows = "".join(
        f'<button name="action" value="{name}"{_plain(name)}>{escape(LABELS[name])}</button>' for name in names
    )
    return f'<form method="post" action="{action}">{inputs}{rows}</form>'


def _plain(name: str) -> str:
    return ' class="plain"' if name in ("abandon", "none") else ""


def page(title: str, content: str, frame: Json = None) -> bytes:
    """A whole page; `frame` is what the widget's script is to say to the embedding page."""
    script = ""
    if frame is not None:
        # The encoder writes < and > as escapes, so the data cannot close the element.
        data = encode(frame).decode()
        script = (
            f'<script type="application/json" id="frame">{data}</script>'
            '<script src="/sim-assets/widget.js" defer></script>'
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        '<link rel="stylesheet" href="/sim-assets/page.css"></head>'
        f'<body><main><p class="notice">{NOTICE}</p><h1>{escape(title)}</h1>{content}</main>'
        f"{script}</body></html>"
    ).encode()


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
