from typing import get_args

import pytest

from reconciler.core.status import State
from reconciler.events import Event, FetchEnded, HeadChanged, HookAnswered, ItemEnded, Notice, PassEnded, TargetChanged
from reconciler.logs.lines import line_of
from reconciler.model import Head
from tests.logs.examples import COMMIT, EXAMPLES, UNTIL, changed, ended


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_every_event_has_a_line(event):
    line = line_of(event)
    assert line.event
    assert line.kind
    assert line.level in ("debug", "info", "warning", "error")


def test_the_examples_are_all_events():
    assert {type(event) for event in EXAMPLES} == set(get_args(Event))


def test_what_is_no_event_is_refused():
    with pytest.raises(TypeError, match="found str"):
        line_of("something")


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (State.FAILED, "error"),
        (State.INVALID, "error"),
        (State.UNCONFIRMED, "warning"),
        (State.BLOCKED, "warning"),
        (State.ORPHANED, "warning"),
        (State.SYNCED, "info"),
        (State.OUT_OF_SYNC, "info"),
        (State.APPLYING, "info"),
        (State.VERIFYING, "info"),
        (State.SUSPENDED, "info"),
    ],
)
def test_a_state_says_how_much_it_matters(state, level):
    assert line_of(changed(state)).level == level


def test_a_state_says_why_and_what_to_do():
    line = line_of(
        changed(State.FAILED, reason="refused", next_step="reconciler retry shop/orders", ticket=7, until=UNTIL)
    )
    assert line.event == "shop/orders is failed"
    assert line.fields() == {
        "kind": "state-changed",
        "reason": "refused",
        "next": "reconciler retry shop/orders",
        "task": "shop/orders",
        "state": "failed",
        "before": "applying",
        "until": "2026-07-02T20:00:00Z",
        "revision": "1f2e",
        "ticket": 7,
    }


def test_the_same_state_for_another_reason_says_so():
    assert line_of(changed(State.BLOCKED, before=State.BLOCKED)).event == "shop/orders is still blocked"


def test_only_the_first_sight_of_a_synced_task_is_for_debugging():
    assert line_of(changed(State.SYNCED, before=None)).level == "debug"
    assert line_of(changed(State.OUT_OF_SYNC, before=None)).level == "info"


@pytest.mark.parametrize(
    ("outcome", "level", "always"),
    [
        ("accepted", "info", True),
        ("unknown", "error", True),
        ("failed", "error", False),
        ("retrying", "warning", False),
    ],
)
def test_a_call_that_may_have_restarted_something_is_always_said(outcome, level, always):
    line = line_of(ended(outcome))
    assert (line.level, line.always) == (level, always)


def test_a_call_names_all_that_one_looks_for():
    fields = line_of(ended("failed", request_id="abc", message="no such component")).fields()
    assert fields["reason"] == "no such component"
    assert (fields["request_id"], fields["revision"], fields["plan"], fields["seconds"]) == ("abc", "1f2e", "p1", 0.123)
    assert "ticket" not in fields


@pytest.mark.parametrize(("status", "level"), [("pending", "info"), ("failed", "info"), ("applied", "debug")])
def test_the_end_of_an_item_repeats_what_its_state_says(status, level):
    line = line_of(ItemEnded("shop/orders", "default", "update", status, "busy", retry_in_s=12.34))
    assert line.level == level
    assert line.facts["retry_in_s"] == 12.3


@pytest.mark.parametrize(
    ("event", "level", "reason"),
    [
        (PassEnded("event", 3, 0.1), "debug", ""),
        (PassEnded("start", 3, 0.1), "info", ""),
        (PassEnded("resync", 3, 0.1, frozen="all tasks vanished"), "error", "all tasks vanished"),
        (PassEnded("resync", 0, 0.1, problem="no such directory"), "error", "no such directory"),
    ],
)
def test_a_pass_is_said_aloud_when_it_came_to_nothing(event, level, reason):
    line = line_of(event)
    assert (line.level, line.reason) == (level, reason)


def test_a_target_that_works_again_is_no_error():
    assert line_of(TargetChanged("default", "unreachable", "refused")).level == "error"
    assert line_of(TargetChanged("default", "", "answers again")).level == "info"


def test_facts_of_a_notice_cannot_replace_what_a_line_means():
    fields = line_of(Notice("info", "git", "fetched", {"kind": "x", "level": "y", "commit": "z"})).fields()
    assert fields == {"kind": "notice", "topic": "git", "fact_kind": "x", "fact_level": "y", "commit": "z"}


def test_another_commit_is_told_with_author_and_subject():
    line = line_of(HeadChanged(Head("main", COMMIT), 3))
    assert (line.level, line.event) == ("info", "reads commit 1f2e3d4 (Ann: Raise throttle)")
    assert line.fields() == {"kind": "head-changed", "revision": COMMIT.id, "ref": "main", "tasks": 3}


@pytest.mark.parametrize(
    ("newest", "event"),
    [
        ("a" * 40, "commit aaaaaaa is not followed (unsigned), 1f2e3d4 (Ann: Raise throttle) stays in force"),
        ("", "main is not followed (unsigned), 1f2e3d4 (Ann: Raise throttle) stays in force"),
    ],
)
def test_a_commit_that_is_not_followed_is_an_error_and_says_why(newest, event):
    line = line_of(HeadChanged(Head("main", COMMIT, newest, "unsigned", "no signature"), None))
    assert (line.level, line.event, line.reason) == ("error", event, "no signature")
    assert line.fields().get("newest", "") == newest


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (FetchEnded(0.1), "debug"),
        (FetchEnded(0.1, "no route"), "debug"),  # told once, by a notice
        (HookAnswered("accepted"), "debug"),
        (HookAnswered("ping"), "debug"),
        (HookAnswered("refused"), "warning"),
        (HookAnswered("limited"), "warning"),
    ],
)
def test_fetches_and_requests_are_told_when_they_need_somebody(event, level):
    assert line_of(event).level == level
