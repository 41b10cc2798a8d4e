"""`protect`, `allow` and `unmanaged` against every kind of pointer and of change; `manage` stands with validation."""

from dataclasses import replace

import pytest

from reconciler.model import Action
from tests.core.builders import APPLY, applied, planned, task, whole

ODD = "a/b~c"  # "/sink/a~1b~0c"
BASE = whole(sink={ODD: "1", "props": {"x": "1", "y": {"z": "1"}}})
EDITS = {
    "changed": ({"workerNum": "8", ODD: "2"}, Action.UPDATE),
    "added": ({"printSql": "true"}, Action.UPDATE),
    "removed": ({"workerNum": ..., ODD: ...}, Action.UPDATE_DELETE),
    "changed inside": ({"props": {"x": "2", "y": {"z": "1"}}}, Action.UPDATE),
    "removed inside": ({"props": {"x": "1", "y": {}}}, Action.UPDATE_DELETE),
}


def edited(edit, **members):
    """The item of the sample after an edit of its sink."""
    changes, _ = EDITS[edit]
    sections = whole(sink={ODD: "1", "props": BASE["sink"]["props"], **changes})
    base = applied(task(BASE))
    return planned(task(sections, allow_delete="unmanaged" not in members, **members), base)


KEYS = {"changed": "workerNum", "added": "printSql", "removed": "workerNum"}


@pytest.mark.parametrize("edit", EDITS)
def test_without_any_list_an_edit_goes(edit):
    assert (edited(edit).action, edited(edit).rail) == (EDITS[edit][1], "")


@pytest.mark.parametrize("edit", KEYS)
@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        pytest.param("/sink/{key}", True, id="exact"),
        pytest.param("/sink", True, id="parent"),
        pytest.param("/sink/{key}/inside", True, id="child"),
        pytest.param("/sink/*", True, id="star"),
        pytest.param("/sink/*/x", True, id="star and a child"),
        pytest.param("/source/{key}", False, id="another file"),
        pytest.param("/sink/{key}s", False, id="a longer name"),
    ],
)
def test_protect_holds_a_key_what_holds_it_and_what_it_holds(edit, pattern, holds):
    item = edited(edit, protect=(pattern.format(key=KEYS[edit]),))
    assert (item.rail == "protect") == holds
    if holds:
        assert f"/sink/{KEYS[edit]} is protected in task.json and would be {edit}" in item.reason


@pytest.mark.parametrize(
    ("edit", "pattern", "holds"),
    [
        pytest.param("changed", "/sink/a~1b~0c", True, id="escaped, changed"),
        pytest.param("removed", "/sink/a~1b~0c", True, id="escaped, removed"),
        pytest.param("added", "/sink/a~1b~0c", False, id="escaped, another key"),
        pytest.param("changed", "/sink/a/b~0c", False, id="not escaped"),
        pytest.param("changed inside", "/sink/props/x", True, id="member, changed"),
        pytest.param("changed inside", "/sink/props/y", False, id="member, another"),
        pytest.param("changed inside", "/sink/props", True, id="object"),
        pytest.param("removed inside", "/sink/props/y/z", True, id="member, removed"),
        pytest.param("removed inside", "/sink/props/*/z", True, id="member, star in between"),
        pytest.param("removed inside", "/sink/*/*/*", True, id="stars all the way"),
        pytest.param("removed inside", "/sink/props/x/*", False, id="star elsewhere"),
    ],
)
def test_protect_reads_escapes_and_members(edit, pattern, holds):
    assert (edited(edit, protect=(pattern,)).rail == "protect") == holds


CLIENTS = BASE["source"]["clients"]
LISTS = {
    "changed": [{**CLIENTS[0], "weakRead": "true"}],
    "added": [*CLIENTS, {"clientId": "new"}],
    "removed": [],
}


def listed(edit, **members):
    sections = whole(source={"clients": LISTS[edit]})
    return planned(task(sections, allow_delete=True, **members), applied(task(whole())))


