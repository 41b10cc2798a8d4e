"""The writer lock, between real processes."""

import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.errors import StateStoreError, StoreLockedError
from reconciler.state.lock import Holder

HOLD = """
with open_store().writer_lock(0, 'run'):
    say('held')
    input()
say('free')
"""


def test_the_holder_is_named_to_those_who_wait(store, start, path):
    process = start(HOLD, path)
    assert process.stdout.readline() == "held\n"
    expected = rf"reconciler.db.lock: held by run \(process {process.pid} on {socket.gethostname()}, since .* UTC\)"
    with pytest.raises(StoreLockedError, match=expected), store.writer_lock(0, "apply"):
        pytest.fail("held by two")


def test_the_present_holder_can_be_read(store, open_store):
    with store.writer_lock(0, "apply"):
        since = datetime(2026, 11, 20, 12, 0, 1, 250, tzinfo=UTC)
        assert open_store(read_only=True).holder() == Holder(os.getpid(), socket.gethostname(), "apply", since)
    assert store.holder() is None


def test_a_lock_given_back_can_be_had_again(store):
    for _ in range(2):
        with store.writer_lock(0, "apply"):
            pass


def test_a_lock_is_given_back_when_its_holder_fails(store):
    with pytest.raises(ZeroDivisionError), store.writer_lock(0, "apply"):
        raise ZeroDivisionError
    assert store.holder() is None


def test_two_stores_of_one_process_do_not_both_hold_it(store, open_store):
    other = open_store()
    with store.writer_lock(0, "run"), pytest.raises(StoreLockedError, match="held by run"), other.writer_lock(0, "x"):
        pytest.fail("held by two")


def test_waiting_ends_when_the_holder_lets_go(store, start, path):
    process = start(HOLD, path)
    process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    with store.writer_lock(10, "apply"):
        assert process.stdout.readline() == "free\n"


def test_kill_9_frees_the_lock(store, start, path):
    process = start(HOLD, path)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert store.holder() is None
    with store.writer_lock(0, "apply"):
        assert store.holder().purpose == "apply"


@pytest.mark.parametrize(
    "child",
    ["import subprocess; child = subprocess.Popen(['sleep', '60']).pid", "child = os.fork() or signal.pause()"],
    ids=["started", "forked"],
)
def test_a_child_process_does_not_keep_the_lock(store, start, path, child):
    code = f"lock = open_store().writer_lock(0, 'run')\nlock.__enter__()\n{child}\nsay(child)\ninput()"
    process = start(code, path)
    pid = int(process.stdout.readline())
    try:
        process.kill()
        process.wait()
        with store.writer_lock(0, "apply"):
            os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("text", ["", '{"pid": 1', "[]", "{}"], ids=["empty", "half", "no object", "no members"])
def test_a_holder_that_did_not_sign_yet_is_waited_for_all_the_same(store, path, text):
    with store.writer_lock(0, "run"):
        Path(f"{path}.lock").write_text(text, encoding="utf-8")
        assert store.holder() is None
        with pytest.raises(StoreLockedError, match="did not sign"), store.writer_lock(0, "apply"):
            pytest.fail("held by two")


def test_the_lock_file_is_private(store, path):
    with store.writer_lock(0, "run"):
        assert Path(f"{path}.lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_that_cannot_be_written_is_a_store_error(store, path):
    Path(f"{path}.lock").mkdir()
    with pytest.raises(StateStoreError, match=r"reconciler\.db\.lock: Is a directory"), store.writer_lock(0, "run"):
        pytest.fail("held")


def test_of_processes_that_race_for_the_lock_one_gets_it(start, path):
    code = """
from reconciler.errors import StoreLockedError
store = open_store()
say('ready')
input()
try:
    with store.writer_lock(0, 'run'):
        say('held')
        input()
except StoreLockedError as error:
    say('held by run' in str(error))
"""
    processes = [start(code, path) for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(process.stdout.readline() for process in processes) == ["True\n", "True\n", "held\n"]
