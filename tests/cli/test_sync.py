import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from reconciler.core import heads
from reconciler.core.heads import HEAD, Followed
from reconciler.core.status import FOLLOWED
from reconciler.model import Commit, Head
from reconciler.simulator.faults import Rule
from tests.cli.said import AT, daemon_that_said, opened, word
from tests.projects import KAFKA, MYSQL, ORACLE, command, environment, run_process

PATIENT = {"RECONCILER_DESIRED_STATE__QUIET_S": "60", "RECONCILER_DESIRED_STATE__MAX_WAIT_S": "120"}
"""A daemon that does not look by itself while a test lasts."""


def asked(project):
    with closing(opened(project)) as store:
        return [row.task for row in store.history(None, 100) if row.kind == "sync"]


def answer(store):
    """What the daemon says when it has looked."""
    store.set_notified(*FOLLOWED, str(store.last_sequence()))


class Asked(threading.Thread):
    """A daemon's part: once it was asked, it says what it saw, and that it has looked."""

    def __init__(self, store, *words):
        super().__init__()
        self.store, self.words, self.after = store, words, store.last_sequence()
        self.start()

    def run(self):
        while self.store.last_sequence() == self.after:
            threading.Event().wait(0.01)
        self.store.put_states(self.words)
        answer(self.store)


# --- who is asked, and for what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", [None, "apply"])
def test_without_a_daemon_it_says_what_to_do_instead(project, purpose):
    if purpose is None:
        ended = project.reconciler("sync")
        assert not project.database.exists()
    else:
        with daemon_that_said(project, purpose=purpose):
            ended = project.reconciler("sync")
        assert "(apply (process " in ended.err
    assert (ended.code, ended.out) == (1, "")
    assert "no daemon runs" in ended.err
    assert "start it (reconciler run), or do it by hand: reconciler apply" in ended.err


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ([], ["*"]),
        (["shop/a"], ["shop/a"]),
        (["shop/b", "shop/a", "shop/b"], ["shop/a", "shop/b"]),
        ([KAFKA], [KAFKA]),
        (["shop"], ["*"]),
        (["shop/a", "shop/"], ["*"]),
        ([f"many/{number}" for number in range(21)], ["*"]),
    ],
    ids=["all", "one", "two", "new in the files", "a folder", "a task and a folder", "many"],
)
def test_the_daemon_is_asked_by_rows_of_the_journal(project, given, rows):
    many = [word(f"many/{number}") for number in range(21)]
    with daemon_that_said(project, word("shop/a"), word("shop/b"), *many):
        ended = project.reconciler("sync", *given)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("asked the daemon to look at ")
    assert sorted(asked(project)) == rows


def test_a_name_that_nobody_knows_is_wrong_usage_and_asks_for_nothing(project):
    with daemon_that_said(project, word("shop/orders")):
        ended = project.reconciler("sync", "shop/order")
    assert (ended.code, 'did you mean "shop/orders"?' in ended.err) == (64, True)
    assert asked(project) == []


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["synced"], 0),
        (["synced", "suspended", "orphaned", "unconfirmed"], 0),
        (["synced", "blocked"], 3),
        (["blocked", "failed"], 1),
        (["invalid", "synced"], 1),
    ],
)
def test_the_exit_code_is_that_of_apply(project, states, code):
    words = [word(f"t/{state}", state, reason=f"why it is {state}") for state in states]
    with daemon_that_said(project, *(word(one.task) for one in words)) as store:
        asked_for = Asked(store, *words)
        ended = project.reconciler("sync", "--wait")
        asked_for.join()
    assert ended.code == code
    assert ended.out.startswith(f"{len(states)} task")
    for state in {"blocked", "failed", "invalid"} & set(states):
        assert f"t/{state}: {state}: why it is {state}" in ended.err


def test_what_was_said_before_the_daemon_looked_does_not_count(project):
    with daemon_that_said(project, word("a")) as store:
        answer(store)
        asked_for = Asked(store, word("a", "failed", reason="refused"))
        assert project.reconciler("sync", "--wait").code == 1
        asked_for.join()


def test_it_waits_for_the_named_tasks_only(project):
    with daemon_that_said(project, word("a"), word("b", "out-of-sync")) as store:
        asked_for = Asked(store)
        ended = project.reconciler("sync", "a", "--wait")
        asked_for.join()
    assert (ended.code, ended.out) == (0, "1 task: 1 synced\n")


def test_the_time_is_up_and_it_says_what_is_under_way(project):
    with daemon_that_said(project, word("a", "applying")) as store:
        asked_for = Asked(store)
        ended = project.reconciler("sync", "--wait", "--timeout", "0.3")
        asked_for.join()
    assert (ended.code, ended.out) == (1, "")
    assert "not at rest within 0.3 s, the daemon goes on; still under way: a" in ended.err


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(project):
    with daemon_that_said(project, word("a")) as store:
        answer(store)
        ended = project.reconciler("sync", "--wait", "--timeout", "0.1")
    assert (ended.code, "the daemon has not looked yet" in ended.err) == (1, True)


