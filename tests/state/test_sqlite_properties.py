"""What holds after any sequence of operations."""

from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import Approval, Condition, Outcome, ResetEntry, ResetKey, Stage
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
    st.tuples(st.just("approve"), ADDRESSES, NAMES),
    st.tuples(st.just("disapprove"), ADDRESSES, NAMES),
    st.tuples(st.just("reset"), ADDRESSES, st.tuples(NAMES, st.sampled_from([Stage.PENDING, Stage.SENDING]))),
)
STEPS = st.lists(STEP, max_size=20)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def carry_out(store, step, numbers, intent, snapshot):
    """One step; *numbers* are those of the last intent of each address, as long as it has no clear outcome."""
    name, address, value = step
    if name == "begin":
        numbers[address] = store.begin(replace(intent(value, address=address), content_id=content_id(address, value)))
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
    elif name == "approve":
        store.approve(approval(address, value))
    elif name == "disapprove":
        store.disapprove(content_id(address, value), "")
    elif name == "reset":
        content, stage = value
        entry = reset(address, content, stage)
        found = store.reset(entry.key)
        assert store.move_reset(entry, found and found.stage)


def content_id(address, name):
    return f"{name} at {address}"


def approval(address, name):
    until = AT + timedelta(days=9999)
    return Approval(content_id(address, name), "shop", address, "plan-1", "update", (), "", "ann", AT, until)


def reset(address, name, stage):
    key = ResetKey("default", "np_1", False, f"of {address}")
    return ResetEntry(key, "digest", "shop", address, 5, stage, AT, content_id=content_id(address, name))


def check_approvals(step, before, after, concluded):
    """Nothing is approved by itself, and approvals go only when it is said so, or with what they were given for.

    Args:
        step: what was carried out.
        before: contents that were approved before it.
        after: those that are by now.
        concluded: content of the attempt that it may have concluded; None when there was none.
    """
    name, address, value = step
    succeeded = name == "conclude" and concluded is not None and value in CONDITIONS[:2]
    gone = before - after
    assert after - before <= ({content_id(address, value)} if name == "approve" else set())
    assert all(content.endswith(str(address)) for content in gone)
    if name == "disapprove":
        assert gone <= {content_id(address, value)}
    elif name == "reset":
        assert gone <= {content_id(address, value[0])}
        may_be_sent = (Stage.PERHAPS_SENT, Stage.PENDING, Stage.STOPPING, Stage.SENDING)
        assert value[1] in may_be_sent or content_id(address, value[0]) not in after
    elif succeeded:
        assert concluded not in after
    else:
        assert name == "forget" or not gone


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_approvals_go_when_used_up_or_taken_back_and_resets_never(tmp_path_factory, intent, snapshot, steps):
    path = tmp_path_factory.mktemp("said") / "reconciler.db"
    numbers: dict[str, int] = {}
    with closing(open_store(path)) as store:
        for step in steps:
            before, resets, concluded = set(store.approvals()), store.resets(), content_of(store, numbers.get(step[1]))
            carry_out(store, step, numbers, intent, snapshot)
            check_approvals(step, before, set(store.approvals()), concluded)
            assert set(resets) <= set(store.resets())
            if step[0] == "conclude" and step[2] is not Condition.UNKNOWN:
                numbers.pop(step[1], None)


def content_of(store, number):
    return next((row.detail["content"] for row in store.rows_after(0) if row.sequence == number), None)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(STEP, st.booleans(), st.booleans()), max_size=20))
def test_what_is_in_memory_equals_what_is_in_the_database(tmp_path_factory, intent, snapshot, steps):
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
                assert all_of(first) == freshly_read(path)
        assert all_of(first) == all_of(second) == freshly_read(path)
        assert list(first.records()) == sorted(first.records())


def all_of(store):
    return store.records(), store.approvals(), store.resets()


def open_store(path):
    return SqliteStore.open(path, lambda: datetime.now(UTC), digest_version=1)


def freshly_read(path):
    with closing(open_store(path)) as store:
        return all_of(store)
