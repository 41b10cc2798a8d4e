"""The two protocols of systemd, on sockets of the test's own."""

import os
import secrets
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from reconciler.systemd import LONGEST_FIELD_BYTES, LONGEST_STATUS, JournalSocket, Manager, under_systemd_journal

PYTHON = (sys.executable, "-c")


@pytest.fixture(params=["file", "abstract"])
def told(request, tmp_path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    name = str(tmp_path / "notify") if request.param == "file" else f"\0reconciler-test-{secrets.token_hex(8)}"
    with listening(name) as listener:
        yield listener


def listening(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(name)
    listener.settimeout(10)
    return listener


def address_of(listener: socket.socket) -> str:
    name = listener.getsockname()
    return name if isinstance(name, str) else f"@{name[1:].decode()}"


def manager(listener: socket.socket, **more: str) -> Manager:
    return Manager.from_environment({"NOTIFY_SOCKET": address_of(listener), **more})


def message(listener: socket.socket) -> str:
    return listener.recv(65_536).decode()


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (lambda m: m.ready("3 tasks"), "READY=1\nSTATUS=3 tasks"),
        (lambda m: m.status("busy"), "STATUS=busy"),
        (lambda m: m.watchdog(), "WATCHDOG=1"),
        (lambda m: m.stopping("finishes 2 calls"), "STOPPING=1\nSTATUS=finishes 2 calls"),
        (lambda m: m.extend_timeout(1.5), "EXTEND_TIMEOUT_USEC=1500000"),
    ],
    ids=["ready", "status", "watchdog", "stopping", "extend_timeout"],
)
def test_each_method_sends_one_message(told, say, expected):
    assert say(manager(told, WATCHDOG_USEC="2000000")) == ""
    assert message(told) == expected


def test_reloading_names_the_present_moment(told):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager(told).reloading()
    flag, moment = message(told).splitlines()
    assert flag == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo\r\nREADY=1", "one two READY=1"),
        ("\x1b[31mred\x00\u202e", "[31mred"),
        ("  \n ", ""),
        ("für 日本 €", "für 日本 €"),
        ("lone \udcff surrogate", "lone surrogate"),
        ("€" * 5000, "€" * (LONGEST_STATUS - 1) + "…"),
    ],
    ids=["lines", "escapes", "empty", "unicode", "surrogate", "long"],
)
def test_status_is_one_short_line_of_text(told, text, shown):
    manager(told).status(text)
    assert message(told) == f"STATUS={shown}"


def test_without_a_socket_nothing_happens():
    nobody = Manager.from_environment({"WATCHDOG_USEC": "1000000"})
    said = [nobody.ready("x"), nobody.reloading(), nobody.status("x"), nobody.watchdog(), nobody.stopping("x")]
    assert (said, nobody.watchdog_interval_s, nobody.problem) == ([""] * 5, None, "")


def test_the_variables_are_gone_after_reading():
    environment = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Manager.from_environment(environment)
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("more", "interval_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "me"}, None),
        ({}, None),
    ],
    ids=["for anybody", "for this process", "for another one", "for nobody", "off"],
)
def test_the_watchdog_is_fed_twice_in_its_time(tmp_path, more, interval_s):
    found = Manager.from_environment({"NOTIFY_SOCKET": str(tmp_path / "x"), **more})
    assert (found.watchdog_interval_s, found.problem) == (interval_s, "")


def test_a_watchdog_that_is_off_is_not_fed(told):
    off = manager(told)
    off.watchdog()
    off.status("the only message")
    assert message(told) == "STATUS=the only message"


@pytest.mark.parametrize("interval", ["0", "-1", "soon", "1e6", "\u0661\u0662", "9" * 19], ids=lambda text: text)
def test_an_interval_that_is_no_time_is_a_problem_and_the_rest_works(told, interval):
    found = manager(told, WATCHDOG_USEC=interval)
    assert found.problem == f'WATCHDOG_USEC: expected microseconds, found "{interval}": the watchdog is not fed'
    found.ready("up")
    assert (found.watchdog_interval_s, message(told)) == (None, "READY=1\nSTATUS=up")


@pytest.mark.parametrize("address", ["run/notify", "vsock:2:1234", " "])
def test_an_address_that_is_none_is_a_problem_said_once(address):
    found = Manager.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5"})
    assert found.problem.startswith(f'NOTIFY_SOCKET: expected a path or "@" and a name, found "{address}"')
    assert (found.ready("x"), found.watchdog_interval_s) == ("", None)


def test_a_failing_socket_is_reported_once_until_it_works_again(tmp_path):
    path = tmp_path / "notify"
    found = Manager.from_environment({"NOTIFY_SOCKET": str(path)})
    gone = f"NOTIFY_SOCKET {path}: systemd cannot be told: No such file or directory"
    assert [found.status("x"), found.status("x")] == [gone, ""]
    with listening(str(path)):
        assert found.status("x") == ""
    path.unlink()
    assert [found.status("x"), found.status("x")] == [gone, ""]


@pytest.mark.parametrize("address", ["/" + "x" * 200, "@" + "x" * 200, "@nobody-listens-here", "/dev/null"])
def test_an_address_that_cannot_be_used_is_reported_and_raises_nothing(address):
    assert Manager(address).ready("x").startswith(f"NOTIFY_SOCKET {address}: systemd cannot be told: ")


def test_a_manager_that_does_not_read_costs_a_second_and_no_more(tmp_path):
    with listening(str(tmp_path / "notify")) as deaf:
        found = manager(deaf)
        began, spent = time.monotonic(), time.process_time()
        while not (said := found.status("x")):
            assert time.monotonic() - began < 10
        assert said.endswith("systemd cannot be told: timed out")
        assert time.process_time() - spent < 0.5  # it slept


