"""Who said that what may go."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Approval, Condition, Outcome
from reconciler.state.approvals import KEPT

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")
OTHERS = (Condition.RETRYING, Condition.FAILED, Condition.UNKNOWN)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def approval(clock):
    def make(content: str = "c1", *, address: str = "a1", at: datetime | None = None, **other: object) -> Approval:
        at = at or clock.at
        made = Approval(content, "shop", address, "plan-1", "update", (), "read it", "ann", at, at + DAY)
        return replace(made, **other)

    return make


@pytest.fixture
def attempt(store, intent):
    """Begin an attempt for some content of a1; returns its number."""

    def begin(content: str = "c1", name: str = "A") -> int:
        return store.begin(replace(intent(name), content_id=content))

    return begin


def test_an_approval_is_known_as_it_was_given(store, open_store, approval):
    given = approval(forced=("tasks", "window"), action="update+delete", reason="agreed: ticket 17", by="añ")
    store.approve(given)
    assert store.approvals() == open_store(read_only=True).approvals() == {"c1": given}


def test_an_approval_is_on_record_with_what_it_lifts(store, approval):
    given = approval(forced=("tasks",))
    store.approve(given)
    row = store.history("shop", 1)[0]
    assert (row.kind, row.task, row.address, row.action, row.plan) == ("approve", "shop", "a1", "update", "plan-1")
    until = given.until.isoformat(timespec="microseconds")
    expected = {"content": "c1", "forced": ["tasks"], "reason": "read it", "by": "ann", "until": until}
    assert row.detail == expected


def test_a_later_approval_of_the_same_content_replaces_the_first(store, approval):
    store.approve(approval(reason="first"))
    store.approve(approval(reason="second"))
    assert [given.reason for given in store.approvals().values()] == ["second"]


def test_approvals_of_one_plan_are_given_together_or_not_at_all(store, approval, path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON approvals WHEN NEW.task = 'b' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with pytest.raises(StateStoreError):
        store.approve(approval("c1"), approval("c2", address="a2", task="b"))
    assert store.approvals() == {}
    store.approve(approval("c1"), approval("c2", address="a2"))
    assert set(store.approvals()) == {"c1", "c2"}


def test_an_approval_is_taken_back_once(store, approval):
    store.approve(approval())
    assert [store.disapprove("c1", "not today"), store.disapprove("c1", "not today")] == [True, False]
    assert store.approvals() == {}
    row, given = store.history("shop", 9)
    assert (row.kind, row.address, row.action, row.plan) == (given.kind, given.address, given.action, given.plan)
    assert row.detail == {"content": "c1", "revoked": True, "reason": "not today"}


@pytest.mark.parametrize("condition", [Condition.VERIFYING, Condition.NOT_VERIFIED])
def test_an_accepted_attempt_uses_its_approval_up(store, approval, attempt, condition):
    store.approve(approval())
    store.approve(approval("c2"))
    store.conclude(attempt(), Outcome(condition, ""))
    assert list(store.approvals()) == ["c2"]


@pytest.mark.parametrize("condition", OTHERS)
def test_an_attempt_without_success_keeps_its_approval(store, approval, attempt, condition):
    store.approve(approval())
    store.conclude(attempt(), Outcome(condition, "why"))
    assert list(store.approvals()) == ["c1"]


def test_an_attempt_under_way_keeps_its_approval(store, approval, attempt):
    store.approve(approval())
    attempt()
    assert list(store.approvals()) == ["c1"]


def test_accepted_uses_up_what_earlier_attempts_without_an_answer_were_approved_for(store, approval, attempt):
    store.approve(approval())
    store.conclude(attempt(), Outcome(Condition.UNKNOWN, "read timeout"))
    store.conclude(attempt("c2", "B"), ACCEPTED)
    assert store.approvals() == {}


def test_accepted_leaves_approvals_of_other_addresses(store, approval, attempt):
    store.approve(approval("c9", address="a2"))
    store.conclude(attempt(), ACCEPTED)
    assert list(store.approvals()) == ["c9"]


def test_an_attempt_that_needed_no_approval_uses_none_up(store, approval, attempt):
    store.approve(approval())
    store.conclude(attempt(content=""), ACCEPTED)
    assert list(store.approvals()) == ["c1"]


def test_the_attempt_names_the_content_that_was_approved(store, attempt):
    attempt("c1")
    attempt("")
    assert [row.detail.get("content") for row in store.history("shop", 9)] == [None, "c1"]


def test_forgetting_an_address_takes_its_approvals_back(store, approval, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.approve(approval())
    store.approve(approval("c9", address="a2"))
    store.forget("a1")
    assert list(store.approvals()) == ["c9"]


def test_an_expired_approval_is_shown_for_a_week(store, approval, clock):
    store.approve(approval(at=clock.at - DAY))
    assert list(store.approvals()) == ["c1"]


@pytest.mark.parametrize("occasion", ["approve", "prune"])
def test_an_approval_that_ended_a_week_ago_is_dropped_on_record(store, approval, clock, occasion):
    store.approve(approval())
    clock.at += DAY + KEPT
    if occasion == "approve":
        store.approve(approval("c2", address="a2"))
    else:
        store.prune(clock.at - 99 * DAY)
    assert "c1" not in store.approvals()
    dropped = next(row for row in store.history("shop", 9) if row.detail.get("expired"))
    assert (dropped.kind, dropped.address, dropped.detail["content"]) == ("approve", "a1", "c1")


def test_an_approval_that_ended_less_than_a_week_ago_stays(store, approval, clock):
    store.approve(approval())
    clock.at += DAY + KEPT - 9 * SECOND
    store.prune(clock.at)
    assert list(store.approvals()) == ["c1"]


def test_an_approval_without_an_address_is_refused(store, approval):
    with pytest.raises(StateStoreError, match="CHECK constraint failed"):
        store.approve(approval(address=""))
    assert store.approvals() == {}


def test_an_approval_stands_or_falls_with_its_row(store, path, approval):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StateStoreError, match="changed by hand"):
        store.approve(approval())
    assert store.approvals() == {}
