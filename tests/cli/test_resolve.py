"""`reset resolve`: what only a person can say about a reset."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from reconciler.cli.common import account
from reconciler.model import Stage
from tests.cli.resets import AT, KEY, declare, ledger, row
from tests.cli.said import daemon_that_said, opened
from tests.projects import KAFKA, MYSQL, ORACLE
from tests.repositories import Repo, isolate


def resolve(project, *arguments, task=KAFKA, reason="the ticket list"):
    return project.reconciler("reset", "resolve", task, "--reason", reason, *arguments)


@pytest.mark.parametrize(
    ("word", "stage", "text"),
    [("--sent", Stage.DONE, "done: it is never sent"), ("--not-sent", Stage.PENDING, "pending: it is sent once")],
)
def test_a_reset_that_may_have_been_sent_before_gets_its_row(project, word, stage, text):
    declare(project)
    ended = resolve(project, word)
    assert ended.code == 0
    assert f"{KAFKA}: reset r1 of the forward link of np_4x9j00000002: {text}" in ended.out
    entry = ledger(project)[KAFKA, "r1"]
    assert (entry.key, entry.stage, entry.position_before) == (KEY, stage, None)
    assert entry.reason.endswith(f"says that it was {word[2:].replace('-', ' ')}: the ticket list")


@pytest.mark.parametrize(
    ("stopped", "word", "stage"),
    [
        (True, "--sent", Stage.ACCEPTED),
        (True, "--not-sent", Stage.RETURNING),
        (False, "--sent", Stage.ACCEPTED),
        (False, "--not-sent", Stage.REFUSED),
    ],
)
def test_an_unknown_outcome_is_decided(project, stopped, word, stage):
    declare(project)
    before = row(project, Stage.UNKNOWN, stopped=stopped)
    assert resolve(project, word).code == 0
    after = ledger(project)[KAFKA, "r1"]
    assert replace(after, stage=before.stage, since=before.since, reason=before.reason) == before
    assert (after.stage, after.since > AT) == (stage, True)


def test_who_said_it_and_why_is_on_record(project, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ann")
    declare(project)
    resolve(project, "--sent", reason="  ticket 77 says success ")
    with closing(opened(project)) as store:
        entry = store.history(KAFKA, 1)[0]
    assert (entry.kind, entry.outcome) == ("reset", "done")
    assert entry.detail["reason"] == f"{account()} says that it was sent: ticket 77 says success"
    assert entry.detail["reason"].startswith("ann ")


def test_a_refused_reset_may_be_tried_again(project):
    declare(project)
    row(project, Stage.REFUSED)
    assert resolve(project, "--not-sent").code == 0
    assert ledger(project)[KAFKA, "r1"].stage is Stage.PENDING


@pytest.mark.parametrize("stage", [Stage.SENDING, Stage.DONE], ids=lambda stage: stage.value)
def test_where_nobody_asks_nothing_is_written(project, stage):
    declare(project)
    before = row(project, stage)
    ended = resolve(project, "--not-sent")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("reconciler: reset r1 of the forward link of np_4x9j00000002 ")
    assert ledger(project) == {(KAFKA, "r1"): before}


def test_a_task_without_a_reset_has_nothing_to_resolve(project):
    ended = resolve(project, "--sent")
    assert (ended.code, f"{KAFKA} declares no reset" in ended.err) == (1, True)


def test_the_daemon_goes_on_if_there_is_one(project):
    declare(project)
    row(project, Stage.UNKNOWN)
    with daemon_that_said(project):
        assert resolve(project, "--sent").out.endswith("\nthe daemon goes on with it now\n")


def test_without_a_daemon_the_next_apply_goes_on(project):
    declare(project)
    row(project, Stage.UNKNOWN)
    assert resolve(project, "--sent").out.endswith("\nthe next apply goes on with it\n")


def test_what_somebody_else_moved_meanwhile_is_left(project):
    """Here while the doubt about the other task is written down."""
    declare(project)
    declare(project, "r2", task=MYSQL)
    with closing(opened(project)), closing(sqlite3.connect(project.database)) as connection, connection:
        connection.execute(QUICKER)
    ended = resolve(project, "--not-sent")
    assert (ended.code, ended.out, "the reset went on meanwhile" in ended.err) == (1, "", True)
    assert ledger(project)[MYSQL, "r1"].reason == "quicker"


QUICKER = """
CREATE TRIGGER quicker AFTER INSERT ON resets WHEN NEW.request = 'r2'
BEGIN
  INSERT INTO resets
  SELECT target, 'np_4x9j00000002', reverse, 'r1', digest, task, address, start_timestamp, stage, since, 'quicker',
         position_before, stopped, plan, content_id, ticket, request_id
  FROM resets;
