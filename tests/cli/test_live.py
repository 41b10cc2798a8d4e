import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from reconciler.cli.live import Changes, Lines, Screen, frame, watch
from reconciler.cli.view import Trouble, View
from reconciler.core.status import State, said
from reconciler.errors import StateStoreError
from tests.cli.said import AT, daemon_that_said, word
from tests.projects import KAFKA, MYSQL, command, environment


def view(*tasks, **more):
    return replace(View(True, "as the daemon sees it", tuple(map(said, tasks)), (), (), "run"), **more)


def names(count, state="synced"):
    return [word(f"{state}-{number:05}", state) for number in range(count)]


# --- one frame -------------------------------------------------------------------------------------------------------


def test_a_frame_says_who_says_so_how_many_and_what_is_wrong_with_all():
    trouble = Trouble("default", "misconfigured", "401", None)
    lines = frame(view(word("a"), remarks=("frozen",), troubles=(trouble,)), 80, 24, colored=False)
    assert lines[:5] == [
        "as the daemon sees it",
        "1 task: 1 synced",
        "frozen",
        "target default: misconfigured: 401",
        "",
    ]
    assert lines[5].split() == ["a", "synced", "2026-11-21", "21:02:11Z", "no", "difference"]


def test_what_somebody_has_to_look_at_stands_above_the_rest():
    states = ("synced", "suspended", "orphaned", "verifying", "out-of-sync", "blocked", "invalid", "failed")
    lines = frame(view(*(word(state, state) for state in states)), 80, 24, colored=False)
    assert [line.split()[0] for line in lines[3:]] == [
        *("failed", "invalid", "blocked", "out-of-sync", "verifying", "orphaned", "suspended", "synced")
    ]


def test_what_there_is_no_room_for_is_counted():
    lines = frame(view(*names(10_000), *names(50, "failed")), 80, 104, colored=False)
    assert len(lines) == 104
    assert [line.split()[1] for line in lines[3:-1]] == ["failed"] * 50 + ["synced"] * 50
    assert lines[-1] == "and 9,950 more synced"


def test_what_is_urgent_and_has_no_room_is_counted_by_state():
    lines = frame(view(*names(10), *names(20, "failed")), 80, 14, colored=False)
    assert lines[-1] == "and 20 more: 10 failed, 10 synced"


def test_tasks_that_just_fit_are_all_shown():
    lines = frame(view(*names(7)), 80, 10, colored=False)
    assert [line.split()[0][-1] for line in lines[3:]] == list("0123456")


@pytest.mark.parametrize("height", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("width", [1, 5, 20, 40, 79, 80, 200])
def test_a_frame_never_outgrows_its_terminal(width, height):
    long = word("a/very/long/name/of/a/task", "blocked", reason="x" * 300, next_step="y", until=AT)
    lines = frame(view(long, *names(20), remarks=("z" * 300,)), width, height, colored=False)
    assert len(lines) <= height
    assert width < 30 or max(map(len, lines)) <= width


def test_a_long_name_is_cut_at_its_beginning_and_a_reason_at_its_end():
    long = word("a/very/long/name/of/a/task/orders", "failed", reason="reason " * 20)
    line = frame(view(long), 60, 10, colored=False)[3]
    assert re.fullmatch(r"…\S+/orders  failed +reason .*…", line)


def test_what_ends_and_what_to_do_follow_the_reason():
    line = frame(view(word("a", "blocked", reason="why", until=AT, next_step="wait")), 120, 10, colored=False)[3]
    assert line.endswith("why (until 2026-11-21 21:02:11Z). Next: wait")


def test_nothing_in_a_frame_is_obeyed_by_a_terminal():
    lines = frame(view(word("\x1b[2J", reason="\x1b]0;x\x07")), 120, 10, colored=False)
    assert "\x1b" not in "".join(lines)


def test_a_state_is_coloured_where_that_is_wished():
    assert "\x1b[31mfailed" in frame(view(word("a", "failed")), 120, 10, colored=True)[3]


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_is_another_state_another_reason_a_new_task_or_one_that_is_gone():
    changes = Changes()
    same, other, reason, gone = (said(word(name)) for name in ("same", "other", "reason", "gone"))
    assert changes.since([same, other, reason, gone]) == []
    now = [same, replace(other, state=State.FAILED), replace(reason, reason="x"), said(word("new"))]
    found = {change.task: change for change in changes.since(now)}
    assert found.keys() == {"other", "reason", "new", "gone"}
    assert (found["new"].before, found["gone"].now) == (None, None)
    assert changes.since(now) == []


def test_a_change_is_a_line_for_people(capsys):
    lines = Lines(None)
    lines.show(view(word("a"), word("b")))
    assert capsys.readouterr() == ("", "as the daemon sees it\n")
    lines.show(view(word("a", "failed", reason="refused")))
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.split("  ", 1)[1] == "a  synced -> failed  refused"
    assert second.endswith("Z  b  synced -> gone")
    assert err == ""


def test_a_change_is_an_object_on_one_line_for_programs(capsys):
    lines = Lines(lambda status: {"task": status.task, "state": status.state.value})
    lines.show(view(word("a"), word("b")))
    lines.show(view(word("a", "failed", reason="two\nlines")))
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["task"], first["before"], first["state"]) == ("a", "synced", "failed")
    assert (second["task"], second["before"], second["state"]) == ("b", "synced", None)
    assert first["at"].endswith("+00:00")


