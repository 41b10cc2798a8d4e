from datetime import timedelta

import pytest

from reconciler.core import canonical
from reconciler.core.status import State, TaskStatus
from reconciler.errors import StateStoreError
from reconciler.events import StateChanged, TaskGone
from reconciler.state.sqlite import SqliteStore
from reconciler.states import Finding, States
from tests.integration.clocks import FakeClock
from tests.integration.engine import FaultyStore

LABELS = {"team": "shop"}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(tmp_path, clock):
    opened = SqliteStore.open(tmp_path / "state" / "db", clock.now, digest_version=canonical.VERSION)
    yield FaultyStore(opened)
    opened.close()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def states(store, clock, heard):
    return States(store, clock, heard.append)


def finding(task="shop", state=State.SYNCED, reason="no difference", content="c1", since=None, **more):
    members = {"next_step": "", "until": None, "revision": "r1", "ticket": None, "request_id": None} | more
    return Finding(TaskStatus(task=task, state=state, since=since, reason=reason, **members), LABELS, content)


def told(heard):
    """What was told since this was asked last: (task, before, state)."""
    found = [
        (event.task, event.before.value, "gone")
        if isinstance(event, TaskGone)
        else (event.status.task, event.before and event.before.value, event.status.state.value)
        for event in heard
    ]
    heard.clear()
    return found


# --- what is told --------------------------------------------------------------------------------------------------


def test_first_sight_is_told_without_a_state_before(states, heard):
    states.put([finding()])
    assert told(heard) == [("shop", None, "synced")]


def test_event_has_everything_that_was_found(states, heard, clock):
    found = finding(state=State.BLOCKED, reason="why", next_step="do", ticket=7, request_id="r")
    states.put([found])
    (event,) = heard
    assert event == StateChanged(TaskStatus(**vars_of(found.status) | {"since": clock.now()}), None, LABELS, "c1")


def vars_of(status):
    return {name: getattr(status, name) for name in TaskStatus.__slots__}


def test_what_stays_is_told_once(states, heard):
    for _ in range(3):
        states.put([finding()])
    assert len(told(heard)) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"state": State.BLOCKED}, id="state"),
        pytest.param({"reason": "another"}, id="reason"),
        pytest.param({"content": "c2"}, id="content"),
    ],
)
def test_another_state_reason_or_content_is_news(states, heard, change):
    states.put([finding()])
    told(heard)
    states.put([finding(**change)])
    ((task, before, _),) = told(heard)
    assert (task, before) == ("shop", "synced")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"next_step": "wait"}, id="next step"),
        pytest.param({"until": FakeClock().now()}, id="until"),
        pytest.param({"revision": "r2"}, id="revision"),
        pytest.param({"ticket": 8, "request_id": "x"}, id="ticket"),
    ],
)
def test_what_else_changes_is_remembered_and_no_news(states, store, heard, change):
    states.put([finding()])
    told(heard)
    states.put([finding(**change)])
    assert told(heard) == []
    assert {name: getattr(store.states()["shop"], name) for name in change} == change


def test_task_that_is_gone_is_told_once(states, heard, store):
    states.put([finding(state=State.FAILED)])
    told(heard)
    states.put([], ["shop"])
    states.put([], ["shop"])
    assert (told(heard), dict(store.states())) == ([("shop", "failed", "gone")], {})


def test_name_that_never_was_a_task_is_not_told_to_be_gone(states, heard):
    states.put([], [".", "folder"])
    assert told(heard) == []


def test_task_that_comes_back_is_new(states, heard):
    states.put([finding()])
    states.put([], ["shop"])
    told(heard)
    states.put([finding()])
    assert told(heard) == [("shop", None, "synced")]


# --- since when ----------------------------------------------------------------------------------------------------


def test_state_is_as_old_as_its_first_finding(states, store, clock):
    began = clock.now()
    states.put([finding(state=State.BLOCKED)])
    clock.advance_to(60.0)
    states.put([finding(state=State.BLOCKED, reason="another")])
    assert store.states()["shop"].since == began


def test_other_state_begins_now(states, store, clock):
    states.put([finding()])
    clock.advance_to(clock.monotonic() + 60.0)
    states.put([finding(state=State.INVALID)])
    assert store.states()["shop"].since == clock.now()


def test_time_of_the_record_counts_where_there_is_one(states, store, clock):
    since = clock.now() - timedelta(days=3)
    states.put([finding(state=State.FAILED, since=since)])
    assert store.states()["shop"].since == since


# --- restart -------------------------------------------------------------------------------------------------------


