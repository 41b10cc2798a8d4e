"""Finding rows of the journal."""

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import Commit, Condition, Outcome, Suspension
from reconciler.ports import Wanted
from reconciler.state import journal
from reconciler.state.database import open_for_writing
from reconciler.state.journal import Entry
from reconciler.state.queries import QUERIES
from reconciler.state.sqlite import SqliteStore

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
COMMIT = Commit("1" * 40, "Ann \x1b[2J", datetime(2026, 11, 20, 10, tzinfo=timezone(timedelta(hours=1))), "<b>\u202e")


def found(store, **wanted) -> list[int]:
    return [entry.sequence for entry, _ in store.search(Wanted(**wanted))]


@pytest.fixture
def put(path, store):
    """Rows of the journal, each a minute later than the one before: (task, outcome, revision)."""
    database = open_for_writing(path)
    with closing(database):

        def put(*rows, at=AT) -> None:
            with database.writing():
                for minutes, (task, outcome, revision) in enumerate(rows):
                    entry = Entry("outcome", task, outcome=outcome, revision=revision, detail={"intent": 0})
                    journal.append(database, at + timedelta(minutes=minutes), entry)

        yield put


@pytest.fixture
def filled(put, store):
    put(
        ("shop/a", "synced", "r1"),
        ("shop/b", "failed", "r1"),
        ("shop", "failed", "r2"),
        ("shop-2", "synced", "r2"),
        ("", "", ""),
        ("shop/a", "failed", "r3"),
    )
    return store


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"limit": 2}, [6, 5]),
        ({"tasks": ("shop/a",)}, [6, 1]),
        ({"tasks": ("shop",)}, [6, 3, 2, 1]),
        ({"tasks": ("shop/",)}, [6, 3, 2, 1]),
        ({"tasks": ("shop", "shop/a", "shop-2"), "limit": 3}, [6, 4, 3]),
        ({"tasks": ("sho",)}, []),
        ({"revisions": ("r1",)}, [2, 1]),
        ({"revisions": ("r1", "r3")}, [6, 2, 1]),
        ({"revisions": ("r1",), "outcomes": ("failed",), "tasks": ("shop",)}, [2]),
        ({"outcomes": ("failed",)}, [6, 3, 2]),
        ({"outcomes": ("failed", "synced"), "limit": 4}, [6, 4, 3, 2]),
        ({"outcomes": ("failed",), "tasks": ("shop/a",)}, [6]),
        ({"since": AT + timedelta(minutes=4)}, [6, 5]),
        ({"until": AT + timedelta(minutes=1)}, [1]),
        ({"since": AT + timedelta(minutes=1), "until": AT + timedelta(minutes=3)}, [3, 2]),
        ({"since": AT + timedelta(minutes=1), "outcomes": ("synced",)}, [4]),
        ({"since": AT + timedelta(minutes=1), "tasks": ("shop/a",)}, [6]),
        ({"since": AT + timedelta(minutes=3), "revisions": ("r2",)}, [4]),
        ({"since": AT + timedelta(days=1)}, []),
        ({"until": AT}, []),
    ],
    ids=str,
)
def test_what_is_wanted_is_found_the_newest_first(filled, wanted, expected):
    assert found(filled, **wanted) == expected


def test_times_of_any_zone_are_compared(filled):
    zone = timezone(timedelta(hours=9))
    assert found(filled, since=(AT + timedelta(minutes=4)).astimezone(zone)) == [6, 5]


def test_a_clock_that_was_set_back_hides_no_row(put, store):
    put(("a", "", ""), ("b", "", ""))
    put(("c", "", ""), at=AT - timedelta(days=1))
    put(("d", "", ""), at=AT + timedelta(days=1))
    assert found(store, since=AT) == [4, 2, 1]
    assert found(store, until=AT) == [3]


def test_a_missing_store_has_no_rows(open_store, path):
    assert found(open_store(read_only=True), revisions=("r1",), outcomes=("failed",), tasks=("shop",)) == []


ROW = st.tuples(
    st.sampled_from(["", "a", "a/b", "a/b/c", "a.b", "b"]),
    st.sampled_from(["", "failed", "synced"]),
    st.sampled_from(["", "r1", "r2"]),
    st.integers(0, 4),
)
WANTED = st.builds(
    Wanted,
    tasks=st.lists(st.sampled_from(["a", "a/b", "b"]), max_size=2).map(tuple),
    since=st.none() | st.integers(0, 4).map(lambda hours: AT + timedelta(hours=hours)),
    until=st.none() | st.integers(0, 4).map(lambda hours: AT + timedelta(hours=hours)),
    revisions=st.lists(st.sampled_from(["r1", "r2"]), max_size=2).map(tuple),
    outcomes=st.lists(st.sampled_from(["failed", "synced"]), max_size=2).map(tuple),
    limit=st.integers(1, 6),
)


def is_wanted(wanted, task, outcome, revision, at) -> bool:
    return (
        (not wanted.tasks or any(task == one or task.startswith(f"{one}/") for one in wanted.tasks))
        and (not wanted.outcomes or outcome in wanted.outcomes)
        and (not wanted.revisions or revision in wanted.revisions)
        and (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROW, max_size=12), wanted=WANTED)
