"""A look at some tasks, by what is remembered of the others, finds what a look at everything by a fresh process finds."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import secret_files
from reconciler.apply import keep_records
from reconciler.core.policy import FIRST_RUN_TASKS, Mode, NewTasks, Policy
from reconciler.errors import DesiredStateError
from reconciler.model import Condition, Suspension
from reconciler.reconcile import Reconciler
from reconciler.source import DirectorySource
from tests.integration.bench import CATALOGUE, SENTINELS, VALIDATOR, Bench

APPLY = Policy(new_tasks=NewTasks.APPLY)
RESET = {"request": "r1", "id": "np_0", "startTimestamp": 1_700_000_000, "reason": "lost logs"}
BROKEN = b'{"workerNum": '


class ReadSource:
    """A real directory that says what is read; all its files are old enough to be trusted by their stamps."""

    def __init__(self, root: Path) -> None:
        self._source = DirectorySource(root, now_ns=lambda: time.time_ns() + 10_000_000_000)
        self.root = self._source.root
        self.read: list[str] = []
        self.failing: set[str] = set()  # tasks of which the directory cannot be read

    def __getattr__(self, name):
        return getattr(self._source, name)

    def entries(self, below=""):
        return (_ReadEntry(entry, self.read) for entry in self._source.entries(below))

    def entry(self, name):
        if name in self.failing:
            raise DesiredStateError("input/output error")
        found = self._source.entry(name)
        return None if found is None else _ReadEntry(found, self.read)


class _ReadEntry:
    def __init__(self, entry, read):
        self._entry, self._read = entry, read

    def __getattr__(self, name):
        return getattr(self._entry, name)

    def read(self):
        self._read.append(self._entry.name)
        return self._entry.read()


def remembering(bench: Bench) -> tuple[Reconciler, ReadSource]:
    """A reconciler to be used again and again."""
    source = ReadSource(bench.desired)
    lookup = secret_files.resolver(bench.environment)
    return Reconciler(source, VALIDATOR, CATALOGUE, bench.store, lookup, bench.clock), source


def by_task(survey):
    found: dict[str, list] = {}
    for item in survey.plan.items:
        found.setdefault(item.task, []).append(item)
    return found


@pytest.fixture
def fleet(bench):
    """Three tasks that were looked at and adopted."""
    for number in range(3):
        bench.put(f"t{number}", number)
    bench.reconciler().adopt((), reason="as it is", only_new=True)
    bench.looker, bench.source = remembering(bench)
    bench.looker.survey(APPLY)
    bench.looker.survey(APPLY)
    bench.source.read.clear()
    return bench


def actions(survey):
    return {item.task: item.action.value for item in survey.plan.items}


# --- what a look reads ---------------------------------------------------------------------------------------------


def test_second_survey_reads_nothing(fleet):
    assert actions(fleet.looker.survey(APPLY)) == dict.fromkeys(("t0", "t1", "t2"), "noop")
    assert fleet.source.read == []


def test_look_reads_what_changed_and_nothing_else(fleet):
    fleet.edit("sink", "t1", workerNum="128")
    assert actions(fleet.looker.look(APPLY, ["t0", "t1"])) == {"t0": "noop", "t1": "update"}
    assert set(fleet.source.read) == {"t1"}


def test_look_has_items_of_the_tasks_it_was_asked_for_only(fleet):
    fleet.edit("sink", "t1", workerNum="128")
    fleet.edit("sink", "t2", workerNum="128")
    assert actions(fleet.looker.look(APPLY, ["t2"])) == {"t2": "update"}


def test_task_with_something_to_do_is_read_at_each_look_because_nothing_of_it_is_kept(fleet):
    fleet.edit("sink", "t1", workerNum="128")
    for _ in range(2):
        survey = fleet.looker.look(APPLY, ["t1"])
        assert [work.desired.resolved["sink"]["workerNum"] for work in survey.work.values()] == ["128"]


def test_item_of_a_task_that_was_not_read_is_whole(fleet):
    fresh = by_task(fleet.reconciler().survey(APPLY))
    assert by_task(fleet.looker.look(APPLY, ["t0", "t1", "t2"])) == fresh
    assert fleet.source.read == []


def test_rotated_secret_is_noticed_though_no_file_changed(fleet):
    fleet.environment["SINK"] = "another"
    (item,) = fleet.looker.look(APPLY, ["t0"]).plan.items
    assert [change.path for change in item.changes] == ["/sink/password"]


def test_secret_that_is_gone_and_comes_back_is_noticed(fleet):
    value = fleet.environment.pop("SINK")
    assert [item.rail for item in fleet.looker.look(APPLY, ["t0"]).plan.items] == ["secret"]
    fleet.environment["SINK"] = value
    assert actions(fleet.looker.look(APPLY, ["t0"])) == {"t0": "noop"}


def test_task_that_is_gone_has_no_item_unless_it_is_known(fleet):
    fleet.put("new", 3)
    fleet.looker.look(APPLY, ["new"])
    shutil.rmtree(fleet.desired / "new")
    shutil.rmtree(fleet.desired / "t0")
    assert actions(fleet.looker.look(APPLY, ["new", "t0", "never there", "."])) == {"t0": "orphaned"}


# --- work that is kept ---------------------------------------------------------------------------------------------


def test_only_so_much_work_is_kept_and_the_others_are_left(bench):
    for number in range(5):
        bench.put(f"t{number}", number)
    looker, _ = remembering(bench)
    survey = looker.survey(APPLY, most=2)
    assert (len(survey.work), survey.left) == (2, {"t2", "t3", "t4"})
    assert actions(survey) == dict.fromkeys([f"t{number}" for number in range(5)], "update")


def test_those_left_are_done_by_looking_at_them_again(bench):
    for number in range(5):
        bench.put(f"t{number}", number)
    looker, _ = remembering(bench)
    survey, done = looker.survey(APPLY, most=2), []
    while survey.work:
        done += [work.desired.task.name for work in survey.work.values()]
        survey = looker.look(APPLY, survey.left, most=2)
    assert done == [f"t{number}" for number in range(5)]


# --- tasks that concern each other ---------------------------------------------------------------------------------


def test_other_task_of_a_clash_is_looked_at_too(fleet):
    fleet.put("twin", 0)
    assert actions(fleet.looker.look(APPLY, ["twin"])) == {"twin": "invalid", "t0": "invalid"}


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda bench: shutil.rmtree(bench.desired / "twin"), id="removed"),
        pytest.param(lambda bench: bench.put("twin", 3), id="another address"),
        pytest.param(lambda bench: bench.put("twin", 0, sink=BROKEN), id="wrong"),
    ],
)
def test_other_task_is_looked_at_when_the_clash_is_over(fleet, leave):
    fleet.put("twin", 0)
    fleet.looker.look(APPLY, ["twin"])
    leave(fleet)
    assert actions(fleet.looker.look(APPLY, ["twin"]))["t0"] == "noop"


def test_other_task_is_not_forgotten_when_a_look_fails(fleet):
    fleet.put("twin", 0)
    fleet.looker.look(APPLY, ["twin"])
    shutil.rmtree(fleet.desired / "twin")
    fleet.source.failing.add("t0")
    with pytest.raises(DesiredStateError):
        fleet.looker.look(APPLY, ["twin"])
    fleet.source.failing.clear()
    assert actions(fleet.looker.look(APPLY, ["twin"])) == {"t0": "noop"}


def test_folder_that_was_renamed_takes_the_record_over(fleet):
    (fleet.desired / "t0").rename(fleet.desired / "moved")
    survey = fleet.looker.look(APPLY, ["t0", "moved"])
    assert (actions(survey), list(survey.taken_over.values())) == ({"moved": "noop"}, ["moved"])


def test_task_that_is_looked_at_freezes_the_fleet_when_the_others_are_gone(fleet):
    for number in range(3):
        shutil.rmtree(fleet.desired / f"t{number}")
    survey = fleet.looker.look(APPLY, ["t0", "t1", "t2"])
    assert (survey.plan.frozen, actions(survey)) == (True, dict.fromkeys(("t0", "t1", "t2"), "orphaned"))


# --- an empty store and many tasks ---------------------------------------------------------------------------------


def many(bench):
    for number in range(FIRST_RUN_TASKS + 1):
        bench.put(f"t{number:02}", number)
    return [f"t{number:02}" for number in range(FIRST_RUN_TASKS + 1)]


def rails(survey):
    return {item.rail for item in survey.plan.items}


@pytest.mark.parametrize("before", [0, 1], ids=["no task", "one task"])
def test_many_tasks_that_arrive_while_it_runs_are_a_first_run(bench, before):
    if before:
        bench.put("early", 55)
    looker, _ = remembering(bench)
    looker.survey(Policy(new_tasks=NewTasks.HOLD))
    names = many(bench)
    assert rails(looker.look(APPLY, names)) == {"first_run"}


def test_many_tasks_that_are_found_by_the_next_survey_are_a_first_run(bench):
    bench.put("early", 55)
    looker, _ = remembering(bench)
    looker.survey(Policy(new_tasks=NewTasks.HOLD))
    many(bench)
    assert rails(looker.survey(APPLY)) == {"first_run"}


# --- any order of anything -----------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "a/deep", "b", "c"])
NUMBERS = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("put"), NAMES, NUMBERS),
    st.tuples(st.just("put"), NAMES, NUMBERS),
    st.tuples(st.just("edit"), NAMES, st.sampled_from(["16", "17", "128"])),
    st.tuples(st.just("label"), NAMES, st.sampled_from(["x", "y"])),
    st.tuples(st.just("break"), NAMES),
    st.tuples(st.just("reset"), NAMES, st.booleans()),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("suspend"), st.one_of(NAMES, st.just("*")), st.booleans()),
    st.tuples(st.just("declare"), NAMES, st.booleans()),
    st.tuples(st.just("adopt"), NAMES),
    st.tuples(st.just("adopt"), NAMES),
    st.tuples(st.just("forget"), st.integers(0, 5)),
    st.tuples(st.just("condition"), st.integers(0, 5), st.sampled_from(list(Condition))),
    st.tuples(st.just("rotate"), st.sampled_from(["one", "two", ""])),
    st.tuples(st.just("pass"), st.integers(0, 7200)),
    st.tuples(st.just("survey")),
)


class Story:
    """A directory to which things happen, and what somebody knows of it who looks only where something happened."""

    def __init__(self, bench: Bench, rules: Policy) -> None:
        self.bench, self.rules = bench, rules
        self.looker, _ = remembering(bench)
        self.view: dict[str, list] = {}
        self.frozen = False
        self._all()

    def happen(self, what, *details):
        self._age()
        names = getattr(self, f"_{what}")(*details)
        if names is None:
            self._all()
        else:
            self._look(names)
        self._agree()

    def _agree(self):
        fresh = by_task(self.bench.reconciler().survey(self.rules))
        assert self.view == fresh

    def _age(self):
        """Wait for the next tick of the file system's clock: equal times mean equal content."""
        probe, before = self.bench.database.parent / "probe", 0
        probe.touch()
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            probe.touch()

    def _all(self):
        survey = self.looker.survey(self.rules)
        self.view = by_task(survey)
        self._record(survey)

    def _look(self, names):
        survey = self.looker.look(self.rules, names)
        for name in names:
            self.view.pop(name, None)
        self.view |= by_task(survey)
        if survey.plan.frozen is not self.frozen:  # which concerns everybody
            self._all()
        else:
            self._record(survey)

    def _record(self, survey):
        self.frozen = survey.plan.frozen
        if survey.taken_over or survey.refreshed:
            before = {survey.records[address].task for address in survey.taken_over}
            keep_records(survey, self.bench.tools())
            self._look({*survey.taken_over.values(), *before})

    def _below(self, *folders):
        return {name for folder in folders for name in (*self.looker.names_below(folder), folder)}

    # --- files

    def _put(self, name, number):
        self.bench.put(name, number)
        return {name}

    def _document(self, name, document, **members):
        path = self.bench.desired / name / f"{document}.json"
        if path.exists() and path.read_bytes() != BROKEN:
            self.bench.edit(document, name, **members)
        return {name}

    def _edit(self, name, value):
        return self._document(name, "sink", workerNum=value)

    def _label(self, name, value):
        return self._document(name, "task", labels={"team": value})

    def _declare(self, name, suspended):
        return self._document(name, "task", suspend={"reason": "why"} if suspended else None)

    def _break(self, name):
        if (self.bench.desired / name).exists():
            (self.bench.desired / name / "sink.json").write_bytes(BROKEN)
        return {name}

    def _reset(self, name, there):
        path = self.bench.desired / name / "reset.json"
        if there and path.parent.exists():
            path.write_text(json.dumps(RESET))
        else:
            path.unlink(missing_ok=True)
        return {name}

    def _remove(self, name):
        below = self._below(name)
        shutil.rmtree(self.bench.desired / name, ignore_errors=True)
        return below

    def _rename(self, name, to):
        before, after = self.bench.desired / name, self.bench.desired / to
        if before.exists() and not after.exists() and after.parent.exists() and before not in after.parents:
            below = self._below(name)
            before.rename(after)
            return below | self._below(to)
        return set()

    # --- commands beside it

    def _suspend(self, name, there):
        if there:
            self.bench.store.suspend(name, Suspension("why", None))
        else:
            self.bench.store.resume(name)
        return None if name == "*" else {name}

    def _adopt(self, name):
        self.bench.reconciler().adopt((name,), reason="as it is", only_new=False)
        return self._below(name)

    def _chosen(self, number):
        records = list(self.bench.store.records().values())
        return records[number % len(records)] if records else None

    def _forget(self, number):
        if (record := self._chosen(number)) is None:
            return set()
        self.bench.store.forget(record.address)
        return {record.task}

    def _condition(self, number, condition):
        if (record := self._chosen(number)) is None:
            return set()
        self.bench.store.set_condition(record.address, condition, "as it was seen")
        return {record.task}

    # --- what nobody is told

    def _rotate(self, value):
        self.bench.environment["SINK"] = f"{SENTINELS['SINK']}-{value}"

    def _pass(self, seconds):
        self.bench.clock.advance_to(self.bench.clock.monotonic() + seconds)

    def _survey(self):
        return None


def walked(served, happenings: list, rules: Policy) -> None:
    oms, url, clock = served
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), oms, url, clock)
        try:
            story = Story(bench, rules)
            for happening in happenings:
                story.happen(*happening)
        finally:
            bench.store.close()


def remembered_equals_fresh(examples: int) -> Callable:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@remembered_equals_fresh(15)
@given(st.lists(steps, min_size=6, max_size=14), st.sampled_from(list(NewTasks)))
def test_what_is_remembered_agrees_with_a_fresh_look_whatever_happened(served, happenings, new_tasks):
    walked(served, happenings, Policy(new_tasks=new_tasks))


@remembered_equals_fresh(4)
@given(st.lists(steps, min_size=6, max_size=14))
def test_it_agrees_where_nothing_is_ever_sent(served, happenings):
    walked(served, happenings, Policy(mode=Mode.OBSERVE))
