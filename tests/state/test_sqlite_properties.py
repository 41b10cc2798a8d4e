"""What holds after any sequence of operations."""

from contextlib import closing
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import Condition, Outcome
from reconciler.state.sqlite import SqliteStore

ADDRESSES = st.sampled_from(["a1", "a2"])
NAMES = st.sampled_from(["A", "B"])
CONDITIONS = (Condition.VERIFYING, Condition.NOT_VERIFIED, Condition.RETRYING, Condition.UNKNOWN, Condition.FAILED)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), ADDRESSES, NAMES),
        st.tuples(st.just("conclude"), ADDRESSES, st.sampled_from(CONDITIONS)),
        st.tuples(st.just("adopt"), ADDRESSES, NAMES),
        st.tuples(st.just("forget"), ADDRESSES, st.none()),
        st.tuples(st.just("retry"), ADDRESSES, st.none()),
    ),
    max_size=20,
)


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
