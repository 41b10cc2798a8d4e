"""What the daemon said of tasks, and to whom."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import TaskState

SINCE = datetime(2026, 11, 20, 12, 0, 0, 250, tzinfo=UTC)
SHOP = TaskState(
    task="shop/orders",
    state="blocked",
    since=SINCE,
    reason="windows: deny window office-hours",
    next_step="wait",
    until=datetime(2026, 11, 20, 22, 0, tzinfo=UTC),
    revision="r1",
    ticket=2**64,
    request_id="req-1",
    content="d1",
)
PLAIN = TaskState("bank", "synced", SINCE, "", "", None, "", None, None, "")


def test_what_was_said_of_a_task_is_read_as_it_was_put(store, open_store):
    store.put_states([SHOP, PLAIN])
    assert open_store(read_only=True).states() == {"bank": PLAIN, "shop/orders": SHOP}
    assert list(store.states()) == ["bank", "shop/orders"]


def test_a_state_replaces_the_one_before_and_leaves_the_others(store):
    store.put_states([SHOP, PLAIN])
    synced = replace(SHOP, state="synced", until=None, ticket=None)
    store.put_states(iter([synced]))
    assert store.states() == {"bank": PLAIN, "shop/orders": synced}


def test_tasks_that_are_gone_have_no_state(store):
    store.put_states([SHOP, PLAIN])
    store.put_states([], iter(["shop/orders", "never heard of"]))
    assert store.states() == {"bank": PLAIN}


def test_a_task_that_is_said_to_be_gone_and_changed_has_changed(store):
    store.put_states([SHOP], ["shop/orders"])
    assert store.states() == {"shop/orders": SHOP}


def test_states_leave_no_rows_in_the_journal(store):
    store.put_states([SHOP], ["bank"])
    store.set_notified("mail", "shop", "failed d1")
    assert store.last_sequence() == 0


def test_states_are_put_all_or_none(store):
    store.put_states([PLAIN])
    with pytest.raises(StateStoreError):
        store.put_states([replace(PLAIN, state="failed"), replace(SHOP, state=None)])
    assert store.states() == {"bank": PLAIN}


def test_nothing_to_say_writes_nothing(open_store, store):
    open_store(read_only=True).put_states([], [])


def test_each_channel_has_marks_of_its_own(store):
    store.set_notified("mail", "task shop", "failed d1")
    store.set_notified("mail", "target default", "stopped")
    store.set_notified("chat", "task shop", "synced d1")
    assert store.notified("mail") == {"target default": "stopped", "task shop": "failed d1"}
    assert store.notified("chat") == {"task shop": "synced d1"}
    assert store.notified("pager") == {}


def test_a_mark_replaces_the_one_before_until_it_is_forgotten(store):
    store.set_notified("mail", "shop", "failed d1")
    store.set_notified("mail", "shop", "synced d2")
    assert store.notified("mail") == {"shop": "synced d2"}
    store.set_notified("mail", "shop", "")
    assert store.notified("mail") == {}