def test_every_question_is_answered_as_by_looking_at_every_row(tmp_path_factory, rows, wanted):
    path = tmp_path_factory.mktemp("any") / "reconciler.db"
    with closing(SqliteStore.open(path, lambda: AT, digest_version=1)) as store:
        with closing(open_for_writing(path)) as database, database.writing():
            for task, outcome, revision, hours in rows:
                entry = Entry("health", task, outcome=outcome, revision=revision)
                journal.append(database, AT + timedelta(hours=hours), entry)
        expected = [
            number
            for number, (task, outcome, revision, hours) in enumerate(rows, 1)
            if is_wanted(wanted, task, outcome, revision, AT + timedelta(hours=hours))
        ]
        assert [entry.sequence for entry, _ in store.search(wanted)] == expected[::-1][: wanted.limit]


@pytest.mark.parametrize(
    ("query", "found_by"),
    [
        ("numbers_of_tasks", "SEARCH journal .*journal_by_task "),
        ("numbers_of_rails", "SEARCH journal .*journal_rails "),
        ("wide_holds", "SEARCH journal .*journal_by_task "),
        ("numbers_of_outcome", "SEARCH journal .*journal_by_outcome "),
        ("numbers_of_revision", "SEARCH journal .*journal_by_revision "),
        ("first_since", "SEARCH journal .*journal_by_time "),
        ("last_until", "SEARCH journal .*journal_by_time "),
        ("revision_after", "SEARCH journal .*journal_by_revision "),
        ("made_for", "SEARCH journal .*journal_by_revision "),
        ("contents_of_ended", "SEARCH told .*told_before "),
        ("drop_content_without_use", "SEARCH told .*told_by_content "),
    ],
)
def test_no_question_reads_a_whole_table(store, path, query, found_by):
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[query]}", defaultdict(str))]
    assert any(re.match(found_by, step) for step in plan), plan


# --- what holds several tasks ----------------------------------------------------------------------------------------


def test_rows_of_rails_are_found_by_the_tasks_that_they_name(store):
    for names in (["shop/a", "b"], ["shop-2"], ["shop"], [], ["shop/\xe4"]):
        store.note("rail", "", {"names": names})
    store.note("policy", "", {"names": ["shop"]})
    store.note("sync", "shop", {})
    assert found(store, tasks=("shop",)) == [7, 5, 3, 1]
    assert found(store, tasks=("shop/a",)) == [1]
    assert found(store, tasks=("shop/\xe4", "b")) == [5, 1]
    assert found(store, tasks=("shop",), limit=2) == [7, 5]
    assert found(store, tasks=("shop",), since=datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert found(store, tasks=("shop",), outcomes=("failed",)) == []
    assert found(store, tasks=("shop",), revisions=("r1",)) == []


def test_rows_of_several_tasks_are_found_by_their_exact_name(store):
    for name in ("*", "*team=shop", "*team=shop/x", "*team=shop-2", "+", "a"):
        store.suspend(name, Suspension("x", None))
    assert found(store, tasks=("a",), also=("*", "*team=shop")) == [6, 2, 1]
    assert store.wide_holds() == {"*", "*team=shop", "*team=shop/x", "*team=shop-2"}


# --- commits ---------------------------------------------------------------------------------------------------------


def commits(store) -> dict[str, Commit | None]:
    """`{kind: commit}`."""
    return {entry.kind: commit for entry, commit in store.search(Wanted())}


def test_an_attempt_its_outcome_and_its_health_have_the_commit_that_touched_the_task(store, intent):
    store.set_head("main", COMMIT.id)
    store.conclude(store.begin(replace(intent("A"), commit=COMMIT)), ACCEPTED)
    store.set_condition("a1", Condition.SYNCED, "")
    assert commits(store) == {"head": None, "intent": COMMIT, "outcome": COMMIT, "health": COMMIT}
    assert store.verify_journal() == 4


def test_health_after_an_adoption_or_of_another_address_has_no_commit(store, intent, snapshot):
    store.conclude(store.begin(replace(intent("A"), commit=COMMIT)), ACCEPTED)
    store.adopt("a1", "shop", snapshot("B"), "r1", "")
    store.set_condition("a1", Condition.FAILED, "EXCEPTION")
    store.conclude(store.begin(intent("A", address="a2")), ACCEPTED)
    store.set_condition("a2", Condition.SYNCED, "")
    assert [commit for _, commit in store.search(Wanted(limit=3))] == [None, None, None]
    assert store.search(Wanted(limit=4))[3] == (store.history(None, 4)[3], None)


def test_rows_without_their_attempt_have_no_commit(store, intent, clock):
    store.conclude(store.begin(replace(intent("A"), commit=COMMIT)), ACCEPTED)
    store.set_condition("a1", Condition.SYNCED, "")
    store.prune(store.rows_after(1)[0].at)
    assert commits(store) == {"outcome": None, "health": None}
    store.prune(clock())
    assert commits(store) == {"health": None}
