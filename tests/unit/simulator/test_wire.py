from __future__ import annotations

import json

import pytest

from scripts.persona_simulator.wire import encode, milliseconds, moment, seconds


def test_bytes_are_compact_with_html_escapes_and_raw_utf8() -> None:
    body = encode({"note": "A & B <ok> Å", "list": [1, 2.5, None]})
    assert body == b'{"note":"A \\u0026 B \\u003cok\\u003e \xc3\x85","list":[1,2.5,null]}'
    assert json.loads(body)["note"] == "A & B <ok> Å"


def test_parsing_and_writing_again_changes_the_bytes() -> None:
    body = encode({"note": "<&>"})
    assert json.dumps(json.loads(body), separators=(",", ":")).encode() != body


def test_object_times_are_whole_seconds_and_event_times_have_milliseconds() -> None:
    assert seconds(1795176000.9) == "2026-11-20T12:00:00.000Z"
    assert seconds(None) is None
    assert milliseconds(1795176000.12) == "2026-11-20T12:00:00.120Z"
    assert milliseconds(1795176000.9996) == "2026-11-20T12:00:01.000Z"


@pytest.mark.parametrize("text", ["2026-11-20T12:00:00.000Z", "2026-11-20T13:00:00+01:00", "2026-11-20T12:00:00"])
def test_moments_are_read_as_utc(text: str) -> None:
    assert moment(text) == 1795176000
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")
