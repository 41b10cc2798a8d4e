import io
import logging
from datetime import UTC, datetime

import pytest
import structlog

from reconciler.logs import configure

NOW = datetime(2026, 7, 2, 1, 4, 5, 678000, tzinfo=UTC)


class Time:
    """Seconds that pass only when a test says so."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture(autouse=True)
def _as_before():
    """Logging is the same for the tests that follow."""
    root, names = logging.getLogger(), ("httpx", "apprise", "asyncio")
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def written():
    """Set logging up and return a function that returns the lines written since it was called last."""
    stream = io.StringIO()

    def lines():
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text.splitlines()

    def start(log_format="text", level="info"):
        configure(log_format, level, stream, now=lambda: NOW)
        return lines

    return start


@pytest.fixture
def entries():
    """Set logging up for a journal and return what it got."""
    sent = []
    configure("journal", "debug", io.StringIO(), sent.append, now=lambda: NOW)
    return sent
