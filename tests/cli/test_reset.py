"""`reset list`: the ledger."""

from datetime import timedelta

import pytest

from reconciler.model import Stage
from tests.cli.resets import AT, declare, row
from tests.projects import KAFKA, MYSQL


@pytest.fixture
def filled(project):
    """A reset of each of two tasks, one carried out and a minute later one whose outcome is unknown."""
    declare(project, "r1")
    row(project, Stage.DONE, ticket=77, request_id="req-1", plan="plan-1")
    declare(project, "r2", task=MYSQL)
    row(project, Stage.UNKNOWN, task=MYSQL, since=AT + timedelta(minutes=1), position_before=None, stopped=True)
    return project


def test_the_ledger_is_shown_newest_first(filled):
    ended = filled.reconciler("reset", "list")
    head, unknown, done = ended.out.splitlines()
    assert head.split() == ["task", "request", "stage", "since", "link", "to", "from", "ticket", "why"]
    assert (
        done.split()
        == (
            f"{KAFKA} r1 done 2026-11-20 12:00:00Z np_4x9j00000002 forward 2026-11-20 08:00:00Z"
            " 2026-11-20 10:00:00Z 77 as it was"
        ).split()
    )
    assert unknown.split()[:3] == [MYSQL, "r2", "unknown"]
    assert (ended.code, ended.err) == (0, "2 resets\n")


def test_the_ledger_as_json(filled):
    ended = filled.reconciler("reset", "list", KAFKA, "--format", "json")
    assert ended.json == {
        "version": 1,
        "resets": [
            {
                "task": KAFKA,
                "request": "r1",
                "stage": "done",
                "since": "2026-11-20T12:00:00+00:00",
                "target": "default",
                "project": "np_4x9j00000002",
                "link": "forward",
                "to": "2026-11-20T08:00:00Z",
                "from": "2026-11-20T10:00:00Z",
                "stopped": False,
                "ticket": 77,
                "request_id": "req-1",
                "plan": "plan-1",
                "reason": "as it was",
            }
        ],
    }


def test_what_is_not_known_is_null(filled):
    (shown,) = filled.reconciler("reset", "list", MYSQL, "--format", "json").json["resets"]
    assert [shown[name] for name in ("from", "ticket", "request_id", "plan")] == [None] * 4
    assert shown["stopped"] is True


def test_an_empty_ledger_is_no_error_and_makes_no_store(project):
    ended = project.reconciler("reset", "list")
    assert (ended.code, ended.err) == (0, "0 resets\n")
    assert not project.database.exists()


def test_a_task_of_which_only_the_ledger_knows_can_be_asked_for(filled):
    for file in (filled.desired / KAFKA).iterdir():
        file.unlink()
    assert filled.reconciler("reset", "list", KAFKA).err == "1 reset\n"


def test_a_task_that_nobody_knows_is_wrong_usage(filled):
    ended = filled.reconciler("reset", "list", "oceanbase-to-kafak")
    assert (ended.code, f'did you mean "{KAFKA}"?' in ended.err) == (64, True)


def test_a_position_that_is_no_moment_is_shown_as_it_is(project):
    declare(project)
    row(project, Stage.DONE, position_before=2**62)
    (shown,) = project.reconciler("reset", "list", "--format", "json").json["resets"]
    assert shown["from"] == str(2**62)


def test_without_a_subcommand_it_shows_what_there_is(project):
    ended = project.reconciler("reset")
    assert (ended.code, "resolve" in ended.err) == (64, True)
