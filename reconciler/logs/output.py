"""Where lines go: a stream or the journal, and what libraries log goes the same way.

A stream that cannot be written loses lines, which the next line that gets through counts; it never stops the daemon.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, TypeAlias

import structlog
from structlog.typing import Processor

from reconciler.errors import ConfigError
from reconciler.logs.defects import describe_exception
from reconciler.logs.formats import AsText, Fields, Stamp, as_entry, as_json, printable, without_words
from reconciler.logs.limit import Limiter
from reconciler.logs.lines import Line
from reconciler.logs.listener import write

LogFormat: TypeAlias = Literal["text", "json", "journal"]

_CHATTY = ("apscheduler", "asyncio", "httpcore", "httpx", "uvicorn", "uvicorn.access", "uvicorn.error", "watchdog")
_NOT_HEARD = (
    "apprise",
)  # it quotes addresses of channels, which hold passwords; outcomes are told by whoever calls it


def resolve_format(configured: str, *, is_tty: bool, is_journal: bool) -> LogFormat:
    """What `[daemon] log_format` means here.

    Args:
        configured: "auto", "text", "json" or "journal".
        is_tty: whether standard error is a terminal.
        is_journal: whether standard error is connected to the journal.
    """
    known: dict[str, LogFormat] = {"text": "text", "json": "json", "journal": "journal"}
    if configured in known:
        return known[configured]
    if is_tty:
        return "text"
    return "journal" if is_journal else "json"


def configure(
    log_format: LogFormat,
    level: str,
    stream: TextIO,
    journal_send: Callable[[Mapping[str, str]], None] | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Set up structlog, and send what libraries log through it; may be called again.

    Args:
        log_format: see `resolve_format`.
        level: the least that is written: "debug", "info", "warning" or "error".
        stream: for text and JSON.
        journal_send: writes one entry to the journal; may raise OSError.
        now: aware time of a line.

    Raises:
        ConfigError: journal fields are wanted, and there is no journal.
    """
    if log_format == "journal" and journal_send is None:
        raise ConfigError('daemon.log_format: "journal" needs systemd\'s journal, found none; use "text" or "json"')
    sink = _Sink(journal_send if log_format == "journal" and journal_send else _line_writer(stream))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            Stamp(now),
            without_words,
            sink.confess,
            printable,
            _renderer(log_format, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _route_libraries(level)


def _renderer(log_format: LogFormat, stream: TextIO) -> Processor:
    if log_format == "text":
        return AsText(colored=stream.isatty() and not os.environ.get("NO_COLOR"))
    return as_json if log_format == "json" else as_entry


def _line_writer(stream: TextIO) -> Callable[[str], None]:
    def write_line(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return write_line


class _Sink:
    """The logger that structlog wraps: writes what was rendered, and survives what cannot be written."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._lock = threading.RLock()
        self._lost = 0  # lines since the start
        self._told = 0  # of them

    def msg(self, rendered: str | Mapping[str, str]) -> None:
        """Write one line."""
        with self._lock:
            try:
                self._send(rendered)
            except (OSError, ValueError):  # full, gone, closed, or a character that its encoding does not have
                self._lost += 1

    debug = info = warning = error = critical = msg

    def confess(self, _logger: object, _method: str, fields: Fields) -> Fields:
        """Say in this line how many were lost since the start, when there are more of them."""
        with self._lock:
            if self._lost > self._told:
                self._told = fields["lost_lines"] = self._lost
        return fields


def _route_libraries(level: str) -> None:
    """Send what libraries log to structlog: warnings and errors only, without the words of their exceptions."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _NOT_HEARD:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class _Bridge(logging.Handler):
    """Takes a library's record and says it like our own lines."""

    def __init__(self) -> None:
        super().__init__()
        self._limiter = Limiter(write, time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        error = record.exc_info[1] if record.exc_info else None
        text, facts = _message(record), {"logger": record.name}
        if error is not None:  # what follows the first line may quote it
            text, facts["exception"] = text.partition("\n")[0], describe_exception(error)
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._limiter.say(Line(level, text, "library", f"library {record.name}", subject=record.name, facts=facts))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit: the library's mistake, not worth losing the line
        return str(record.msg)