def test_a_daemon_that_ends_meanwhile_is_an_error(project):
    with daemon_that_said(project, word("a", "applying")) as store:
        answer(store)
        process = subprocess.Popen(
            command("sync", "--wait"), cwd=project.root, env=environment(), stderr=subprocess.PIPE, text=True
        )
        assert process.stderr.readline() == "asked the daemon to look at all tasks now\n"
    with process:
        assert "the daemon ended; reconciler status shows where things stand" in process.stderr.read()
    assert process.returncode == 1


# --- commits ---------------------------------------------------------------------------------------------------------

COMMIT = Commit("1f2e3d4c" + "0" * 32, "Ann", AT, "Raise throttle")


@pytest.mark.parametrize(
    ("followed", "state", "code"),
    [
        (Followed(Head("main", COMMIT), AT), "synced", 0),
        (Followed(Head("main", COMMIT, "a" * 40, "unsigned", "no signature"), AT, ("no signature",)), "synced", 3),
        (Followed(Head("main", COMMIT), AT, (), "no route", AT), "synced", 3),
        (Followed(Head("main", COMMIT), AT, (), "no route", AT), "failed", 1),
    ],
    ids=["newest", "not followed", "not fetched", "not fetched and failed"],
)
def test_a_commit_that_may_not_be_the_newest_is_no_success(project, monkeypatch, followed, state, code):
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    with daemon_that_said(project, word("a", state)) as store:
        store.set_notified(*HEAD, heads.to_text(followed))
        asked_for = Asked(store)
        ended = project.reconciler("sync", "--wait")
        asked_for.join()
    assert ended.code == code
    assert all(remark in ended.err for remark in heads.remarks(followed))


@pytest.mark.parametrize(("remote", "words"), [("", "look at"), ("origin", "fetch and look at")])
def test_it_says_whether_something_is_fetched(project, monkeypatch, remote, words):
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__REMOTE", remote)
    with daemon_that_said(project, word("a")):
        assert project.reconciler("sync").err == f"asked the daemon to {words} all tasks now\n"


# --- a real daemon ---------------------------------------------------------------------------------------------------


@pytest.fixture
def daemon(project) -> Iterator["subprocess.Popen[str]"]:
    """Runs beside the commands, all tasks adopted; it has looked at everything once."""
    project.adopted()
    process = subprocess.Popen(
        command("run"),
        cwd=project.root,
        env=environment(**PATIENT, RECONCILER_DAEMON__HTTP_LISTEN=""),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while "looked at 3 tasks" not in process.stderr.readline():
            assert process.poll() is None
        yield process
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_an_edit_is_sent_at_once_and_waited_for(project, daemon):
    project.edit(KAFKA, "sink", workerNum="13")
    ended = project.reconciler("sync", "--wait")
    assert (ended.code, ended.out) == (0, "3 tasks: 3 synced\n")
    assert f"{KAFKA}: synced: no difference" in ended.err
    assert len(project.updates) == 1


def test_commands_beside_a_daemon_are_seen_by_it(project, daemon, monkeypatch):
    project.break_(ORACLE)
    (project.desired / MYSQL).rename(project.desired / "mysql")
    assert project.reconciler("suspend", KAFKA, "--reason", "index rebuild").code == 0
    ended = project.reconciler("sync", "--wait")
    assert (ended.code, ended.out) == (1, "3 tasks: 1 invalid, 1 suspended, 1 synced\n")
    for name in ("OMS_PASSWORD", "SHOP_SINK_PASSWORD", "OMS_STORE_PASSWORD"):
        monkeypatch.delenv(name)
    text = project.reconciler("explain", ORACLE).out
    assert f"{ORACLE} is invalid since " in text
    assert f"{ORACLE}/sink.json:1:2: the file: expected " in text
    assert text.endswith("Next: reconciler validate.\n")
    assert project.reconciler("resume", KAFKA).code == 0
    assert project.reconciler("sync", KAFKA, "--wait").code == 0


def test_what_failed_is_sent_again_by_the_daemon_after_retry(project, daemon):
    project.simulator.add_fault(Rule("param_error", action="UpdateIncrSync", times=1))
    project.edit(KAFKA, "sink", workerNum="13")
    assert project.reconciler("sync", KAFKA, "--wait").code == 1
    assert project.reconciler("retry", KAFKA).out.startswith(f"{KAFKA}: cleared; the daemon sends what differs")
    assert project.reconciler("sync", KAFKA, "--wait").code == 0
    assert len(project.updates) == 2


def test_apply_beside_a_daemon_says_what_to_do_instead(project, daemon):
    project.edit(KAFKA, "sink", workerNum="13")
    ended = run_process(project.root, "apply", "--yes", "--lock-timeout", "0")
    assert ended.code == 3
    assert "held by run (process " in ended.err
    assert "reconciler sync --wait asks it to do so now" in ended.err
    assert project.updates == ()
