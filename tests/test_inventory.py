import gc
import json
import os
import shutil
import time
from collections import Counter
from types import BuiltinFunctionType, FunctionType, ModuleType

import pytest

from reconciler.core.desired import prepare
from reconciler.errors import SecretError
from reconciler.inventory import Inventory, gist_of, imprint_of
from reconciler.model import Address, Dimension, RawTask, Violation
from reconciler.secret_files import resolver
from reconciler.source import DirectorySource
from tests.integration.bench import CATALOGUE, SENTINELS, VALIDATOR, documents

KEY = b"k" * 32
BROKEN = b'{"workerNum": '


class CountingSource:
    """A real directory whose entries say when they are read; all its files are old enough to be trusted."""

    def __init__(self, root):
        self._source = DirectorySource(root, now_ns=lambda: time.time_ns() + 10_000_000_000)
        self.read = []

    def __getattr__(self, name):
        return getattr(self._source, name)

    def entries(self, below=""):
        return (CountingEntry(entry, self.read) for entry in self._source.entries(below))

    def entry(self, name):
        found = self._source.entry(name)
        return None if found is None else CountingEntry(found, self.read)


class CountingEntry:
    def __init__(self, entry, read):
        self._entry = entry
        self._read = read

    def __getattr__(self, name):
        return getattr(self._entry, name)

    def read(self):
        self._read.append(self._entry.name)
        return self._entry.read()


class CountingValidator:
    """The validator, which says what it is asked to judge."""

    def __init__(self):
        self.judged = []

    def examine(self, raw, **more):
        self.judged.append(raw.name)
        return VALIDATOR.examine(raw, **more)


class Desk:
    """A directory, and what is remembered of it."""

    def __init__(self, root):
        self.root = root
        self.source = CountingSource(root)
        self.validator = CountingValidator()
        self.inventory = Inventory(self.validator)

    def put(self, task="shop", number=0, /, **changes):
        folder = self.root / task
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in documents(number).items():
            change = changes.get(name, {})
            data = change if isinstance(change, bytes) else json.dumps(content | change).encode()
            folder.joinpath(f"{name}.json").write_bytes(data)

    def remove(self, task):
        shutil.rmtree(self.root / task)
        self.inventory.drop(task)

    def see(self, *tasks, anew=False):
        """Look at some tasks, or all; what had to be read and judged, and is valid."""
        entries = [self.source.entry(task) for task in tasks] if tasks else self.source.entries()
        found = [self.inventory.see(entry, anew=anew) for entry in entries]
        return [task.name for _, task in found if task is not None]

    def work(self):
        """How often a task was read and judged since this was asked last."""
        counted = len(self.source.read), len(self.validator.judged)
        self.source.read.clear()
        self.validator.judged.clear()
        return counted


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


# --- what a look costs ---------------------------------------------------------------------------------------------


def test_first_look_reads_and_judges(desk):
    desk.put()
    assert (desk.see(), desk.work()) == (["shop"], (1, 1))


def test_equal_stamp_is_not_read(desk):
    desk.put()
    desk.see()
    desk.work()
    assert (desk.see(), desk.work()) == ([], (0, 0))


def test_equal_bytes_are_not_judged_and_then_not_read(desk):
    desk.put()
    desk.see()
    desk.work()
    os.utime(desk.root / "shop" / "sink.json", (1, 1))
    assert (desk.see(), desk.work()) == ([], (1, 0))
    assert (desk.see(), desk.work()) == ([], (0, 0))


def test_other_bytes_are_judged(desk):
    desk.put()
    desk.see()
    desk.work()
    desk.put(sink={"workerNum": "128"})
    assert (desk.see(), desk.work()) == (["shop"], (1, 1))


@pytest.mark.parametrize("sink", [{}, BROKEN], ids=["valid", "wrong"])
def test_looking_anew_reads_and_judges_whatever_is_known(desk, sink):
    desk.put(sink=sink)
    desk.see()
    desk.work()
    desk.see(anew=True)
    assert desk.work() == (1, 1)