@pytest.mark.parametrize("edit", LISTS)
@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        pytest.param("/source/clients", True, id="list"),
        pytest.param("/source/clients/0", True, id="index"),
        pytest.param("/source/clients/7/subtopic", True, id="index that is not there"),
        pytest.param("/source/clients/*/password", True, id="star"),
        pytest.param("/source/client", False, id="another name"),
    ],
)
def test_protecting_an_element_protects_its_list(edit, pattern, holds):
    allowed = {"allow": ("/source/clients",)}
    assert (listed(edit, protect=(pattern,), **allowed).rail == "protect") == holds


def test_protect_holds_no_key_that_stays_on_the_component():
    sections = whole(sink={"workerNum": ...})
    item = planned(task(sections, protect=("/sink",)), applied(task(whole())))
    assert (item.action, item.rail) == (Action.NOOP, "")


def test_protect_counts_for_known_tasks_only():
    assert planned(task(whole(), protect=("/sink",))).rail == ""


# --- allow ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"jdbcUrl": "jdbc:other"}, id="changed"),
        pytest.param({"jdbcUrl": ...}, id="removed"),
        pytest.param({"hotKeyTable": ["a"]}, id="added"),
    ],
)
@pytest.mark.parametrize(
    ("pattern", "lifts"),
    [
        pytest.param("/sink/{key}", True, id="exact"),
        pytest.param("/sink", True, id="parent"),
        pytest.param("/sink/*", True, id="star"),
        pytest.param("/sink/{key}/0", False, id="child"),
        pytest.param("/sink/*/0", False, id="star and a child"),
        pytest.param("/source/{key}", False, id="another file"),
        pytest.param("/sink/{key}s", False, id="a longer name"),
    ],
)
def test_allow_lifts_a_danger_of_a_key_or_of_what_is_inside(edit, pattern, lifts):
    (key,) = edit
    item = planned(
        task(whole(sink=edit), allow_delete=True, allow=(pattern.format(key=key),)),
        applied(task(whole())),
        policy=replace(APPLY, forced=frozenset({"incomplete"})),
    )
    assert (item.rail == "danger") != lifts


@pytest.mark.parametrize("edit", ["added", "removed"])
@pytest.mark.parametrize(("pattern", "lifts"), [("/source/clients", True), ("/source/clients/0", False)])
def test_an_allowed_element_does_not_allow_its_list(edit, pattern, lifts):
    assert (listed(edit, allow=(pattern,)).rail == "danger") != lifts


def test_every_dangerous_change_has_to_be_allowed():
    sections = whole(sink={"jdbcUrl": "jdbc:other", "username": "x"})
    item = planned(task(sections, allow=("/sink/jdbcUrl",)), applied(task(whole())))
    assert item.rail == "danger"
    assert item.reason.startswith("/sink/username would be changed: writes the changes to another database")
    assert item.reason.endswith('if that is meant, add "/sink/username" to allow in task.json')


# --- unmanaged -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", KEYS)
@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        pytest.param("/sink/{key}", True, id="exact"),
        pytest.param("/sink", True, id="parent"),
        pytest.param("/sink/*", True, id="star"),
        pytest.param("/source/{key}", False, id="another file"),
        pytest.param("/sink/{key}s", False, id="a longer name"),
    ],
)
def test_unmanaged_is_neither_compared_nor_sent(edit, pattern, left_out):
    item = edited(edit, unmanaged=(pattern.format(key=KEYS[edit]),))
    assert (f"/sink/{KEYS[edit]}" in {change.path for change in item.changes}) != left_out


@pytest.mark.parametrize(("pattern", "left_out"), [("/sink/a~1b~0c", True), ("/sink/a/b~0c", False)])
def test_unmanaged_reads_escapes(pattern, left_out):
    places = {change.path for change in edited("changed", unmanaged=(pattern,)).changes}
    assert ("/sink/a~1b~0c" in places) != left_out


def test_a_key_that_is_managed_again_is_compared_with_what_was_applied():
    base = applied(task(whole(), unmanaged=("/sink/workerNum",)))
    (change,) = planned(task(whole()), base).changes
    assert (change.path, change.old, change.new) == ("/sink/workerNum", None, "16")


def test_a_key_that_is_no_longer_managed_is_not_deleted():
    item = planned(task(whole(), unmanaged=("/sink/workerNum",)), applied(task(whole())))
    assert (item.action, item.changes) == (Action.NOOP, ())
