"""Nothing reaches a log line but what is on the list: canaries are fed through every door."""

import ast
import io
import json
import logging
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from issuer import log
from issuer.errors import NodeUnavailable
from issuer.secrets import Secret

CANARY = "canary-testa@example.com"


@pytest.fixture
def lines():
    stream = io.StringIO()
    log.configure("api", "info", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        if getattr(handler, "stream", None) is stream:
            logging.getLogger().removeHandler(handler)


def test_a_line_is_json_with_its_event_level_time_and_role(lines):
    log.get_logger().info("case_moved", case_id="case_1", result="approved", duration_ms=1.5, count=2)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "case_moved", "level": "info", "role": "api",
        "case_id": "case_1", "result": "approved", "duration_ms": 1.5, "count": 2,
    }  # fmt: skip


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=8))
def test_only_listed_keys_pass_whatever_is_given(values):
    passed = log.allow(None, "info", {**values, "email": CANARY, "wallet": CANARY, "event": "x"})
    assert set(passed) <= log.KEYS


def test_keys_off_the_list_are_dropped(lines):
    log.get_logger().warning("x", email=CANARY, wallet=CANARY, body=CANARY, prefill={"name": CANARY}, token=CANARY)
    assert set(lines()[0]) == {"event", "level", "role", "timestamp"}


def test_a_listed_key_holds_plain_values_only(lines):
    log.get_logger().info("x", result={"name": CANARY}, reason=Secret(CANARY), case_id=[CANARY], status=None)
    (line,) = lines()
    assert (line["result"], line["reason"], line["case_id"], line["status"]) == ("dict", "Secret", "list", None)


def test_a_path_loses_its_query_and_its_wallet(lines):
    wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    log.get_logger().info("request", path=f"/v1/subjects/{wallet}/status?email={CANARY}")
    assert lines()[0]["path"] == "/v1/subjects/{wallet}/status"


def test_a_hash_is_not_taken_for_a_wallet(lines):
    log.get_logger().info("sent", tx_hash="0x" + "ab" * 32)
    assert lines()[0]["tx_hash"] == "0x" + "ab" * 32


def test_a_value_is_one_short_line(lines):
    log.get_logger().info("x", reason="a\nb\x00" + "c" * 1000)
    reason = lines()[0]["reason"]
    assert reason.startswith("a b c")
    assert len(reason) == log.LONGEST_VALUE


@pytest.mark.parametrize(
    ("error", "code"), [(ValueError(CANARY), "ValueError"), (NodeUnavailable(CANARY), "node-unavailable")]
)
def test_an_exception_is_its_code_and_its_place(lines, error, code):
    try:
        raise error
    except Exception:
        log.get_logger().exception("failed", result="x")
    (line,) = lines()
    assert line["error_code"] == code
    assert line["where"].startswith("log/test_log.py:")
    assert CANARY not in json.dumps(line)


def test_an_exception_of_another_library_is_no_better_told(lines):
    try:
        raise KeyError(CANARY)
    except KeyError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved: %s", CANARY)
    (line,) = lines()
    assert (line["event"], line["error_code"]) == ("asyncio error", "KeyError")
    assert CANARY not in json.dumps(line)


@pytest.mark.parametrize("name", ["sqlalchemy.engine.Engine", "litestar", "asyncpg", "anything"])
def test_sentences_of_other_libraries_stay_out_but_the_place_is_named(lines, name):
    logging.getLogger(name).warning("INSERT INTO cases VALUES (%s)", CANARY)
    logging.getLogger(name).error(f"could not parse {CANARY}")
    first, second = lines()
    assert first["event"] == f"{name} warning"
    assert first["where"].startswith("test_log.py:")
    assert CANARY not in json.dumps([first, second])


def test_our_own_records_keep_their_template_and_their_listed_extras(lines):
    logging.getLogger("issuer.queue").warning("job %s failed", CANARY, extra={"case_id": "case_1", "wallet": CANARY})
    (line,) = lines()
    assert (line["event"], line["case_id"]) == ("job %s failed", "case_1")
    assert CANARY not in json.dumps(line)


def test_the_server_may_say_where_it_listens(lines):
    logging.getLogger("_granian.serve").info("Listening at: %s", "http://127.0.0.1:8000")
    assert lines()[0]["event"] == "Listening at: http://127.0.0.1:8000"


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "granian.access"])
def test_loggers_that_write_urls_are_silent(lines, name):
    logging.getLogger(name).critical("GET https://node.example/%s", CANARY)
    assert [line for line in lines() if CANARY in json.dumps(line)] == []


def test_below_the_level_nothing_is_written(lines):
    log.get_logger().debug("x")
    logging.getLogger("issuer").debug("x")
    logging.getLogger("sqlalchemy").info("x")
    assert lines() == []


def test_no_line_of_ours_loses_a_key_or_makes_up_its_event():
    """What is off the list is dropped without a word, so a slip would only show when somebody misses it."""
    root = Path(__file__).parents[3]
    calls = [
        (f"{path.relative_to(root)}:{node.lineno}", node)
        for room in ("issuer", "api")
        for path in sorted((root / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _logs(node.func)
    ]
    assert len(calls) > 15
    for place, call in calls:
        assert isinstance(call.args[0], ast.Constant), place
        names = {keyword.arg for keyword in call.keywords} - {"error", "exc_info", None}
        assert names <= log.KEYS, place


def _logs(function: ast.expr) -> bool:
    levels = ("debug", "info", "warning", "error", "exception", "critical")
    return (
        isinstance(function, ast.Attribute)
        and function.attr in levels
        and ast.unparse(function.value).partition("(")[0].rpartition(".")[2] in ("log", "logger", "get_logger")
    )