def test_wrong_task_is_not_judged_again_either(desk):
    desk.put(sink=BROKEN)
    desk.see()
    desk.work()
    desk.see()
    assert desk.work() == (0, 0)
    assert [v.file for v in desk.inventory.see(desk.source.entry("shop"))[0].errors] == ["shop/sink.json"]


def test_file_that_cannot_be_read_is_tried_at_every_look(desk):
    desk.put()
    path = desk.root / "shop" / "sink.json"
    path.unlink()
    path.mkdir()
    desk.see()
    desk.work()
    desk.see()
    assert desk.work() == (1, 0)


def test_one_task_is_looked_at_without_the_others(desk):
    for number in range(3):
        desk.put(f"t{number}", number)
    desk.see()
    desk.work()
    desk.put("t1", 1, sink={"workerNum": "128"})
    assert (desk.see("t1"), desk.work()) == (["t1"], (1, 1))


def test_missing_reset_file_and_an_empty_one_are_not_the_same(desk):
    desk.put()
    desk.see()
    (desk.root / "shop" / "reset.json").write_bytes(b"")
    assert desk.see() == []
    assert not desk.inventory.is_valid("shop")


# --- imprints and revision -----------------------------------------------------------------------------------------


def test_imprint_is_about_names_bytes_and_what_could_not_be_read():
    problem = Violation("a", "a/sink.json", None, "", "unreadable", None, "a file", "EIO")
    raws = [
        RawTask("a", {}),
        RawTask("a", {"sink.json": b""}),
        RawTask("a", {"source.json": b""}),
        RawTask("a", {"sink.json": b"{}"}),
        RawTask("a", {"sink.json": b"", "source.json": b"{}"}),
        RawTask("a", {"sink.json": b"{}", "source.json": b""}),
        RawTask("a", {}, (problem,)),
    ]
    assert max(Counter(map(imprint_of, raws)).values()) == 1


def test_imprint_does_not_depend_on_the_order_of_files():
    files = {"sink.json": b"1", "source.json": b"2"}
    assert imprint_of(RawTask("a", files)) == imprint_of(RawTask("b", dict(reversed(files.items()))))


def test_revision_changes_with_content_only(desk):
    desk.put("a", 0)
    desk.put("b", 1)
    desk.see()
    before = desk.inventory.revision()
    os.utime(desk.root / "a" / "sink.json", (1, 1))
    desk.see(anew=True)
    assert desk.inventory.revision() == before
    desk.put("a", 0, sink={"workerNum": "128"})
    desk.see()
    assert desk.inventory.revision() != before
    desk.put("a", 0)
    desk.see()
    assert desk.inventory.revision() == before


def test_revision_does_not_depend_on_the_way_there(desk):
    for name, number in (("b", 1), ("a", 0), ("c", 2)):
        desk.put(name, number)
        desk.see(name)
    desk.remove("c")
    fresh = Desk(desk.root)
    fresh.see()
    assert desk.inventory.revision() == fresh.inventory.revision()


# --- who is there --------------------------------------------------------------------------------------------------


@pytest.fixture
def full(desk):
    for number, name in enumerate(("a", "a/deep", "ab", "b")):
        desk.put(name, number)
    desk.put("wrong", 4, sink=BROKEN)
    desk.see()
    return desk


def undeclared(desk):
    """Keys of components that no valid task declares, of those of the tasks and one more."""
    keys = ["nobody's", *(documents(number)["task"]["key"] for number in range(5))]
    addresses = {Address("default", Dimension.NAME, key).id: key for key in keys}
    return [addresses[address] for address in desk.inventory.undeclared(addresses)]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("", {"a", "a/deep", "ab", "b", "wrong"}),
        ("a", {"a", "a/deep"}),
        ("a/deep", {"a/deep"}),
        ("ab", {"ab"}),
        ("nowhere", set()),
    ],
)
def test_names_below_a_folder(full, folder, names):
    assert full.inventory.names_below(folder) == names