def test_since_and_reason_outlive_a_restart(states, store, clock):
    states.put([finding(state=State.BLOCKED, reason="why")])
    before = dict(store.states())
    clock.advance_to(clock.monotonic() + 60.0)
    States(store, clock, lambda _event: None).put([finding(state=State.BLOCKED, reason="why")])
    assert dict(store.states()) == before


def test_first_look_after_a_restart_tells_each_task_with_the_state_it_had(states, store, clock, heard):
    states.put([finding("a"), finding("b", State.FAILED)])
    told(heard)
    again = States(store, clock, heard.append)
    again.put([finding("a"), finding("b")])
    again.put([finding("a"), finding("b")])
    assert told(heard) == [("a", "synced", "synced"), ("b", "failed", "synced")]


def test_task_that_went_while_the_daemon_was_away_is_told(states, store, clock, heard):
    states.put([finding("a"), finding("b")])
    told(heard)
    again = States(store, clock, heard.append)
    assert again.names() == {"a", "b"}
    again.put([finding("a")], ["b"])
    assert told(heard) == [("a", "synced", "synced"), ("b", "synced", "gone")]


def test_new_listeners_are_told_everything_again(states, heard):
    states.put([finding()])
    told(heard)
    states.tell_anew()
    for _ in range(2):
        states.put([finding()])
    assert told(heard) == [("shop", "synced", "synced")]


# --- a store that fails --------------------------------------------------------------------------------------------


def fails(states, store, *arguments):
    store.failing.add("put_states")
    with pytest.raises(StateStoreError):
        states.put(*arguments)
    store.failing.clear()


def test_what_cannot_be_written_down_is_told_once_all_the_same(states, store, heard):
    fails(states, store, [finding()])
    states.put([finding()])
    assert told(heard) == [("shop", None, "synced")]


def test_what_could_not_be_written_down_is_with_the_next_look(states, store):
    fails(states, store, [finding("a"), finding("b", State.FAILED)])
    states.put([finding("a")])
    assert {task: row.state for task, row in store.states().items()} == {"a": "synced", "b": "failed"}


def test_only_the_last_word_is_written_down(states, store, heard):
    states.put([finding()])
    fails(states, store, [finding(state=State.FAILED)])
    fails(states, store, [finding(state=State.BLOCKED)])
    states.put([])
    assert (store.states()["shop"].state, len(told(heard))) == ("blocked", 3)


def test_first_look_after_a_restart_is_told_once_though_the_store_fails(states, store, clock, heard):
    states.put([finding("a")])
    told(heard)
    again = States(store, clock, heard.append)
    fails(again, store, [finding("a"), finding("b")])
    again.put([finding("a"), finding("b")])
    assert told(heard) == [("a", "synced", "synced"), ("b", None, "synced")]


def test_task_that_went_while_the_store_failed_is_forgotten_with_the_next_look(states, store, heard):
    states.put([finding()])
    told(heard)
    fails(states, store, [], ["shop"])
    assert (told(heard), set(store.states())) == ([("shop", "synced", "gone")], {"shop"})
    states.put([])
    assert (dict(store.states()), told(heard)) == ({}, [])


def test_task_that_comes_back_while_the_store_fails_is_kept(states, store):
    states.put([finding()])
    fails(states, store, [], ["shop"])
    states.put([finding(state=State.INVALID)])
    assert store.states()["shop"].state == "invalid"


def test_a_state_that_comes_back_without_a_word_in_the_record_is_as_old_as_its_return(states, store, clock):
    long_ago = clock.now() - timedelta(minutes=9)
    states.put([finding(since=long_ago)])
    states.put([finding(state=State.APPLYING)])  # a reset: the record is the same before and after
    back = clock.now()
    states.put([finding(since=long_ago)])
    assert store.states()["shop"].since >= back
    said = store.states()["shop"].since
    states.put([finding(since=long_ago, reason="again")])
    assert store.states()["shop"].since == said


# --- counts --------------------------------------------------------------------------------------------------------


def test_tasks_are_counted_by_state(states):
    states.put([finding("a"), finding("b"), finding("c", State.FAILED)])
    states.put([finding("b", State.INVALID)], ["c"])
    counts = states.counts()
    assert set(counts) == set(State)
    assert {state: number for state, number in counts.items() if number} == {State.SYNCED: 1, State.INVALID: 1}


def test_counts_of_the_last_run_are_there_before_the_first_look(states, store, clock):
    states.put([finding("a", State.FAILED)])
    assert States(store, clock, lambda _event: None).counts()[State.FAILED] == 1
