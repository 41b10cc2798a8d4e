"""Any edits and any faults, in any order: what must hold when they stop, and what must hold at every call."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.policy import UNKNOWN_ATTEMPTS
from tests.integration.bench import SENTINELS, Bench, documents, name_of

pytestmark = pytest.mark.no_cover  # measuring doubles their time; other tests reach the same lines

KEYS = [
    ("coordinator", "throttleRps"),
    ("coordinator", "throttleIOPS"),
    ("source", "connectionTimeoutSec"),
    ("sink", "workerNum"),
]
REQUIRED = {"source": {"clients", "checkpoint", "dbType"}, "sink": {"jdbcUrl", "username", "password"}}
FAULTS = [
    ("http", {"status": 429}),
    ("http", {"status": 503, "retry_after": 1}),
    ("http", {"status": 500}),
    ("http", {"status": 500, "effect": "after"}),
    ("http", {"status": 403}),
    ("close", {"effect": "after"}),
    ("truncated", {}),
    ("inner_error", {}),
    ("cm_unavailable", {}),
    ("param_error", {}),
    ("exception", {}),
    ("ticket_stuck", {}),
]
TASKS = st.integers(0, 2)

edits = st.one_of(
    st.tuples(st.just("set"), TASKS, st.sampled_from(KEYS), st.sampled_from(["16", "17", "18"])),
    st.tuples(st.just("remove"), TASKS, st.sampled_from(KEYS)),
    st.tuples(st.just("allow"), TASKS, st.booleans()),
    st.tuples(st.just("checkpoint"), TASKS, st.booleans()),
    st.tuples(st.just("break"), TASKS),
    st.tuples(st.just("rotate"), st.sampled_from(["one", "two"])),
)
happenings = st.one_of(
    edits,
    edits,
    st.tuples(st.just("fault"), st.sampled_from(FAULTS), st.integers(1, 4)),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS), st.integers(1, 4)),
    st.tuples(st.just("apply")),
    st.tuples(st.just("apply")),
    st.tuples(st.just("retry")),
    st.tuples(st.just("restart")),
)


class Story:
    """A fleet of three tasks to which things happen."""

    def __init__(self, bench):
        self.bench = bench
        self.allowed = {0: False, 1: True, 2: True}
        self.broken = set()
        self.sent = {number: set() for number in range(3)}  # keys that the component may have got from us
        for number in range(3):
            bench.put(f"t{number}", number, task={"allowDelete": self.allowed[number]})
        self._apply()

    def happen(self, what, *details):
        getattr(self, f"_{what}")(*details)

    def _set(self, number, key, value):
        self.bench.edit(key[0], f"t{number}", **{key[1]: value})

    def _remove(self, number, key):
        self.bench.edit(key[0], f"t{number}", **{key[1]: None})

    def _allow(self, number, allowed):
        self.allowed[number] = allowed
        self.bench.edit("task", f"t{number}", allowDelete=allowed)

    def _checkpoint(self, number, there):
        self.bench.edit("source", f"t{number}", checkpoint="${oms:checkpoint}" if there else None)

    def _break(self, number):
        self.broken.add(number)
        (self.bench.desired / f"t{number}/condition.json").write_bytes(b'{"whiteCondition": [')

    def _rotate(self, value):
        self.bench.environment["SINK"] = f"{SENTINELS['SINK']}-{value}"

    def _fault(self, fault, times):
        kind, parameters = fault
        self.bench.fault(kind, times=times, **parameters)

    def _retry(self):
        for address in self.bench.store.records():
            self.bench.store.retry(address)

    def _restart(self):
        self.bench.reopen()

    def _apply(self):
        self.bench.look_away()
        self.bench.apply()
        for body in self.bench.sent:
            self._check(body)

    def _check(self, body):
        """A deletion only when a key was removed, allowDelete is true and the payload is complete."""
        number = next(number for number in range(3) if name_of(number) == body["key"])
        keys = {(section, key) for section, content in body["config"].items() for key in content}
        if body.get("allowDelete"):
            assert self.allowed[number]
            assert self.sent[number] - keys
            assert all(REQUIRED[section] <= body["config"][section].keys() for section in REQUIRED)
        assert number not in self.broken
        self.sent[number] |= keys - {("source", "checkpoint")}

    def end(self):
        """Faults stop and files are whole again."""
        self.bench.oms.clear_faults()
        for number in self.broken:
            self.bench.write("condition", f"t{number}", documents()["condition"])
        self.broken.clear()
        for number in range(3):
            self._checkpoint(number, True)
        for _ in range(2):
            self._retry()
            self._apply()


@settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(happenings, min_size=3, max_size=14))
def test_fleet_converges_once_edits_and_faults_stop_and_then_nothing_is_called(served, events):
    oms, url, clock = served
    oms.reset()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), oms, url, clock)
        story = Story(bench)
        for event in events:
            story.happen(*event)
        story.end()
        calls = len(oms.calls)
        assert set(bench.actions().values()) == {"noop"}
        assert bench.apply() == {}
        assert len(oms.calls) == calls
        for number in range(3):
            assert_has_what_is_desired(bench, number)
        assert bench.store.verify_journal() == len(bench.kinds())
        assert_kept_no_secret(bench)
        bench.store.close()


def assert_has_what_is_desired(bench, number):
    config = bench.config(number)
    password = {"password": bench.environment["SINK"]}
    for section, secrets in (("coordinator", {}), ("sink", password)):
        desired = bench.read(section, f"t{number}") | secrets
        assert {key: config[section].get(key) for key in desired} == desired


def assert_kept_no_secret(bench):
    written = b"".join(path.read_bytes() for path in bench.database.parent.iterdir() if path.is_file())
    assert not [secret for secret in SENTINELS.values() if secret.encode() in written]


@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(FAULTS), min_size=1, max_size=8))
def test_one_content_is_never_sent_more_often_unanswered_than_allowed(served, faults):
    oms, url, clock = served
    oms.reset()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), oms, url, clock)
        bench.put()
        for kind, parameters in faults:
            bench.fault(kind, **parameters)
        for _ in range(3):
            bench.apply()
        outcomes = Counter(outcome for kind, outcome in bench.kinds() if kind == "outcome")
        assert outcomes["unknown"] <= UNKNOWN_ATTEMPTS
        assert outcomes["verifying"] <= 1
        bench.store.close()
