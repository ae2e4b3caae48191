"""Structured logs: one event a line, no secrets, no message bodies."""

import contextlib
import logging
import sys
import threading
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

from ums.config import Settings

LONGEST = 2_000
_HIDDEN = ("password", "secret", "token", "authorization")
log = structlog.get_logger()


class Unfailing:
    """A stream that takes what it can: a full disk under the log, or a pipe that nobody reads any
    more, is no reason to stop sending mail (reliability.md, F47)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure(settings: Settings) -> None:
    """Send our own and the libraries' logs to the error output."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stream = cast(TextIO, Unfailing(sys.stderr))
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _clean,
    ]
    last = _renderer(settings.log_format)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    handler = logging.StreamHandler(stream)
    foreign = [structlog.stdlib.add_logger_name, *shared]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processor=last)
    )
    # Never their debug level, whatever ours is: it shows what goes over the wire.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(True)
    _catch_strays()


def _renderer(format: str) -> Any:
    on_terminal = sys.stderr.isatty()
    if format == "json" or (format == "auto" and not on_terminal):
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=on_terminal)


def _catch_strays() -> None:
    """What Python would print as a bare trace becomes an event like any other."""

    def thread_died(given: threading.ExceptHookArgs) -> None:
        log.critical("a thread died", exc_info=given.exc_value)

    def crashed(
        _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        log.critical("crashed", exc_info=error)

    threading.excepthook = thread_died
    sys.excepthook = crashed
    # Not the object: its repr may hold anything.
    sys.unraisablehook = lambda given: log.error("unraisable", exc_info=given.exc_value)


def _clean(_logger: Any, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    """No secret by its name, nothing endless, no control characters but a trace's line breaks."""
    for key, value in event.items():
        if any(word in key.lower() for word in _HIDDEN):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _printable(value, trace=key == "exception")
    return event


def _printable(text: str, *, trace: bool) -> str:
    shown = text if trace else text[:LONGEST]
    if shown.isprintable():
        return shown
    return "".join(
        char if char.isprintable() or (trace and char == "\n") else "\N{REPLACEMENT CHARACTER}"
        for char in shown
    )
