"""What keeps tasks and targets back."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.model import Address, Condition, Dimension, Outcome, Suspension
from reconciler.state.queries import QUERIES

OTHER = Address("other", Dimension.NAME, "b1").id


def test_a_suspension_replaces_the_one_before(store):
    until = datetime(2026, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=8)))
    store.suspend("shop", Suspension("freeze", None))
    store.suspend("shop", Suspension("longer freeze", until))
    store.suspend("*", Suspension("all", None))
    assert store.suspensions() == {"*": Suspension("all", None), "shop": Suspension("longer freeze", until)}
    assert store.suspensions()["shop"].until.tzinfo is UTC


def test_resuming_says_whether_there_was_a_suspension(store):
    store.suspend("shop", Suspension("freeze", None))
    assert [store.resume("shop"), store.resume("shop")] == [True, False]
    assert store.suspensions() == {}
    assert [entry.kind for entry in store.history("shop", 9)] == ["resume", "suspend"]


def test_the_last_trouble_of_a_target_is_remembered_until_cleared(store):
    store.set_target_trouble("default", "misconfigured", "401")
    store.set_target_trouble("default", "capability-missing", "Unsupported action")
    assert store.target_trouble() == {"default": ("capability-missing", "Unsupported action")}
    store.set_target_trouble("default", "", "")
    assert store.target_trouble() == {}


def test_releasing_a_target_clears_its_trouble_and_is_on_record(store):
    store.set_target_trouble("default", "stopped", "3 components did not come back")
    assert store.release_target("default", "seen to")
    assert store.target_trouble() == {}
    entry = store.history(None, 1)[0]
    assert (entry.kind, entry.task, entry.detail) == ("release", "", {"target": "default", "reason": "seen to"})


def test_releasing_a_target_leaves_the_others(store):
    store.set_target_trouble("other", "misconfigured", "401")
    assert not store.release_target("default", "seen to")
    assert list(store.target_trouble()) == ["other"]


# --- components that did not come back healthy -------------------------------------------------------------------------


@pytest.fixture
def sick(store, snapshot):
    """Three components of one target, found in these conditions one after the other."""
    found = (Condition.FAILED, "EXCEPTION"), (Condition.UNCONFIRMED, "not seen healthy"), (Condition.SYNCED, "")
    for number, (condition, reason) in enumerate(found):
        address = address_of(number)
        store.adopt(address, f"shop/{number}", snapshot("A"), "r1", "")
        store.set_condition(address, Condition.VERIFYING, "")
        store.set_condition(address, condition, reason)
    return store


def address_of(number: int) -> str:
    return Address("default", Dimension.NAME, f"a{number}").id


START = datetime(2026, 11, 20, tzinfo=UTC)
FOUND = {"shop/0": "EXCEPTION", "shop/1": "not seen healthy"}


def test_those_that_did_not_come_back_healthy_are_told_with_what_was_seen(sick):
    assert sick.unhealthy("default", START) == FOUND


def test_the_moment_asked_for_counts(sick, open_store):
    since = sick.record(address_of(1)).since
    assert open_store(read_only=True).unhealthy("default", since) == {"shop/1": "not seen healthy"}
    assert sick.unhealthy("default", since + timedelta(microseconds=1)) == {}


def test_other_targets_and_addresses_of_no_target_do_not_count(sick, snapshot):
    for address in (OTHER, "no JSON", Address("default.2", Dimension.NAME, "a1").id):
        sick.adopt(address, f"task of {address}", snapshot("A"), "r1", "")
        sick.set_condition(address, Condition.FAILED, "EXCEPTION")
    assert sick.unhealthy("default", START) == FOUND
    assert sick.unhealthy("other", START) == {f"task of {OTHER}": "EXCEPTION"}


@pytest.mark.parametrize(
    "act",
    [
        lambda store, _: store.set_condition(address_of(0), Condition.SYNCED, ""),
        lambda store, intent: store.begin(intent("B", address=address_of(0))),
        lambda store, intent: store.conclude(
            store.begin(intent("B", address=address_of(0))), Outcome(Condition.FAILED, "PARAM_ERROR")
        ),
        lambda store, _: store.retry(address_of(0)),
        lambda store, _: store.forget(address_of(0)),
    ],
    ids=["healthy again", "called again", "refused", "to be tried again", "forgotten"],
)
def test_what_is_no_longer_as_health_found_it_does_not_count(sick, intent, act):
    act(sick, intent)
    assert sick.unhealthy("default", START) == {"shop/1": "not seen healthy"}


def test_after_a_release_only_what_was_found_later_counts(sick):
    sick.release_target("default", "seen to")
    sick.set_condition(address_of(1), Condition.UNCONFIRMED, "the same, said with other words")
    assert sick.unhealthy("default", START) == {}
    sick.set_condition(address_of(2), Condition.FAILED, "EXCEPTION")
    assert sick.unhealthy("default", START) == {"shop/2": "EXCEPTION"}


def test_a_release_of_another_target_changes_nothing(sick):
    sick.release_target("other", "seen to")
    assert sick.unhealthy("default", START) == FOUND


def test_a_task_taken_over_counts_under_its_new_name(sick):
    sick.take_over(address_of(0), "store/0")
    assert sorted(sick.unhealthy("default", START)) == ["shop/1", "store/0"]


def test_looking_for_them_does_not_read_the_whole_journal(sick, path):
    with closing(sqlite3.connect(path)) as connection:
        query = f"EXPLAIN QUERY PLAN {QUERIES['unhealthy']}"
        steps = [row[3] for row in connection.execute(query, {"target": "default", "since": ""})]
    assert any("SEARCH journal USING INDEX journal_unhealthy (at>" in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps)
