"""Nobody's deletion, reset or protected change: whatever is edited, approved, revoked, expires, fails or is started anew."""

import json
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.ledger import digest_of, key_of
from reconciler.core.policy import Mode
from reconciler.jobs import Status
from reconciler.model import Action, Approval, ResetEntry, Stage
from reconciler.source import DirectorySource
from tests.integration.bench import VALIDATOR, Bench, name_of
from tests.integration.test_properties import FAULTS, KEYS

pytestmark = pytest.mark.no_cover  # measuring doubles their time; other tests reach the same lines

DAY_S = 86_400.0
TASKS = st.integers(0, 2)
PROTECTED = ("sink", "workerNum")
SPENT = (Status.APPLIED, Status.UNCONFIRMED)
RULES = {"approve_deletions": True, "resets": {"default": ""}, "retention_s": {"default": 30 * DAY_S}}

ordinary = st.one_of(
    st.tuples(st.just("set"), TASKS, st.sampled_from(KEYS), st.sampled_from(["16", "17", "18"])),
    st.tuples(st.just("remove"), TASKS, st.sampled_from(KEYS)),
    st.tuples(st.just("remove"), TASKS, st.sampled_from(KEYS)),
    st.tuples(st.just("protect"), TASKS, st.booleans()),
    st.tuples(st.just("declare"), TASKS, st.sampled_from(["r1", "r2"]), st.sampled_from([1, 2])),
    st.tuples(st.just("resolve")),
    st.tuples(st.just("approve"), TASKS),
    st.tuples(st.just("approve"), TASKS),
    st.tuples(st.just("revoke"), TASKS),
    st.tuples(st.just("expire")),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS), st.integers(1, 3)),
    st.tuples(st.just("lose"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("apply")),
    st.tuples(st.just("retry")),
    st.tuples(st.just("restart")),
)


@st.composite
def chains(draw):
    """What leads to a call when nothing comes between: an edit, what has to be said about it, and `apply`."""
    number, key = draw(TASKS), draw(st.sampled_from(KEYS))
    begin = draw(
        st.sampled_from(
            [
                [("set", number, key, "19")],
                [("remove", number, key)],
                [("protect", number, True), ("remove", number, PROTECTED)],
                [("declare", number, draw(st.sampled_from(["r1", "r2"])), 2), ("resolve",)],
            ]
        )
    )
    return [*begin, ("approve", number), ("apply",)]


@st.composite
def stories(draw):
    """Chains, and what comes between the steps of each."""
    events = []
    for step in (step for chain in draw(st.lists(chains(), min_size=1, max_size=4)) for step in chain):
        events += [step, *draw(st.lists(ordinary, max_size=2))]
    return events


