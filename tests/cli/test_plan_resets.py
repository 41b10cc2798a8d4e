"""Declared resets, from the plan that is read first to the second `apply`, which does nothing."""

import io
import sys
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest

from reconciler import resources
from reconciler.model import Stage
from reconciler.simulator.faults import Rule
from tests.cli.resets import declare, ledger, row
from tests.projects import KAFKA, MYSQL

ENTERPRISE = '\nedition = "EE"\nversion = "4.3.0"\nallow_reset = true\n'
REQUEST = (KAFKA, "r1")
RESET = "ResetIncrStartTimestamp"


def allow(project, text=ENTERPRISE):
    path = project.root / "reconciler.toml"
    path.write_text(path.read_text() + text)


@pytest.fixture
def declared(project):
    """A reset two hours back, of a task that is known, on a server that can do it."""
    allow(project)
    project.adopted()
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    declare(project, startTimestamp=start.isoformat())
    return project


@pytest.fixture
def approved(declared):
    assert declared.reconciler("reset", "resolve", KAFKA, "--not-sent", "--reason", "looked").code == 0
    number = declared.reconciler("plan", "--format", "json").json["id"]
    assert declared.reconciler("approve", number, "--reason", "agreed").code == 0
    return declared


class Terminal(io.StringIO):
    """Somebody at a terminal who types an answer."""

    def isatty(self):
        return True


def reset_in(ended):
    (found,) = (one for one in ended.json["items"] if one["reset"])
    return found


def resets_sent(project):
    return len(project.simulator.calls_of(RESET))


# --- plan ----------------------------------------------------------------------------------------------------------


def test_first_reset_of_a_store_is_held_and_says_how_far_it_goes(declared):
    ended = declared.reconciler("plan")
    assert ended.code == 3
    assert (
        "perhaps_sent: it may have been sent before this store knew of it: the ledger of this store is empty"
        in ended.out
    )
    assert "  ! back by " in ended.out
    assert "are written again; a message sink repeats them" in ended.out


def test_json_has_the_distance_as_numbers_and_fits_its_schema(declared):
    ended = declared.reconciler("plan", "--format", "json")
    jsonschema.validate(ended.json, resources.schema("plan"))
    found = reset_in(ended)
    reset = found["reset"]
    assert (found["rail"], reset["request"], reset["link"], reset["stage"]) == ("perhaps_sent", "r1", "forward", None)
    assert reset["shift"] == reset["start"] - reset["position"] < 0
    assert (reset["rows"] > 0, reset["problem"]) == (True, None)


def test_plan_is_the_same_while_the_link_moves(declared):
    first, second = (declared.reconciler("plan", "--format", "json") for _ in range(2))
    declared.simulator.advance(60.0)
    assert first.json["id"] == second.json["id"] == declared.reconciler("plan", "--format", "json").json["id"]


def test_server_that_is_away_costs_a_remark(declared):
    before = declared.reconciler("plan", "--format", "json")
    declared.url = "http://127.0.0.1:9"
    declared.configure()
    allow(declared)
    after = declared.reconciler("plan", "--format", "json")
    assert (after.code, after.json["id"]) == (3, before.json["id"])
    assert "Connection refused" in reset_in(after)["reset"]["problem"]


def test_without_a_reset_no_server_is_asked(project):
    project.adopted()
    project.reconciler("plan")
    assert project.simulator.calls == ()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('\nedition = "EE"\nversion = "4.3.0"\n', "allow_reset is false"),
        ('\nedition = "EE"\nversion = "4.2.9"\nallow_reset = true\n', "expected OMS EE 4.3.0 or newer, found 4.2.9"),
        ('\nedition = "CE"\nversion = "4.3.0"\nallow_reset = true\n', "expected an OMS Enterprise Edition (EE)"),
    ],
    ids=["not allowed", "too old", "community"],
)
def test_target_that_cannot_or_may_not(project, config, words):
    allow(project, config)
    project.adopted()
    declare(project)
    found = reset_in(project.reconciler("plan", "--format", "json"))
    assert (found["rail"], words in found["reason"]) == ("target", True)


@pytest.mark.parametrize("format_", ["markdown", "html"])
def test_reports_say_what_it_moves(approved, format_):
    text = approved.reconciler("plan", "--format", format_).out
    assert "link is reset to another position" in text
    assert "repeats the changes of" in text