# --- again and again -------------------------------------------------------------------------------------------------


def test_a_look_that_fails_later_is_told_and_the_last_one_stays():
    looks = iter([view(word("a")), StateStoreError("the disk is gone"), view(word("b"))])
    shown = []

    def look():
        found = next(looks)
        if isinstance(found, BaseException):
            raise found
        if shown:
            signal.raise_signal(signal.SIGINT)
        return found

    watch(look, shown.append)
    assert [one.tasks[0].task for one in shown] == ["a", "a", "b"]
    assert shown[1].remarks == ("cannot be read now, this is how it was: the disk is gone",)


def test_a_first_look_that_fails_ends_it():
    def look():
        raise StateStoreError("the disk is gone")

    with pytest.raises(StateStoreError):
        watch(look, print)


def test_the_same_frame_is_drawn_once(capsys):
    with Screen(colored=False).open() as screen:
        screen.show(view(word("a")))
        capsys.readouterr()
        screen.show(view(word("a")))
        assert capsys.readouterr().out == ""
        screen.show(view(word("b")))
        assert capsys.readouterr().out.startswith("\x1b[H")
    assert capsys.readouterr().out == "\x1b[?7h\x1b[?25h\x1b[?1049l"


# --- processes -------------------------------------------------------------------------------------------------------


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, root, width, height, *arguments):
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.process = subprocess.Popen(
            command(*arguments),
            cwd=root,
            env={**environment(), "TERM": "xterm"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        self.seen = ""

    def wait_for(self, text):
        """Until the terminal was sent a text."""
        while text not in self.seen:
            piece = os.read(self.leader, 65536)
            assert piece, self.seen
            self.seen += piece.decode()

    def drain(self):
        try:
            while piece := os.read(self.leader, 65536):
                self.seen += piece.decode()
        except OSError:  # EIO: the program has closed its end
            pass


@contextmanager
def on_terminal(*arguments) -> Iterator[Terminal]:
    terminal = Terminal(*arguments)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.kill()  # does nothing to one that ended
        terminal.process.wait()
        os.close(terminal.leader)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_on_a_terminal_it_draws_what_changes_and_gives_the_terminal_back(project, end):
    with (
        daemon_that_said(project, word(KAFKA)) as store,
        on_terminal(project.root, 60, 8, "status", "--watch") as terminal,
    ):
        terminal.wait_for("1 task: 1 synced")
        store.put_states([word(MYSQL, "failed", reason="refused")])
        terminal.wait_for("refused")
        terminal.process.send_signal(end)
        terminal.drain()
        assert terminal.process.wait(timeout=10) == 0
    assert terminal.seen.startswith("\x1b[?1049h")
    assert terminal.seen.endswith("\x1b[?1049l")
    assert "2 tasks: 1 failed, 1 synced" in terminal.seen


def test_without_a_terminal_it_prints_changes_as_they_come(project):
    with daemon_that_said(project, word(KAFKA)) as store:
        process = subprocess.Popen(
            command("status", "--watch", "--format", "json"),
            cwd=project.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr.readline().startswith("as the daemon sees it")
            store.put_states([word(KAFKA, "blocked", reason="danger: x")])
            change = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        assert (change["before"], change["state"], change["reason"]) == ("synced", "blocked", "danger: x")


def test_without_a_daemon_an_edit_is_seen(project):
    project.adopted()
    process = subprocess.Popen(
        command("status", "--watch", KAFKA),
        cwd=project.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr.readline().startswith("no daemon runs")
        project.edit(KAFKA, "sink", workerNum="13")
        assert f"  {KAFKA}  synced -> out-of-sync  1 key set" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