def test_wrong_task_counts_and_has_no_address(full):
    assert full.inventory.count() == 5
    assert undeclared(full) == ["nobody's", documents(4)["task"]["key"]]
    assert set(full.inventory.valid()) == {"a", "a/deep", "ab", "b"}


def test_task_that_is_dropped_is_unknown(full):
    full.inventory.drop("a")
    full.inventory.drop("never there")
    assert full.inventory.names_below("") == {"a/deep", "ab", "b", "wrong"}
    assert (full.inventory.is_valid("a"), documents(0)["task"]["key"] in undeclared(full)) == (False, True)


def test_only_those_to_keep_are_kept(full):
    full.inventory.keep_only({"b", "wrong", "never there"})
    assert full.inventory.names_below("") == {"b", "wrong"}


@pytest.mark.parametrize(
    ("name", "unreadable"),
    [("wrong", True), ("wrong/below", True), ("a", False), ("a/deep", False), ("gone", False), ("wrongly", False)],
)
def test_task_is_unreadable_when_it_or_a_folder_above_is_wrong(full, name, unreadable):
    assert full.inventory.is_unreadable(name) is unreadable


# --- clashes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clashing(desk):
    """Two tasks, of which the second came to the address of the first."""
    desk.put("a")
    desk.see()
    desk.put("b")
    desk.see("b")
    return desk


def test_two_tasks_with_one_address_name_each_other(clashing):
    clashes = clashing.inventory.clashes()
    assert set(clashes) == {"a", "b"}
    assert "b" in clashes["a"].found
    assert (clashing.inventory.valid(), clashing.inventory.is_valid("a")) == ({}, False)


def test_address_of_a_clash_is_declared_all_the_same(clashing):
    assert documents(0)["task"]["key"] not in undeclared(clashing)


def test_tasks_handed_out_earlier_stay_as_they_were(clashing):
    before = clashing.inventory.valid()
    clashing.remove("b")
    assert (before, set(clashing.inventory.valid())) == ({}, {"a"})


def test_task_is_disturbed_until_it_was_looked_at_when_another_comes_to_its_address(clashing):
    assert (clashing.inventory.disturbed(), clashing.inventory.disturbed()) == ({"a"}, {"a"})
    clashing.inventory.settle(["a", "b"])
    assert clashing.inventory.disturbed() == set()


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda desk: desk.remove("b"), id="removed"),
        pytest.param(lambda desk: (desk.put("b", 1), desk.see("b")), id="another address"),
        pytest.param(lambda desk: (desk.put("b", sink=BROKEN), desk.see("b")), id="wrong"),
        pytest.param(lambda desk: desk.inventory.keep_only({"a"}), id="not kept"),
    ],
)
def test_clash_goes_and_the_other_task_is_disturbed(clashing, leave):
    clashing.inventory.settle(["a", "b"])
    leave(clashing)
    assert clashing.inventory.clashes() == {}
    assert clashing.inventory.is_valid("a")
    assert clashing.inventory.disturbed() == {"a"}


def test_third_task_at_an_address_disturbs_both(clashing):
    clashing.inventory.settle(["a", "b"])
    clashing.put("c")
    clashing.see("c")
    assert clashing.inventory.disturbed() == {"a", "b"}
    assert set(clashing.inventory.clashes()) == {"a", "b", "c"}


def test_other_content_at_the_same_address_disturbs_nobody(clashing):
    clashing.inventory.settle(["a", "b"])
    clashing.put("a", sink={"workerNum": "128"})
    clashing.see("a")
    assert clashing.inventory.disturbed() == set()


# --- gists ---------------------------------------------------------------------------------------------------------


def gist(desk, environment=SENTINELS, **changes):
    desk.put(**changes)
    known, task = desk.inventory.see(desk.source.entry("shop"), anew=True)
    used = {}

    def lookup(scheme, name):
        return used.setdefault((scheme, name), environment[name])

    known.gist = gist_of(prepare(task, CATALOGUE, lookup, KEY), 17, used, KEY)
    return known.gist


