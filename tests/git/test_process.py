import os
import sys
import threading
import time

import pytest

from reconciler.git.process import LONGEST_COMPLAINT, LONGEST_OUTPUT, Programs, StoppedError, TooLongError

# Starts a child of its own, writes down both numbers, and waits.
PARENT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("ids.tmp").write_text(f"{os.getpid()} {child.pid}")
os.rename("ids.tmp", "ids")
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    programs = Programs()

    def run(*arguments, timeout_s=10.0, programs=programs):
        return programs.run(
            [sys.executable, "-c", *arguments], folder=tmp_path, environment=os.environ, timeout_s=timeout_s
        )

    return run


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_exit_code_output_and_complaint_are_kept(run):
    done = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.code, done.output, done.complaint, done.is_cut) == (3, b"out\n", b"err\n", False)


def test_the_beginning_of_long_output_and_the_end_of_a_long_complaint_are_kept(run):
    done = run("import sys; print('a' + 'b' * 3_000_000); print('c' * 100_000 + 'd', file=sys.stderr)")
    assert (len(done.output), done.output[:2], done.is_cut) == (LONGEST_OUTPUT, b"ab", True)
    assert (len(done.complaint), done.complaint[-3:]) == (LONGEST_COMPLAINT, b"cd\n")


def test_there_is_nothing_to_read_and_no_terminal(run):
    done = run("import sys; print(repr(sys.stdin.read())); open('/dev/tty')")
    assert done.output == b"''\n"
    assert b"OSError" in done.complaint


def test_after_the_timeout_everything_it_started_has_ended(run, tmp_path):
    with pytest.raises(TooLongError):
        run(PARENT, timeout_s=1.0)
    numbers = (tmp_path / "ids").read_text().split()
    wait_until(lambda: not any(map(is_running, numbers)))


def test_what_ignores_the_polite_signal_is_killed(run):
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    with pytest.raises(TooLongError):
        run(stubborn, timeout_s=0.5, programs=Programs(grace_s=0.1))


def test_what_closed_its_output_is_still_ended_in_time(run):
    with pytest.raises(TooLongError):
        run("import os, time; os.close(1); os.close(2); time.sleep(60)", timeout_s=0.5)


def test_what_outlives_it_and_keeps_the_output_open_is_not_waited_for(run):
    began = time.monotonic()
    done = run("import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid)")
    assert time.monotonic() - began < 5
    os.kill(int(done.output), 9)


def test_what_outlives_it_and_prints_for_ever_is_not_waited_for(run, tmp_path):
    run("import subprocess; open('id', 'w').write(str(subprocess.Popen(['yes']).pid))")
    os.kill(int((tmp_path / "id").read_text()), 9)


def test_stopping_ends_it_at_once_and_nothing_runs_afterwards(run, tmp_path):
    programs = Programs()
    stopper = threading.Thread(target=lambda: (wait_until((tmp_path / "ids").exists), programs.stop()))
    stopper.start()
    with pytest.raises(StoppedError):
        run(PARENT, timeout_s=60.0, programs=programs)
    stopper.join()
    with pytest.raises(StoppedError):
        run("pass", programs=programs)
    wait_until(lambda: not any(map(is_running, (tmp_path / "ids").read_text().split())))


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        Programs().run(["no-such-program"], folder=tmp_path, environment=os.environ, timeout_s=1)
    assert caught.value.filename == "no-such-program"
