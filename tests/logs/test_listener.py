import json
import threading

import pytest

from reconciler.core.status import State, TaskStatus
from reconciler.events import CallEnded, CallStarted, Notice, PassEnded, StateChanged
from reconciler.logs import LogListener
from reconciler.logs.limit import BURST_LINES, REPEAT_S


def changed(task, state, before=State.SYNCED, reason="target unreachable"):
    return StateChanged(TaskStatus(task, state, None, reason, "", None, "", None, None), before, {}, "digest")


@pytest.fixture
def listener(time):
    return LogListener(time)


def events(lines):
    return [json.loads(line)["event"] for line in lines]


def test_an_event_is_a_line(written, listener):
    lines = written("json")
    listener(changed("shop/orders", State.FAILED))
    assert json.loads(lines()[0]) == {
        "ts": "2026-07-02T01:04:05.678Z",
        "level": "error",
        "event": "shop/orders is failed",
        "kind": "state-changed",
        "reason": "target unreachable",
        "task": "shop/orders",
        "state": "failed",
        "before": "synced",
    }


def test_ten_thousand_tasks_in_trouble_are_a_few_lines(written, listener):
    lines = written("json")
    for number in range(10_000):
        listener(changed(f"t{number}", State.BLOCKED))
    listener(PassEnded("event", 10_000, 3.0))
    said = events(lines())
    assert len(said) == BURST_LINES + 1
    assert said[-1] == '9,980 more lines of "state-changed blocked" were left out'


def test_a_start_is_summed_up(written, listener):
    lines = written("json")
    for number in range(1_000):
        listener(changed(f"t{number}", State.SYNCED, before=None))
    listener(changed("bad", State.INVALID, before=None))
    listener(PassEnded("start", 1_001, 2.0))
    said = [json.loads(line) for line in lines()]
    assert [each["event"] for each in said] == [
        "bad is invalid",
        "looked at 1,001 tasks after the start",
        "looked at 1,001 tasks",
    ]
    assert said[1]["reason"] == "1,000 synced, 1 invalid"


def test_what_comes_after_the_start_is_seen_for_the_first_time(written, listener):
    lines = written("json")
    for task in ("known", "new"):
        listener(changed(task, State.SYNCED, before=None))
        listener(PassEnded("event", 1, 2.0))
    assert [event for event in events(lines()) if "first" in event or "start" in event] == [
        "looked at 1 task after the start",
        "saw 1 task for the first time",
    ]


def test_lines_below_the_level_take_no_room_in_a_burst(written, listener, time):
    lines = written("json", "info")
    for number in range(100):
        listener(changed(f"t{number}", State.SYNCED, before=None))
    listener(changed("edited", State.SYNCED, before=State.VERIFYING))
    assert events(lines()) == ["edited is synced"]


def test_a_pass_that_works_again_is_said(written, listener):
    lines = written("json")
    for event in (PassEnded("event", 0, 0.1, problem="no such directory"), PassEnded("event", 3, 0.1)):
        listener(event)
        listener(event)
    assert events(lines()) == ["the tasks could not be looked at", "the tasks are looked at and sent again"]


def test_a_refusal_is_said_again_for_a_new_revision(written, listener):
    lines = written("json")
    for revision in ("r1", "r1", "r2"):
        listener(CallStarted("t", "default", "update", "c", 1, revision, "p"))
        listener(CallEnded("t", "default", "update", "failed", 0.1, "c", revision, "p", message="refused"))
    assert events(lines()) == ["t: update is sent to c", "t: update was refused"] * 2


def test_what_was_left_out_is_said_without_another_event(written, listener, time):
    lines = written("json")
    for _ in range(3):
        listener(Notice("warning", "watch", "queue overflow"))
    time.seconds = REPEAT_S
    listener.flush()
    assert events(lines()) == ["queue overflow", "queue overflow (said 2 times more within 10 min)"]


def test_threads_lose_no_line(written, listener):
    lines = written("json")

    def call(number):
        for turn in range(50):
            listener(CallEnded(f"t{number}", "default", "update", "accepted", 0.1, "c", f"r{turn}", "p"))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(lines())) == 400


def test_the_journal_gets_fields_to_search_by(entries, listener):
    listener(CallEnded("shop/orders", "dc1", "update", "accepted", 0.25, "c", "1f2e", "p1", 7, "abc"))
    assert entries == [
        {
            "MESSAGE": "shop/orders: update was accepted",
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": "reconciler",
            "KIND": "call-ended",
            "TASK": "shop/orders",
            "TARGET": "dc1",
            "COMPONENT": "c",
            "OUTCOME": "accepted",
            "SECONDS": "0.25",
            "TICKET": "7",
            "REQUEST_ID": "abc",
            "REVISION": "1f2e",
            "PLAN": "p1",
        }
    ]
