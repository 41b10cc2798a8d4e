"""The lists of `task.json` against every kind of pointer."""

import pytest

from tests.tasks import errors, examine

OWN = "taskIdentity"
SLIP = "workerNumm"  # one letter from a key there is


def rules_of(**changes):
    return {(rule, pointer) for rule, _, pointer in errors(examine(**changes))}


@pytest.mark.parametrize(
    ("pattern", "lifts"),
    [
        pytest.param("/coordinator/taskIdentity", True, id="exact"),
        pytest.param("/coordinator", True, id="parent"),
        pytest.param("/coordinator/*", True, id="star"),
        pytest.param("/coordinator/taskIdentity/x", False, id="child"),
        pytest.param("/coordinator/*/x", False, id="star and a child"),
        pytest.param("/sink/taskIdentity", False, id="another file"),
        pytest.param("/coordinator/taskIdentities", False, id="a longer name"),
    ],
)
def test_manage_lifts_keys_that_oms_writes_itself(pattern, lifts):
    found = rules_of(task={"manage": [pattern]}, coordinator={OWN: "np_1"})
    assert (("not-managed", f"/{OWN}") not in found) == lifts


@pytest.mark.parametrize(
    ("pattern", "lifts"),
    [
        pytest.param(f"/sink/{SLIP}", True, id="exact"),
        pytest.param("/sink", True, id="parent"),
        pytest.param("/sink/*", True, id="star"),
        pytest.param(f"/sink/{SLIP}/0", False, id="child"),
        pytest.param("/source/*", False, id="another file"),
    ],
)
def test_manage_lifts_near_misses(pattern, lifts):
    found = rules_of(task={"manage": [pattern]}, sink={SLIP: "1"})
    assert (("near-miss", f"/{SLIP}") not in found) == lifts


@pytest.mark.parametrize(
    ("pattern", "lifts"),
    [
        pytest.param("/source/clients/0/subtopics", True, id="index"),
        pytest.param("/source/clients/*/subtopics", True, id="star"),
        pytest.param("/source/clients", True, id="list"),
        pytest.param("/source/clients/1/subtopics", False, id="another index"),
    ],
)
def test_manage_lifts_near_misses_inside_lists(pattern, lifts):
    clients = [{"clientId": "c", "subtopics": "x"}]
    found = rules_of(task={"manage": [pattern]}, source={"clients": clients})
    assert (("near-miss", "/clients/0/subtopics") not in found) == lifts


@pytest.mark.parametrize(("pattern", "lifts"), [("/sink/worker~1Num", True), ("/sink/worker/Num", False)])
def test_manage_reads_escapes(pattern, lifts):
    found = rules_of(task={"manage": [pattern]}, sink={"worker/Num": "1"})
    assert (("near-miss", "/worker~1Num") not in found) == lifts


@pytest.mark.parametrize("member", ["allow", "protect", "unmanaged"])
@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        pytest.param("/sink/", 'A pointer to a whole file is "/sink".', id="a file"),
        pytest.param("/sink/workerNum/", 'Leave out the last "/".', id="a key"),
        pytest.param("/sink/workerNums", 'Did you mean "workerNum"?', id="a slip"),
    ],
)
def test_a_safeguard_that_guards_nothing_is_an_error(member, pattern, hint):
    found = [v for v in examine(task={member: [pattern]}).violations if v.rule == "near-miss"]
    assert [(v.pointer, v.suggestion) for v in found] == [(f"/{member}/0", hint)]
