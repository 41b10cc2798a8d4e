"""What was told at any row, after any sequence of operations, compared with a model that forgets nothing."""

from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome
from reconciler.state.sqlite import SqliteStore
from tests.state.conftest import TickingClock

ADDRESSES = st.sampled_from(["a1", "a2"])
TASKS = st.sampled_from(["shop", "store"])
NAMES = st.sampled_from(["A", "B", "C"])
CONDITIONS = st.sampled_from([Condition.VERIFYING, Condition.UNKNOWN, Condition.FAILED])
STEP = st.one_of(
    st.tuples(st.just("adopt"), ADDRESSES, TASKS, NAMES),
    st.tuples(st.just("begin"), ADDRESSES, TASKS, NAMES),
    st.tuples(st.just("conclude"), st.integers(0, 9), CONDITIONS),
    st.tuples(st.just("take_over"), ADDRESSES, TASKS),
    st.tuples(st.just("forget"), ADDRESSES),
    st.tuples(st.just("refingerprint"), ADDRESSES, NAMES),
    st.tuples(st.just("set_head"), st.sampled_from(["main", "trial"]), st.sampled_from(["1" * 40, "2" * 40])),
    st.tuples(st.just("prune"), st.integers(0, 30)),
)


@dataclass
class Attempt:
    address: str
    name: str
    closed: bool = False


@dataclass
class Content:
    """One that is replaced in place when only its form changes."""

    name: str


@dataclass
class Model:
    """What is known, and what was told after each row of the journal."""

    row: int = 0  # number of the next row
    told: dict[str, tuple[str, Content]] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)  # of each record
    open: dict[int, Attempt] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)  # numbers of all intents
    heads: list[tuple[int, str, str]] = field(default_factory=list)  # (row, ref, commit)
    states: dict[int, dict[str, tuple[str, Content]]] = field(default_factory=lambda: {0: {}})

    def adopt(self, address, task, name):
        self.tasks[address] = task
        self.told[address] = (task, Content(name))
        for one in self.open.values():
            one.closed = one.closed or one.address == address

    def begin(self, address, task, name):
        self.tasks[address] = task
        self.rename(address, task)
        self.open = {number: one for number, one in self.open.items() if one.address != address or not one.closed}
        self.open[self.row] = Attempt(address, name)
        self.begun.append(self.row)

    def conclude(self, number, condition):
        one = self.open.get(number)
        if one is None:
            return
        if condition is Condition.VERIFYING:
            self.told[one.address] = (self.tasks[one.address], Content(one.name))
            self.open = {n: other for n, other in self.open.items() if other.address != one.address or n > number}
        elif condition is Condition.UNKNOWN:
            one.closed = False
        else:
            del self.open[number]

    def take_over(self, address, task):
        if address in self.tasks:
            self.tasks[address] = task
            self.rename(address, task)

    def rename(self, address, task):
        if address in self.told and self.told[address][0] != task:
            self.told[address] = (task, replace(self.told[address][1]))

    def forget(self, address):
        self.tasks.pop(address, None)
        self.told.pop(address, None)
        self.open = {number: one for number, one in self.open.items() if one.address != address}

    def refingerprint(self, address, name):
        if address in self.told:
            self.told[address][1].name = name

    def set_head(self, ref, commit):
        if not self.heads or self.heads[-1][1:] != (ref, commit):
            self.heads.append((self.row, ref, commit))


def carry_out(store, model, step, intent, snapshot):
    """One step on both; every step writes one row or none."""
    kind, *values = step
    if kind == "prune":
        rows = store.rows_after(values[0])
        store.prune(rows[0].at if rows else TickingClock().at)
        return
    if kind == "conclude":
        numbers = [number for number in model.begun if number > store.dropped_rows()]
        if not numbers:
            return
        values[0] = numbers[values[0] % len(numbers)]
    model.row = store.last_sequence() + 1
    getattr(model, kind)(*values)
    do(store, kind, values, intent, snapshot)
    model.states[store.last_sequence()] = dict(model.told)


def do(store, kind, values, intent, snapshot):
    if kind == "adopt":
        store.adopt(*values[:2], snapshot(values[2]), "", "")
    elif kind == "begin":
        store.begin(replace(intent(values[2], address=values[0], task=values[1]), revision=""))
    elif kind == "conclude":
        store.conclude(values[0], Outcome(values[1], ""))
    elif kind == "refingerprint":
        store.refingerprint(values[0], snapshot(values[1]))
    else:
        getattr(store, kind)(*values)


def answers(store, row):
    return {one.address: (one.task, store.told_content(one)["sink"]["name"]) for one in store.told(row)}


def check(store, model):
    dropped, newest = store.dropped_rows(), store.last_sequence()
    for row in range(dropped + 1 if dropped else 0, newest + 1):
        assert answers(store, row) == {
            address: (task, content.name) for address, (task, content) in model.states[row].items()
        }
    if dropped:
        with pytest.raises(StateStoreError, match="was dropped"):
            store.told(dropped)
    for commit in {commit for row, _, commit in model.heads if row > dropped}:
        assert store.moment(commit).sequence == last_of(commit, model, newest)


def last_of(commit, model, newest) -> int:
    """Number of the last row of a commit's last time."""
    begun = max(row for row, _, one in model.heads if one == commit)
    return min((row - 1 for row, _, one in model.heads if row > begun and one != commit), default=newest)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, max_size=25))
def test_what_was_told_at_any_row_is_what_a_model_says(tmp_path_factory, intent, snapshot, steps):
    path, model = tmp_path_factory.mktemp("told") / "reconciler.db", Model()
    with closing(SqliteStore.open(path, TickingClock(), digest_version=1)) as store:
        for step in steps:
            carry_out(store, model, step, intent, snapshot)
        check(store, model)
        assert store.verify_journal() == store.last_sequence() - store.dropped_rows()