def test_gist_has_what_comparing_needs(desk):
    made = gist(desk)
    task = VALIDATOR.examine(desk.source.entry("shop").read(), warnings=False).task
    whole = prepare(task, CATALOGUE, resolver(SENTINELS), KEY)
    assert (made.desired.snapshot.digest, made.unchanged) == (whole.snapshot.digest, 17)
    assert made.desired.snapshot.fingerprints == whole.snapshot.fingerprints
    assert made.desired.request_digest(allow_delete=False) == whole.request_digest(allow_delete=False)
    assert made.references == (("env", "SINK"), ("env", "STORE"))


def texts_within(value, seen):
    """Every text and bytes that can be reached from a value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, (type, ModuleType, FunctionType, BuiltinFunctionType)):
            continue
        seen.add(id(found))
        if isinstance(found, (str, bytes)):
            yield found if isinstance(found, str) else found.decode("latin-1")
        else:
            waiting.extend(gc.get_referents(found))


def test_nothing_remembered_holds_documents_or_secrets(desk):
    gist(desk, sink={"jdbcUrl": "jdbc:oceanbase://sentinel-of-a-document:2883"})
    desk.put("wrong", 1, sink=b'{"password": "sentinel-of-a-document", "x": ')
    desk.see("wrong")
    around = set(map(id, (desk.validator, VALIDATOR, CATALOGUE)))
    texts = list(texts_within(desk.inventory, around))
    assert any("connector_v2" in text for text in texts)  # the walk does find what is there
    for sentinel in (*SENTINELS.values(), "sentinel-of-a-document", "customer"):
        assert not [text for text in texts if sentinel in text]


def test_gist_is_not_shown_with_its_task(desk):
    gist(desk)
    known, _ = desk.inventory.see(desk.source.entry("shop"))
    assert "gist" not in repr(known)


@pytest.mark.parametrize(
    ("environment", "same"),
    [
        pytest.param(SENTINELS, True, id="equal"),
        pytest.param(SENTINELS | {"SINK": "another"}, False, id="rotated"),
        pytest.param({"STORE": SENTINELS["SINK"], "SINK": SENTINELS["STORE"]}, False, id="exchanged"),
        pytest.param({"STORE": SENTINELS["STORE"]}, False, id="gone"),
        pytest.param(SENTINELS | {"SINK": ""}, False, id="empty"),
    ],
)
def test_rotated_secrets_are_noticed_though_no_file_changed(desk, environment, same):
    assert gist(desk).has_same_secrets(resolver(environment), KEY) is same


def test_secrets_are_compared_under_one_key_only(desk):
    assert not gist(desk).has_same_secrets(resolver(SENTINELS), b"o" * 32)


def test_task_without_secrets_has_the_same_ones(desk):
    made = gist(desk)
    plain = gist_of(made.desired, 1, {}, KEY)

    def nobody(scheme, name):
        raise SecretError(f"{scheme}:{name}")

    assert plain.has_same_secrets(nobody, KEY)


def test_secret_that_is_no_utf_8_is_compared_all_the_same(desk):
    made = gist_of(gist(desk).desired, 1, {("env", "SINK"): "a\udcff"}, KEY)
    assert made.has_same_secrets(lambda _scheme, _name: "a\udcff", KEY)
    assert not made.has_same_secrets(lambda _scheme, _name: "a\udcfe", KEY)


def test_task_that_is_judged_anew_has_no_gist_until_it_was_planned(desk):
    gist(desk)
    desk.put(sink={"workerNum": "128"})
    known, _ = desk.inventory.see(desk.source.entry("shop"))
    assert known.gist is None


def test_labels_of_a_task_stay_its_labels_while_its_files_are_wrong(desk):
    desk.put(task={"labels": {"team": "shop"}})
    desk.see()
    desk.put(task={"labels": {"team": "shop"}}, sink=BROKEN)
    known, task = desk.inventory.see(desk.source.entry("shop"))
    assert (task, known.labels) == (None, (("team", "shop"),))
