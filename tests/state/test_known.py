"""What is known of an address beside its attempts."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.model import Condition, Outcome, Record, Suspension

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")


def test_adopting_records_content_without_a_call(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "first sight")
    assert store.records() == {
        "a1": Record(
            address="a1",
            task="shop",
            serial=1,
            digest="digest of A",
            digest_version=1,
            fingerprints={"/sink/password": "print of A"},
            key_id="k1",
            revision="r1",
            applied_at=datetime(2026, 11, 20, 12, 0, 1, 250, tzinfo=UTC),
            condition=Condition.SYNCED,
            reason="",
            since=datetime(2026, 11, 20, 12, 0, 1, 250, tzinfo=UTC),
            attempted=None,
            attempts=0,
            open_intents=0,
            ticket=None,
            request_id=None,
        )
    }
    assert store.record("a1") == store.records()["a1"]
    assert store.applied("a1") == snapshot("A")


def test_adopting_closes_open_intents_and_clears_failures(store, intent, snapshot):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.conclude(store.begin(intent("B")), Outcome(Condition.UNKNOWN, "timeout"))
    store.adopt("a1", "shop", snapshot("C"), "r2", "")
    record = store.record("a1")
    assert (record.condition, record.open_intents, record.attempts, record.attempted) == (Condition.SYNCED, 0, 0, None)
    assert (record.serial, record.ticket, record.request_id) == (3, None, None)
    assert store.candidates("a1") == ()


def test_health_is_recorded_with_the_moment_it_changed(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.set_condition("a1", Condition.FAILED, "EXCEPTION")
    since = store.record("a1").since
    store.set_condition("a1", Condition.FAILED, "EXCEPTION: no space")
    record = store.record("a1")
    assert (record.condition, record.reason, record.since) == (Condition.FAILED, "EXCEPTION: no space", since)


def test_the_same_health_again_writes_nothing(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.set_condition("a1", Condition.UNCONFIRMED, "no answer")
    store.set_condition("a1", Condition.UNCONFIRMED, "no answer")
    assert [entry.kind for entry in store.history(None, 9)] == ["health", "adopt"]


def test_new_fingerprints_keep_the_serial(store, snapshot, open_store):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    open_store(digest_version=2).refingerprint("a1", snapshot("A2", key_id="k2"))
    record = store.record("a1")
    assert (record.serial, record.digest, record.digest_version, record.key_id) == (1, "digest of A2", 2, "k2")
    assert store.applied("a1") == snapshot("A2", key_id="k2")


def test_new_fingerprints_without_stored_content_do_nothing(store, intent, snapshot):
    store.begin(intent("A"))
    store.refingerprint("a1", snapshot("A2"))
    assert store.applied("a1") is None
    assert [entry.kind for entry in store.history(None, 9)] == ["intent"]


def test_a_taken_over_record_stays_the_same_but_for_its_task(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.take_over("a1", "store")
    record = store.record("a1")
    assert (record.task, record.serial, record.digest) == ("store", 1, "digest of A")
    assert store.history("store", 1)[0].detail == {"from": "shop"}


def test_forgetting_drops_record_content_and_intents_but_not_the_journal(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.begin(intent("B"))
    store.forget("a1")
    assert (store.records(), store.applied("a1"), store.candidates("a1")) == ({}, None, ())
    assert [entry.kind for entry in store.history("shop", 9)] == ["forget", "intent", "outcome", "intent"]


@pytest.mark.parametrize(
    "act",
    [
        lambda store, _: store.set_condition("a9", Condition.SYNCED, ""),
        lambda store, _: store.set_component("a9", "c1"),
        lambda store, snapshot: store.refingerprint("a9", snapshot("A")),
        lambda store, _: store.take_over("a9", "shop"),
        lambda store, _: store.forget("a9"),
        lambda store, _: store.retry("a9"),
    ],
    ids=["set_condition", "set_component", "refingerprint", "take_over", "forget", "retry"],
)
def test_an_address_without_a_record_is_left_alone(store, snapshot, act):
    act(store, snapshot)
    assert store.records() == {}
    assert store.history(None, 9) == []


def test_a_component_that_moved_gets_its_new_name_and_keeps_the_rest(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    before = store.record("a1")
    store.set_component("a1", "10.0.0.2-9000:c1")
    store.set_component("a1", "10.0.0.2-9000:c1")
    assert store.record("a1") == replace(before, component="10.0.0.2-9000:c1")
    moves = [entry.detail for entry in store.history("shop", 9) if entry.kind == "moved"]
    assert moves == [{"from": "", "to": "10.0.0.2-9000:c1"}]


def test_suspension_follows_a_record_that_is_taken_over(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.suspend(store.record("a1").task, Suspension("maintenance", None))
    store.take_over("a1", "renamed")
    assert dict(store.suspensions()) == {"renamed": Suspension("maintenance", None)}
