import asyncio
import io
import json
import logging
import os
import pty
from contextlib import suppress

import pytest
import structlog

from reconciler.errors import ConfigError
from reconciler.logs import configure, resolve_format

SECRET = "sentinel-secret"


def log(event="something happened", **fields):
    structlog.get_logger().error(event, **fields)


@pytest.mark.parametrize(
    ("configured", "is_tty", "is_journal", "found"),
    [
        ("auto", True, False, "text"),
        ("auto", True, True, "text"),
        ("auto", False, True, "journal"),
        ("auto", False, False, "json"),
        ("text", False, True, "text"),
        ("json", True, False, "json"),
        ("journal", True, False, "journal"),
    ],
)
def test_a_format_follows_from_where_it_goes(configured, is_tty, is_journal, found):
    assert resolve_format(configured, is_tty=is_tty, is_journal=is_journal) == found


def test_journal_fields_without_a_journal_are_refused():
    with pytest.raises(ConfigError, match="log_format"):
        configure("journal", "info", io.StringIO())


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_not_written(written, level, count):
    lines = written("json", level)
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), name)(name)
    assert len(lines()) == count


def test_configuring_again_writes_each_line_once(written):
    written("json")
    lines = written("text")
    log()
    logging.getLogger("apscheduler.scheduler").warning("late")
    assert len(lines()) == 2


@pytest.fixture
def terminal():
    """Both ends of a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reader, os.fdopen(theirs, "w") as stream:
        yield reader, stream


@pytest.mark.parametrize(("no_color", "is_colored"), [("", True), ("1", False)])
def test_only_a_terminal_gets_colours(terminal, monkeypatch, no_color, is_colored):
    monkeypatch.setenv("NO_COLOR", no_color)
    reader, stream = terminal
    configure("text", "info", stream)
    log()
    assert (b"\x1b[1;31mERROR  \x1b[0m" in reader.read(200)) is is_colored


@pytest.fixture(params=["broken pipe", "full pipe", "full disk"])
def broken(request):
    """A stream that cannot be written."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    if request.param == "full pipe":
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 65_536)
    else:
        os.close(reader)
    if request.param == "full disk":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    stream = io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True)
    yield stream
    stream.detach().close()
    if request.param == "full pipe":
        os.close(reader)


def test_a_stream_that_fails_raises_nothing(broken):
    configure("json", "info", broken)
    for _ in range(100):
        log(reason="x" * 1000)


def test_a_closed_stream_raises_nothing():
    stream = io.StringIO()
    configure("json", "info", stream)
    stream.close()
    log()


def test_a_stream_that_cannot_write_a_character_raises_nothing():
    configure("json", "info", io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True))
    log("订单")


def test_lost_lines_are_counted_by_the_next():
    sent, failures = [], [OSError(), OSError()]

    def send(entry):
        if failures:
            raise failures.pop()
        sent.append(entry)

    configure("journal", "info", io.StringIO(), send)
    for number in range(4):
        log(str(number))
    assert [(entry["MESSAGE"], entry.get("LOST_LINES")) for entry in sent] == [("2", "2"), ("3", None)]


def test_what_libraries_say_goes_the_same_way(written):
    lines = written("json")
    logging.getLogger("apscheduler.scheduler").warning("run time of %s was missed", "resync")
    said = json.loads(lines()[0])
    assert (said["level"], said["event"]) == ("warning", "run time of resync was missed")
    assert said["logger"] == "apscheduler.scheduler"


def test_addresses_of_calls_are_not_logged(written):
    lines = written("json", "debug")
    logging.getLogger("httpx").info("HTTP Request: POST https://admin:%s@oms", SECRET)
    logging.getLogger("apprise").error("Unparseable URL mailto://me:%s@mail", SECRET)
    assert lines() == []


def test_exceptions_of_libraries_are_told_without_their_words(written):
    lines = written("json")
    try:
        int(SECRET)
    except ValueError as error:
        logging.getLogger("apscheduler.executors").exception('Job "resync" raised an exception\n%r', error)  # noqa: TRY401
    (line,) = lines()
    assert SECRET not in line
    assert json.loads(line)["exception"].startswith("ValueError: ")


def test_a_lost_task_of_asyncio_is_told_without_its_words(written):
    lines = written("json")
    error = ValueError(SECRET)
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "Task exception was never retrieved", "exception": error, "future": error})
    loop.close()
    (line,) = lines()
    assert SECRET not in line


def test_a_library_that_repeats_itself_is_heard_once(written):
    lines = written("json")
    for _ in range(100):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert len(lines()) == 1


def test_a_record_whose_arguments_do_not_fit_is_still_said(written):
    before, lines = list(logging.getLogger().handlers), written("json")
    logging.getLogger().handlers[:] = set(logging.getLogger().handlers) - set(before)  # pytest's own would object
    logging.getLogger("watchdog").error("%d of it", "one")
    assert json.loads(lines()[0])["event"] == "%d of it"