def test_unknown_reset_shows_where_the_link_was_and_is(declared):
    row(declared, Stage.UNKNOWN)
    text = declared.reconciler("plan", KAFKA).out
    (told,) = [line for line in text.splitlines() if "the link is at" in line]
    assert "2026-11-20 10:00:00Z" in told
    assert "look at its ticket" in told
    assert "nothing is repeated" not in text


def test_approval_shows_the_distance(declared):
    declared.reconciler("reset", "resolve", KAFKA, "--not-sent", "--reason", "looked")
    number = declared.reconciler("plan", "--format", "json").json["id"]
    assert "  ! back by " in declared.reconciler("approve", number, "--reason", "agreed").out


# --- apply ---------------------------------------------------------------------------------------------------------


def test_approved_reset_is_counted_and_would_be_sent(approved):
    ended = approved.reconciler("plan")
    assert ended.code == 2
    assert ended.out.endswith(": 1 to reset, 2 unchanged; resets 1 link.\n")


def test_reset_is_carried_out_once(approved):
    first = approved.reconciler("apply", "--yes")
    second = approved.reconciler("apply", "--yes")
    assert (first.code, second.code, resets_sent(approved)) == (0, 0, 1)
    assert f"{KAFKA}: applied: reset r1 of np_4x9j00000002 is carried out" in first.err
    assert "3 unchanged" in second.out
    assert ledger(approved)[REQUEST].stage.value == "done"


def test_finished_reset_is_shown_only_by_full(approved):
    approved.reconciler("apply", "--yes")
    assert KAFKA not in approved.reconciler("plan").out
    assert (
        "reset r1 of the forward link of np_4x9j00000002 was carried out at"
        in approved.reconciler("plan", "--full").out
    )


def test_reset_and_update_of_one_task_are_both_reported(approved):
    approved.edit(KAFKA, "sink", workerNum="13")
    rows = approved.reconciler("apply", "--yes", "--format", "json").json["results"]
    assert [(row["task"], row["action"], row["status"]) for row in rows] == [
        (KAFKA, "reset", "applied"),
        (KAFKA, "update", "applied"),
    ]


def test_held_reset_is_reported_beside_an_update_that_was_sent(declared):
    declared.edit(KAFKA, "sink", workerNum="13")
    ended = declared.reconciler("apply", "--yes", "--format", "json")
    rows = {row["action"]: row["status"] for row in ended.json["results"]}
    assert (ended.code, rows) == (3, {"update": "applied", "reset": "blocked"})


def test_same_request_for_something_else_is_wrong(approved):
    approved.reconciler("apply", "--yes")
    declare(approved, startTimestamp="2026-11-19T00:00:00Z")
    ended = approved.reconciler("plan")
    assert ended.code == 1
    assert f"{KAFKA}/reset.json: error: /request: expected a request name that was not used before" in ended.out


def test_refused_reset_fails_the_plan_until_somebody_decides(approved):
    approved.simulator.add_fault(Rule("param_error", RESET))
    assert approved.reconciler("apply", "--yes").code == 1
    assert approved.reconciler("plan").code == 1
    (row,) = approved.reconciler("status", KAFKA, "--format", "json").json["tasks"]
    assert row["state"] == "failed"
    assert approved.reconciler("reset", "resolve", KAFKA, "--not-sent", "--reason", "looked").code == 0
    assert reset_in(approved.reconciler("plan", "--format", "json"))["rail"] == "approval"


@pytest.mark.parametrize(
    ("edits", "question"),
    [
        (0, "Reset 1 link? A reset cannot be taken back. [y/N]"),
        (1, "Reset 1 link, and send 1 update? A reset cannot be taken back. [y/N]"),
        (2, "Reset 1 link, and send 2 updates? A reset cannot be taken back. [y/N]"),
    ],
    ids=["alone", "with an update", "with two"],
)
def test_question_names_the_reset(approved, monkeypatch, edits, question):
    for task in (KAFKA, MYSQL)[:edits]:
        approved.edit(task, "sink", workerNum="13")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    ended = approved.reconciler("apply")
    assert question in ended.out + ended.err
    assert resets_sent(approved) == 0