END
"""


# --- which one is meant ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["the directory", "reset.json", "valid files", "every file"])
def test_a_row_is_found_whatever_became_of_the_files(project, gone):
    declare(project)
    row(project, Stage.UNKNOWN)
    if gone == "the directory":
        shutil.rmtree(project.desired / KAFKA)
    elif gone == "reset.json":
        (project.desired / KAFKA / "reset.json").unlink()
    elif gone == "valid files":
        project.break_(KAFKA)
    else:
        shutil.rmtree(project.desired)
    assert resolve(project, "--not-sent").code == 0
    assert ledger(project)[KAFKA, "r1"].stage is Stage.REFUSED


def test_an_unknown_outcome_comes_before_the_reset_that_is_declared_now(project):
    declare(project)
    row(project, Stage.UNKNOWN)
    declare(project, "r2")
    assert resolve(project, "--sent").code == 0
    assert {key: entry.stage for key, entry in ledger(project).items()} == {(KAFKA, "r1"): Stage.ACCEPTED}


def test_a_request_can_be_named(project):
    declare(project)
    row(project, Stage.UNKNOWN)
    declare(project, "r2")
    assert resolve(project, "--sent", "--request", "r2").code == 0
    assert {key[1]: entry.stage for key, entry in ledger(project).items()} == {"r1": Stage.UNKNOWN, "r2": Stage.DONE}


def test_two_that_may_be_meant_have_to_be_named(project):
    declare(project)
    row(project, Stage.PERHAPS_SENT)
    declare(project, "r2")
    ended = resolve(project, "--sent")
    assert (ended.code, "say which with --request: r1, r2" in ended.err) == (64, True)


def test_a_request_that_the_task_does_not_have_is_wrong_usage(project):
    declare(project)
    ended = resolve(project, "--sent", "--request", "r9")
    assert (ended.code, f'{KAFKA} has no request "r9"; it has: r1' in ended.err) == (64, True)


def test_a_renamed_directory_takes_its_row_along(project):
    declare(project)
    row(project, Stage.UNKNOWN)
    (project.desired / KAFKA).rename(project.desired / "kafka")
    assert resolve(project, "--sent", task="kafka").code == 0
    assert ledger(project)["kafka", "r1"].stage is Stage.ACCEPTED


def test_a_task_of_the_same_project_leaves_the_row_to_the_task_that_began_it(project):
    declare(project)
    before = row(project, Stage.UNKNOWN, task=KAFKA, address="of another task")
    assert resolve(project, "--sent").code == 0
    assert ledger(project)[KAFKA, "r1"].address == before.address


# --- a ledger that may have been lost --------------------------------------------------------------------------------


def test_the_first_word_of_a_store_leaves_the_doubt_about_other_resets(project):
    declare(project)
    declare(project, "r2", task=MYSQL)
    project.break_(ORACLE)
    project.reconciler("adopt", KAFKA, MYSQL)
    assert resolve(project, "--not-sent").code == 0
    assert {key: entry.stage for key, entry in ledger(project).items()} == {
        (KAFKA, "r1"): Stage.PENDING,
        (MYSQL, "r2"): Stage.PERHAPS_SENT,
    }


def test_a_reset_beside_it_that_cannot_be_read_is_named(project):
    declare(project)
    declare(project, "r2", task=ORACLE)
    project.break_(ORACLE)
    assert f"{ORACLE}: its files are not valid, so its reset.json is not looked at" in resolve(project, "--sent").err


def test_later_words_say_nothing_of_other_resets(project):
    declare(project)
    row(project, Stage.DONE)
    declare(project, "r2", task=MYSQL)
    declare(project, "r3")
    assert resolve(project, "--not-sent").code == 0
    assert (MYSQL, "r2") not in ledger(project)


def test_a_doubt_that_was_written_down_is_no_word(project):
    """So that a command that was killed in between leaves the doubt about the rest."""
    declare(project)
    row(project, Stage.PERHAPS_SENT)
    declare(project, "r2", task=MYSQL)
    assert resolve(project, "--not-sent").code == 0
    assert ledger(project)[MYSQL, "r2"].stage is Stage.PERHAPS_SENT


def test_two_tasks_that_declare_one_request_are_one_doubt(project):
    declare(project)
    shutil.copytree(project.desired / KAFKA, project.desired / "copy")
    project.edit("copy", "task", component={"project": "np_4x9j00000002", "link": "forward", "index": 1})
    assert resolve(project, "--not-sent").code == 0
    assert list(ledger(project)) == [(KAFKA, "r1")]


# --- wrong usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((KAFKA, "--sent"), "Missing option '--reason'"),
        ((KAFKA, "--sent", "--reason", " "), "expected a text that says how you know"),
        ((KAFKA, "--reason", "x"), "say --sent or --not-sent"),
        (("--sent", "--reason", "x"), "Missing argument 'TASK'"),
        (("oceanbase-to-kafak", "--sent", "--reason", "x"), f'did you mean "{KAFKA}"?'),
    ],
    ids=["no reason", "an empty reason", "no word", "no task", "another task"],
)
def test_wrong_usage_is_refused(project, arguments, words):
    ended = project.reconciler("reset", "resolve", *arguments)
    assert (ended.code, words in ended.err) == (64, True)
    assert ledger(project) == {}


def test_in_git_mode_the_commit_declares_the_reset(project, monkeypatch):
    isolate(monkeypatch, project.root)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    declare(project)
    Repo.make(project.root).commit("Begin", {".gitignore": "state/\n"})
    declare(project, "r2")
    assert resolve(project, "--not-sent").code == 0
    assert list(ledger(project)) == [(KAFKA, "r1")]