def test_a_process_tells_and_its_children_inherit_neither_variables_nor_descriptors(told):
    code = """
import os, subprocess, sys
from reconciler.systemd import Manager
manager = Manager.from_environment()
manager.ready("up")
names = "print(sorted(name for name in os.environ if name.startswith(('NOTIFY', 'WATCHDOG'))), len(os.listdir('/proc/self/fd')))"
subprocess.run([sys.executable, "-c", f"import os; {names}"], check=True, close_fds=False)
"""
    environment = {**os.environ, "NOTIFY_SOCKET": address_of(told), "WATCHDOG_USEC": "1000000"}
    child = subprocess.run([*PYTHON, code], env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert (message(told), child.stdout) == ("READY=1\nSTATUS=up", "[] 4\n")  # 0, 1, 2 and the listing itself


def test_the_stream_of_the_journal_is_known_by_device_and_inode(tmp_path):
    with (tmp_path / "journal").open("w") as stream, (tmp_path / "other").open("w") as other:
        status = os.fstat(stream.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert under_systemd_journal(environment, stream)
        assert not under_systemd_journal(environment, other)
        assert not under_systemd_journal({}, stream)


@pytest.mark.parametrize("value", ["", "1", "1:", "1:2:3", "-1:2", "a:b", "\u0661:\u0662"])
def test_a_malformed_journal_stream_is_none(value):
    assert not under_systemd_journal({"JOURNAL_STREAM": value}, sys.__stderr__)


def test_a_closed_stream_is_not_the_journal(tmp_path):
    with (tmp_path / "journal").open("w") as stream:
        pass
    assert not under_systemd_journal({"JOURNAL_STREAM": "1:2"}, stream)


def test_standard_error_of_a_process_is_recognised():
    code = """
import os, sys
from reconciler.systemd import under_systemd_journal
status = os.fstat(2)
print(under_systemd_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, sys.stderr))
"""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        run = subprocess.run([*PYTHON, code], stdout=subprocess.PIPE, stderr=theirs, text=True, check=True, timeout=30)
    assert run.stdout == "True\n"


@pytest.fixture
def journal(tmp_path) -> Iterator[socket.socket]:
    with listening(str(tmp_path / "journal")) as listener:
        yield listener


def parsed(data: bytes) -> dict[str, str]:
    """Fields of an entry, read as the protocol's page says."""
    fields = {}
    while data:
        head, _, rest = data.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", rest)
            value, end, rest = rest[8 : 8 + size], rest[8 + size : 9 + size], rest[9 + size :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
        data = rest
    return fields


def test_an_entry_of_single_lines_reads_like_an_environment(journal):
    JournalSocket(journal.getsockname()).send({"MESSAGE": "sent a=b", "TASK": "shop/orders", "PRIORITY": "6"})
    assert journal.recv(65_536) == b"MESSAGE=sent a=b\nTASK=shop/orders\nPRIORITY=6\n"


@pytest.mark.parametrize(
    "text",
    ["", "one\ntwo", "\n", "a\nTASK=forged\n", "nul \0 and = and ü", "\n" * 300],
    ids=["empty", "lines", "line feed", "forged", "bytes", "long"],
)
def test_every_text_arrives_as_it_was(journal, text):
    fields = {"TASK": "shop", "MESSAGE": text, "PLAN": "1527b8ffe68c35fa"}
    JournalSocket(journal.getsockname()).send(fields)
    assert parsed(journal.recv(65_536)) == fields


def test_a_long_value_is_cut_between_characters_and_says_so(journal):
    JournalSocket(journal.getsockname()).send({"MESSAGE": "€" * 500_000})
    value = parsed(journal.recv(1_000_000))["MESSAGE"]
    assert LONGEST_FIELD_BYTES - 3 < len(value.encode()) <= LONGEST_FIELD_BYTES
    assert value.endswith("€… [cut, 1500000 bytes]")


def test_a_dozen_long_values_fit_one_entry(journal):
    fields = {f"FIELD_{number}": "x" * LONGEST_FIELD_BYTES for number in range(12)}
    JournalSocket(journal.getsockname()).send(fields)
    assert parsed(journal.recv(1_000_000)) == fields


def test_an_entry_beyond_one_datagram_raises(journal):
    fields = {f"FIELD_{number}": "x" * LONGEST_FIELD_BYTES for number in range(500)}
    with pytest.raises(OSError, match="Message too long"):
        JournalSocket(journal.getsockname()).send(fields)


def test_text_that_is_no_unicode_is_written_out(journal):
    JournalSocket(journal.getsockname()).send({"MESSAGE": "\udcff"})
    assert parsed(journal.recv(65_536)) == {"MESSAGE": "\\udcff"}


@pytest.mark.parametrize("name", ["", "task", "_PID", "1ST", "A=B", "A\nB", "Ä", "A" * 65])
def test_a_name_that_the_journal_would_drop_is_refused(journal, name):
    with pytest.raises(ValueError, match="expected the name of a journal field"):
        JournalSocket(journal.getsockname()).send({"MESSAGE": "x", name: "y"})


def test_without_a_journal_sending_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        JournalSocket(str(tmp_path / "none")).send({"MESSAGE": "x"})


def test_a_journal_that_was_restarted_is_found_again(tmp_path):
    path = tmp_path / "journal"
    journal = JournalSocket(str(path))
    for text in ("before", "after"):
        with listening(str(path)) as listener:
            journal.send({"MESSAGE": text})
            assert listener.recv(100) == f"MESSAGE={text}\n".encode()
        path.unlink()