class Story:
    """Three tasks; what a person approved is kept here, apart from what the program makes of it.

    Args:
        bench: files, store, server.
        mode: of the policy.
    """

    def __init__(self, bench, mode):
        self.bench, self.mode = bench, mode
        self.protected = set()
        self.named = {number: [] for number in range(3)}  # (files, end): what the call for a task may be
        self.wanted = {}  # {request: (project, seconds, end of the approval)} of resets that were approved
        self.sent = Counter()
        for number in range(3):
            bench.put(f"t{number}", number, task={"allowDelete": True})
        bench.apply()
        bench.look_away()

    def happen(self, what, *details):
        getattr(self, f"_{what}")(*details)

    # --- what people do --------------------------------------------------------------------------------------------

    def _set(self, number, key, value):
        self.bench.edit(key[0], f"t{number}", **{key[1]: value})

    def _remove(self, number, key):
        self.bench.edit(key[0], f"t{number}", **{key[1]: None})

    def _protect(self, number, on):
        (self.protected.add if on else self.protected.discard)(number)
        self.bench.edit("task", f"t{number}", protect=["/" + "/".join(PROTECTED)] if on else None)

    def _declare(self, number, request, hours):
        content = {"request": f"{request}-{number}", "id": f"np_{number}", "reason": "try", "stop": True}
        start = int(self.bench.clock.time()) - hours * 3600
        path = self.bench.desired / f"t{number}/reset.json"
        path.write_text(json.dumps(content | {"startTimestamp": start}))

    def _resolve(self):
        """Somebody says of every reset that nobody knows about that it was not sent."""
        for number in range(3):
            task = self._task(number)
            if task is None or task.reset is None or self.bench.store.reset(key_of(task)) is not None:
                continue
            start, now = task.reset.start_timestamp, self.bench.clock.now()
            entry = ResetEntry(key_of(task), digest_of(task), task.name, task.address.id, start, Stage.PENDING, now)
            assert self.bench.store.move_reset(entry, None)

    def _task(self, number):
        raw = DirectorySource(self.bench.desired).entry(f"t{number}").read()
        return VALIDATOR.examine(raw, warnings=False).task

    def _approve(self, number):
        """Read the plan and approve what it would do for a task."""
        plan = self._survey().plan
        until = self.bench.clock.now() + timedelta(days=1)
        for item in plan.items:
            if item.task == f"t{number}" and item.rail == "approval":
                self._note(number, item, until)
                bound = item.content_id, item.task, item.address, plan.id, item.intended.value, ()
                self.bench.store.approve(Approval(*bound, "read", "ann", self.bench.clock.now(), until))

    def _note(self, number, item, until):
        if item.intended is Action.RESET:
            wanted = json.loads((self.bench.desired / f"t{number}/reset.json").read_text())
            self.wanted[wanted["request"]] = wanted["id"], wanted["startTimestamp"], until
        else:
            self.named[number].append((self._files(number), until))

    def _revoke(self, number):
        for approval in list(self.bench.store.approvals().values()):
            if approval.task == f"t{number}":
                self.bench.store.disapprove(approval.content_id, "taken back")
                if approval.action == Action.RESET.value:
                    self.wanted = {r: w for r, w in self.wanted.items() if w[0] != f"np_{number}"}
        self.named[number].clear()

    # --- what happens ----------------------------------------------------------------------------------------------

    def _expire(self):
        self.bench.clock.sleep(DAY_S + 1.0)

    def _fault(self, fault, times):
        kind, parameters = fault
        self.bench.fault(kind, times=times, **parameters)

    def _lose(self, effect):
        self.bench.fault("close", action="ResetIncrStartTimestamp", effect=effect)

    def _retry(self):
        for address in self.bench.store.records():
            self.bench.store.retry(address)

    def _restart(self):
        self.bench.reopen()

    def _survey(self):
        return self.bench.survey(mode=self.mode, **RULES)

    def _apply(self):
        before = {number: self.bench.config(number)[PROTECTED[0]].get(PROTECTED[1]) for number in range(3)}
        updates, resets = self._calls("UpdateIncrSync"), self._calls("ResetIncrStartTimestamp")
        began = self.bench.clock.now()
        results = self.bench.carry_out(self._survey())
        for body in self._calls("UpdateIncrSync")[len(updates) :]:
            self._check_update(body, before, began)
        for number in range(3):  # an approval is for one call that was carried out, or may have been
            result = results.get(f"t{number}")
            if result is not None and result.status in SPENT and result.action is not Action.RESET:
                self.named[number] = [each for each in self.named[number] if each[0] != self._files(number)]
        for body in self._calls("ResetIncrStartTimestamp")[len(resets) :]:
            self._check_reset(body, began)

    def _calls(self, action):
        return [call.body for call in self.bench.oms.calls_of(action)]

    # --- what must hold --------------------------------------------------------------------------------------------

    def _check_update(self, body, before, began):
        number = next(number for number in range(3) if name_of(number) == body["key"])
        self.sent["deletion" if body.get("allowDelete") else "update"] += 1
        if body.get("allowDelete") or self.mode is Mode.APPROVE:
            assert any(files == self._files(number) and began < until for files, until in self.named[number])
        if number in self.protected:
            assert body["config"][PROTECTED[0]].get(PROTECTED[1]) == before[number]

    def _check_reset(self, body, began):
        self.sent["reset"] += 1
        approved = [w for w in self.wanted.values() if w[:2] == (body["id"], body["startTimestamp"])]
        assert approved
        assert began < max(until for _, _, until in approved)

    def _files(self, number):
        sections = ("coordinator", "condition", "source", "sink")
        return json.dumps([self.bench.read(section, f"t{number}") for section in sections], sort_keys=True)

    def end(self):
        """Each request was carried out at most once, whatever became of the answers."""
        sent = [(body["id"], body["startTimestamp"]) for body in self._calls("ResetIncrStartTimestamp")]
        assert len(sent) == len(set(sent))


def play(served, events, mode):
    """What was sent, by kind."""
    oms, url, clock = served
    oms.reset()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), oms, url, clock)
        bench.set_target(edition="EE", version="4.3.0")
        story = Story(bench, mode)
        for event in events:
            story.happen(*event)
        story.end()
        bench.store.close()
    return story.sent


@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(stories(), st.sampled_from([Mode.AUTO, Mode.APPROVE]))
def test_nothing_dangerous_is_sent_that_nobody_named(served, events, mode):
    play(served, events, mode)


@pytest.mark.parametrize(
    ("events", "sent"),
    [
        ([("remove", 0, KEYS[0]), ("apply",)], {}),
        ([("remove", 0, KEYS[0]), ("approve", 0), ("apply",)], {"deletion": 1}),
        ([("remove", 0, KEYS[0]), ("approve", 0), ("expire",), ("apply",)], {}),
        ([("remove", 0, KEYS[0]), ("approve", 0), ("revoke", 0), ("restart",), ("apply",)], {}),
        ([("remove", 0, KEYS[0]), ("approve", 0), ("remove", 0, KEYS[1]), ("apply",)], {}),
        ([("declare", 0, "r1", 2), ("approve", 0), ("apply",)], {}),
        ([("declare", 0, "r1", 2), ("resolve",), ("apply",)], {}),
        ([("declare", 0, "r1", 2), ("resolve",), ("approve", 0), ("apply",), ("apply",)], {"reset": 1}),
        ([("declare", 0, "r1", 2), ("resolve",), ("approve", 0), ("declare", 0, "r1", 1), ("apply",)], {}),
        ([("set", 0, PROTECTED, "19"), ("apply",)], {"update": 1}),
        ([("protect", 0, True), ("set", 0, PROTECTED, "19"), ("apply",)], {}),
    ],
)
def test_a_story_does_what_its_steps_say(served, events, sent):
    assert play(served, events, Mode.AUTO) == sent
