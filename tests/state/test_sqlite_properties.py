"""What holds after any sequence of operations."""

from contextlib import ExitStack, closing
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import Condition, Outcome
from reconciler.state.sqlite import SqliteStore

ADDRESSES = st.sampled_from(["a1", "a2"])
NAMES = st.sampled_from(["A", "B"])
CONDITIONS = (Condition.VERIFYING, Condition.NOT_VERIFIED, Condition.RETRYING, Condition.UNKNOWN, Condition.FAILED)
STEP = st.one_of(
    st.tuples(st.just("begin"), ADDRESSES, NAMES),
    st.tuples(st.just("conclude"), ADDRESSES, st.sampled_from(CONDITIONS)),
    st.tuples(st.just("adopt"), ADDRESSES, NAMES),
    st.tuples(st.just("forget"), ADDRESSES, st.none()),
    st.tuples(st.just("retry"), ADDRESSES, st.none()),
    st.tuples(st.just("health"), ADDRESSES, st.sampled_from([Condition.SYNCED, Condition.FAILED])),
    st.tuples(st.just("move"), ADDRESSES, NAMES),
    st.tuples(st.just("take over"), ADDRESSES, NAMES),
    st.tuples(st.just("refingerprint"), ADDRESSES, NAMES),
    st.tuples(st.just("prune"), st.none(), st.none()),
)
STEPS = st.lists(STEP, max_size=20)


def carry_out(store, step, numbers, intent, snapshot):
    """One step; *numbers* are those of the last intent of each address, as long as it has no clear outcome."""
    name, address, value = step
    if name == "begin":
        numbers[address] = store.begin(intent(value, address=address))
    elif name == "conclude" and address in numbers:
        store.conclude(numbers[address], Outcome(value, "" if value in CONDITIONS[:2] else "why"))
    elif name == "adopt":
        store.adopt(address, "shop", snapshot(value), "r", "")
    elif name == "forget":
        store.forget(address)
        numbers.pop(address, None)
    elif name == "retry":
        store.retry(address)
    elif name == "prune":
        store.prune(datetime.now(UTC))
        kept = {entry.sequence for entry in store.rows_after(0)}
        for begun in [begun for begun, number in numbers.items() if number not in kept]:
            del numbers[begun]  # set aside, and its call over: rows of open intents are kept
    else:
        carry_out_more(store, name, address, value, snapshot)


def carry_out_more(store, name, address, value, snapshot):
    """Steps that begin and end no attempt."""
    if name == "health":
        store.set_condition(address, value, "as it was seen")
    elif name == "move":
        store.set_component(address, value)
    elif name == "take over":
        store.take_over(address, value)
    elif name == "refingerprint":
        store.refingerprint(address, snapshot(value))


def check_step(store, step, before, numbers):
    """What must hold after one step, given the records before it."""
    name, address, value = step
    records = store.records()
    for known, record in records.items():
        earlier = before.get(known)
        assert record.serial >= (earlier.serial if earlier else 0)
        assert record.open_intents == len(store.candidates(known))
        assert record.attempts <= record.open_intents
        assert (record.digest is None) == (store.applied(known) is None)
    if name in ("begin", "adopt"):
        assert records[address].serial == (before[address].serial if address in before else 0) + 1
    if name == "adopt" or (name == "conclude" and value in CONDITIONS[:2] and address in numbers):
        assert records[address].open_intents == 0
    if name == "conclude" and value is Condition.UNKNOWN and address in numbers:
        assert records[address].open_intents > 0 or before[address].open_intents == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_invariants_hold_after_any_sequence(tmp_path_factory, intent, snapshot, steps):
    path = tmp_path_factory.mktemp("any") / "reconciler.db"
    numbers: dict[str, int] = {}
    with closing(SqliteStore.open(path, lambda: datetime.now(UTC), digest_version=1)) as store:
        for step in steps:
            before = store.records()
            carry_out(store, step, numbers, intent, snapshot)
            check_step(store, step, before, numbers)
            if step[0] == "conclude" and step[2] is not Condition.UNKNOWN:  # an intent ends once
                numbers.pop(step[1], None)
        assert store.verify_journal() == len(store.history(None, 999))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(STEP, st.booleans(), st.booleans()), max_size=20))
def test_records_in_memory_equal_those_in_the_database(tmp_path_factory, intent, snapshot, steps):
    """Two stores on one file, as two processes have them: either writes, either may look or not."""
    path = tmp_path_factory.mktemp("two") / "reconciler.db"
    numbers: dict[str, int] = {}
    with ExitStack() as stack:
        first, second = (stack.enter_context(closing(open_store(path))) for _ in range(2))
        for step, by_second, is_looked_at in steps:
            carry_out(second if by_second else first, step, numbers, intent, snapshot)
            if step[0] == "conclude":
                numbers.pop(step[1], None)
            if is_looked_at:
                assert first.records() == freshly_read(path)
        assert first.records() == second.records() == freshly_read(path)
        assert list(first.records()) == sorted(first.records())


def open_store(path):
    return SqliteStore.open(path, lambda: datetime.now(UTC), digest_version=1)


def freshly_read(path):
    with closing(open_store(path)) as store:
        return store.records()
