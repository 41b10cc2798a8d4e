"""`reset undo`: the `reset.json` that takes a reset back."""

import json
import shutil

import pytest

from reconciler.model import Stage
from tests.cli.resets import AT, BEFORE, PROJECT, declare, reset_of, row
from tests.projects import KAFKA, MYSQL
from tests.repositories import Repo, isolate

UNDONE = {
    "request": "undo-r1",
    "id": PROJECT,
    "reverse": False,
    "startTimestamp": BEFORE,
    "reason": "undo of r1: back to 2026-11-20 10:00:00Z, where the link was before",
}


def undo(project, *arguments, task=KAFKA):
    return project.reconciler("reset", "undo", task, *arguments)


@pytest.fixture
def done(project):
    """A task whose reset was carried out."""
    declare(project, **{"$schema": "../../schemas/reset.schema.json"})
    row(project, Stage.DONE)
    return project


def test_the_file_that_asked_for_it_is_replaced(done):
    ended = undo(done)
    assert (ended.code, ended.err) == (0, "")
    assert reset_of(done) == {"$schema": "../../schemas/reset.schema.json"} | UNDONE
    assert f"desired_state/{KAFKA}/reset.json: written\n" in ended.out
    assert "r1 moved it back by 2 h" in ended.out


def test_what_it_writes_is_valid(done):
    undo(done)
    assert done.reconciler("validate").code == 0


def test_where_there_is_no_file_any_more_one_is_made(done):
    (done.desired / KAFKA / "reset.json").unlink()
    assert undo(done).code == 0
    assert reset_of(done) == UNDONE


def test_nothing_else_is_left_in_the_directory(done):
    before = {path.name for path in (done.desired / KAFKA).iterdir()}
    undo(done)
    assert {path.name for path in (done.desired / KAFKA).iterdir()} == before


def test_where_there_is_no_file_the_last_reset_is_undone(done):
    declare(done, "r2")
    row(done, Stage.UNCONFIRMED, since=AT.replace(day=21))
    declare(done, "r3")
    row(done, Stage.REFUSED, since=AT.replace(day=22))
    (done.desired / KAFKA / "reset.json").unlink()
    assert undo(done).code == 0
    assert reset_of(done)["request"] == "undo-r2"


def test_an_undo_can_be_undone(done):
    undo(done)
    row(done, Stage.DONE)
    assert undo(done).code == 0
    assert reset_of(done)["request"] == "undo-undo-r1"


def test_undoing_again_gets_a_name_of_its_own(done):
    declare(done, "undo-r1")
    row(done, Stage.REFUSED)
    declare(done)
    assert undo(done).code == 0
    assert reset_of(done)["request"] == "undo-r1-2"


def test_the_name_can_be_given(done):
    assert undo(done, "--request", "back-again").code == 0
    assert reset_of(done)["request"] == "back-again"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("r1", 'expected a name that was not used before, found "r1"'),
        ("", "/request: expected text of 1 to 200 characters"),
        ("a\tb", "/request: expected text of 1 to 200 characters"),
    ],
    ids=["used", "empty", "a control character"],
)
def test_a_wrong_name_is_refused(done, name, words):
    before = reset_of(done)
    ended = undo(done, "--request", name)
    assert (ended.code, words in ended.err) == (64, True)
    assert reset_of(done) == before


def test_a_task_of_another_project_by_now_is_refused(done):
    (done.desired / KAFKA / "reset.json").unlink()
    done.edit(KAFKA, "task", component={"project": "np_other", "link": "forward", "index": 0})
    ended = undo(done)
    assert (ended.code, 'expected "np_other", the project of task.json' in ended.err) == (64, True)


@pytest.mark.parametrize(
    ("stage", "changes", "words"),
    [
        (Stage.SENDING, {}, "has not ended (sending): there is nothing to undo"),
        (Stage.UNKNOWN, {}, "has not ended (unknown)"),
        (Stage.REFUSED, {}, "was not carried out (refused)"),
        (Stage.DONE, {"position_before": None}, "where the link was before is not known"),
    ],
)
def test_what_cannot_be_undone_is_left(project, stage, changes, words):
    declare(project)
    row(project, stage, **changes)
    before = reset_of(project)
    ended = undo(project)
    assert (ended.code, words in ended.err) == (1, True)
    assert reset_of(project) == before


def test_a_reset_that_was_not_carried_out_yet_is_not_written_over(done):
    declare(done, "r2")
    ended = undo(done)
    assert (ended.code, reset_of(done)["request"]) == (1, "r2")
    assert f'{KAFKA}/reset.json asks for "r2", which was not carried out: there is nothing to undo' in ended.err


def test_a_file_that_cannot_be_read_is_not_written_over(done):
    path = done.desired / KAFKA / "reset.json"
    path.write_text("{")
    assert (undo(done).code, path.read_text()) == (1, "{")


def test_a_task_without_a_reset_has_nothing_to_undo(done):
    ended = undo(done, task=MYSQL)
    assert (ended.code, f"{MYSQL} has no reset that was carried out" in ended.err) == (1, True)


def test_a_task_that_nobody_knows_is_wrong_usage(done):
    ended = undo(done, task="oceanbase-to-kafak")
    assert (ended.code, f'did you mean "{KAFKA}"?' in ended.err) == (64, True)


def test_a_file_that_cannot_be_written_is_named(done):
    path = done.desired / KAFKA / "reset.json"
    path.unlink()
    path.mkdir()
    ended = undo(done)
    assert (ended.code, "Is a directory: nothing was written" in ended.err) == (1, True)


# --- without a file --------------------------------------------------------------------------------------------------


def test_it_can_be_printed_instead(done):
    before = reset_of(done)
    ended = undo(done, "--print")
    assert (ended.code, ended.json) == (0, {"$schema": "../../schemas/reset.schema.json"} | UNDONE)
    assert "r1 moved it back by 2 h" in ended.err
    assert reset_of(done) == before


def test_of_a_directory_that_is_gone_it_can_only_be_printed(done):
    shutil.rmtree(done.desired / KAFKA)
    ended = undo(done)
    assert (ended.code, f"has no task {KAFKA} any more: give --print" in ended.err) == (1, True)
    assert json.loads(undo(done, "--print").out) == UNDONE


@pytest.fixture
def repo(done, monkeypatch):
    """The same in a repository."""
    isolate(monkeypatch, done.root)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    made = Repo.make(done.root)
    made.commit("Begin", {".gitignore": "state/\n"})
    return made


def test_in_git_mode_it_is_written_into_the_working_tree_and_to_be_committed(done, repo):
    assert "commit it; reconciler plan shows" in undo(done).out
    assert reset_of(done)["request"] == "undo-r1"


def test_in_a_bare_repository_it_can_only_be_printed(done, repo, monkeypatch):
    repo.clone(done.root / "bare.git", "--bare")
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__PATH", "bare.git/desired_state")
    ended = undo(done)
    assert (ended.code, "is in a bare repository: expected a working tree" in ended.err) == (64, True)
    assert undo(done, "--print").json["request"] == "undo-r1"
