"""One event of each sort, for the tests of logs and of what is written about them."""

from datetime import UTC, datetime

from reconciler.core.status import State, TaskStatus
from reconciler.events import (
    CallEnded,
    CallStarted,
    FetchEnded,
    HeadChanged,
    HookAnswered,
    ItemEnded,
    Moved,
    Notice,
    PassEnded,
    StateChanged,
    TargetChanged,
    TaskGone,
)
from reconciler.model import Commit, Head

COMMIT = Commit("1f2e3d4c" + "0" * 32, "Ann", datetime(2026, 7, 1, tzinfo=UTC), "Raise throttle")
UNTIL = datetime(2026, 7, 2, 20, tzinfo=UTC)


def status(state, task="shop/orders", **members):
    base = {"since": None, "reason": "because", "next_step": "", "until": None, "revision": "1f2e"}
    return TaskStatus(**{"task": task, "state": state, "ticket": None, "request_id": None, **base, **members})


def changed(state, before=State.APPLYING, **members):
    return StateChanged(status(state, **members), before, {}, "digest")


def ended(outcome, **members):
    base = {"seconds": 0.1234, "component": "oms-1-2", "revision": "1f2e", "plan": "p1"}
    return CallEnded("shop/orders", "default", "update", outcome, **{**base, **members})


EXAMPLES = [
    changed(State.FAILED, next_step="reconciler retry shop/orders", until=UNTIL),
    TaskGone("shop/orders", State.SYNCED),
    CallStarted("shop/orders", "default", "update", "oms-1-2", 1, "1f2e", "p1"),
    ended("accepted", ticket=7, request_id="abc"),
    ItemEnded("shop/orders", "default", "update", "pending", "busy", 7, "abc", 2.5),
    PassEnded("event", 3, 0.1),
    TargetChanged("default", "unreachable", "connection refused"),
    Moved("shop/orders", "oms-1-2", "oms-9-2"),
    HeadChanged(Head("main", COMMIT, "a" * 40, "rewritten", "it was rewritten"), 3),
    FetchEnded(0.25, "no route"),
    HookAnswered("refused"),
    Notice("warning", "watch", "the queue of the kernel overflowed; everything is looked at again"),
]
