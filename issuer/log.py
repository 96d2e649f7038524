"""Logs: one JSON line per event on stderr (a readable line on a terminal), and nothing in it that was not allowed.

`get_logger().info("case_moved", case_id=case.id, result="approved")`. The event is a constant of the code; what
varies goes into keys, and a key that is not in `KEYS` is dropped, so a new field of a provider, a body, a wallet or
a secret cannot reach a log by accident. An exception is logged as its type, our stable code and where it was raised,
never by its arguments, which may quote what was being handled. Records of other libraries are held to the same:
their sentence is kept only where it is known to quote nothing.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from issuer.errors import ClaimwrightError

# What may stand in a log line. Ids and hashes of ours, words from closed lists, numbers.
KEYS = frozenset({
    "event", "level", "timestamp", "role", "where", "error_code", "reason", "result", "status", "request_id",
    "case_id", "claim_id", "event_id", "tx_hash", "chain_id", "lane", "nonce", "attempt", "provider", "environment",
    "duration_ms", "count", "port", "pid", "path", "method", "step", "job", "job_key", "endpoint",
    "ruling_id", "seq", "hash",
})  # fmt: skip
LONGEST_VALUE = 200

# Loggers of others whose sentences say what a server does and quote no data.
_PLAIN_SPEAKERS = ("_granian",)
_OURS = ("issuer", "api", "claimwright", "__main__")
_SILENT = ("httpx", "httpcore", "granian.access")  # they write URLs, and ours carry references

_WALLET = re.compile(r"0x[0-9a-fA-F]{40}(?![0-9a-fA-F])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(role: str, level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's loggers of this process through one formatter. May be repeated."""
    logging.config.dictConfig(dictconfig(role, level, stream=stream))
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """A logger that may be made at import time: it takes its settings when it is first used."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("claimwright")
    return logger


def dictconfig(role: str, level: str = "info", *, stream: TextIO | None = None) -> dict[str, Any]:
    """The same as data, for a server that configures logging in processes of its own."""
    own = level.upper()
    quiet = {name: {"level": "CRITICAL", "propagate": False, "handlers": []} for name in _SILENT}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"claimwright": {"()": "issuer.log.formatter", "role": role, "tty": _is_tty(stream)}},
        "handlers": {
            "claimwright": {
                "class": "logging.StreamHandler",
                "stream": stream or "ext://sys.stderr",
                "formatter": "claimwright",
            }
        },
        "loggers": {
            **quiet,
            **{name: {"level": own} for name in (*_OURS, *_PLAIN_SPEAKERS)},
        },
        "root": {"level": "WARNING", "handlers": ["claimwright"]},
    }


def formatter(role: str, tty: bool) -> logging.Formatter:
    """Made by name from `dictconfig`."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=28, exception_formatter=structlog.dev.plain_traceback)
        if tty
        else structlog.processors.JSONRenderer(sort_keys=False)
    )

    def with_role(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's own signature
        entry.setdefault("role", role)
        return entry

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_foreign],
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            with_role,
            _describe_exception,
            allow,
            renderer,
        ],
    )


def allow(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401 - structlog's own signature
    """The one door: keys from `KEYS` with plain values; the rest is gone."""
    return {key: _plain(key, value) for key, value in entry.items() if key in KEYS}


def _plain(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value) if isinstance(value, str) else type(value).__name__
    if key in ("path", "event"):
        text = _WALLET.sub("{wallet}", text.partition("?")[0] if key == "path" else text)
    return _CONTROL.sub(" ", text)[:LONGEST_VALUE]


def _describe_exception(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's own signature
    error = _exception_of(entry.pop("exc_info", None)) or _exception_of(entry.pop("error", None))
    if error is not None:
        entry["error_code"] = error_code(error)
        entry.setdefault("where", where(error))
    return entry


def error_code(error: BaseException) -> str:
    """Our stable code, or the type's name for an error that is not ours."""
    return error.code if isinstance(error, ClaimwrightError) else type(error).__name__


def where(error: BaseException) -> str | None:
    """`file.py:line` of the innermost frame: a place in the code, no data."""
    trace = error.__traceback__
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-2:])}:{trace.tb_lineno} {code.co_name}"


def _exception_of(info: object) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple) and len(info) == 3 and isinstance(info[1], BaseException):
        return info[1]
    return sys.exc_info()[1] if info is True else None


def _foreign(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's own signature
    """A record of the standard library. Its arguments stay out; our own template is a constant and may stand."""
    record: logging.LogRecord = entry["_record"]
    room = record.name.partition(".")[0]
    if room in _PLAIN_SPEAKERS:
        return entry  # the sentence stands
    if room in _OURS:
        entry["event"] = str(record.msg)
        entry.update({key: value for key, value in vars(record).items() if key in KEYS})
    else:
        entry["event"] = f"{record.name} {record.levelname.lower()}"
        entry["where"] = f"{record.filename}:{record.lineno}"
    if record.exc_info:
        entry["exc_info"] = record.exc_info
    return entry


def _is_tty(stream: TextIO | None) -> bool:
    try:
        return (stream or sys.stderr).isatty()
    except ValueError:  # a closed stream
        return False
