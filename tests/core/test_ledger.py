from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core import ledger
from reconciler.model import Address, ComponentRole, Dimension, Link, ResetEntry, ResetKey, ResetRequest, Stage
from tests.core.builders import NAME, NOW, task

PROJECT = "np_4x9j00000001"
ASKED = ResetRequest("r1", PROJECT, False, 1_795_000_000, "lost logs", None, True)
ROLE = Address("default", role=ComponentRole(PROJECT, Link.FORWARD, 0))


def entry(stage=Stage.STOPPING, request="r1", project=PROJECT, target="default", **more):
    made = ResetEntry(
        ResetKey(target, project, False, request), "d", "shop/orders", task().address.id, 1_795_000_000, stage, NOW
    )
    return replace(made, **more)


def digest(**changed):
    return ledger.digest_of(task(reset=replace(ASKED, **changed)))


def test_key_names_target_project_link_and_request():
    assert ledger.key_of(task(reset=ASKED)) == ResetKey("default", PROJECT, False, "r1")


def test_task_without_a_reset_has_no_key():
    with pytest.raises(ValueError, match="shop/orders declares no reset"):
        ledger.key_of(task())


@pytest.mark.parametrize(
    "changed",
    [{"reason": "other"}, {"expires": NOW}, {"expires": NOW, "reason": "both"}],
    ids=["reason", "expires", "both"],
)
def test_what_says_nothing_of_the_call_may_be_edited(changed):
    assert digest(**changed) == digest()


@pytest.mark.parametrize(
    "changed",
    [{"request": "r2"}, {"project": "np_b"}, {"reverse": True}, {"start_timestamp": 1}, {"stop": False}],
    ids=["request", "project", "link", "start", "stop"],
)
def test_what_is_asked_for_makes_another_digest(changed):
    assert digest(**changed) != digest()


@pytest.mark.parametrize(
    ("address", "project"),
    [
        (ROLE, PROJECT),
        (Address("default", Dimension.NAME, NAME), PROJECT),
        (Address("default", Dimension.NAME, "another form"), None),
        (Address("default", Dimension.TASK_NAME, PROJECT), PROJECT),
        (Address("default", Dimension.TASK_NAME, f"{PROJECT}-incr_trans-1-0"), PROJECT),
        (Address("default", Dimension.IP, "10.0.0.1"), None),
    ],
    ids=["role", "name", "opaque name", "task name", "part of a name", "ip"],
)
def test_project_of_an_address(address, project):
    assert ledger.project_of(address) == project


@pytest.mark.parametrize("address", [ROLE, task().address, Address("b", Dimension.IP, "10.0.0.1")], ids=str)
def test_task_of_a_row_has_its_address(address):
    assert ledger.task_of(entry(address=address.id)).address == address


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_open_is_what_somebody_works_on_or_has_to_judge(stage):
    closed = {Stage.PERHAPS_SENT, Stage.PENDING, Stage.DONE, Stage.UNCONFIRMED, Stage.REFUSED}
    assert ledger.is_open(entry(stage)) is (stage not in closed)


@pytest.mark.parametrize(
    ("other", "waits"),
    [({}, True), ({"project": "np_b"}, False), ({"target": "b"}, False), ({"stage": Stage.PENDING}, False)],
    ids=["same", "another project", "another target", "pending"],
)
def test_calls_wait_for_an_open_reset_of_their_project(other, waits):
    assert (ledger.under_way([entry(**other)], "default", PROJECT) is not None) is waits


def test_address_without_a_project_waits_for_any_of_its_target():
    assert ledger.under_way([entry(project="np_b")], "default", None) is not None
    assert ledger.under_way([entry(target="b")], "default", None) is None


def test_the_one_that_is_worked_on_comes_before_one_that_waits_for_a_word():
    unknown, young = entry(Stage.UNKNOWN, "r0"), entry(Stage.RESUMING, "r1", since=NOW + timedelta(seconds=1))
    assert ledger.under_way([unknown, young], "default", PROJECT) is young


def test_open_reset_is_found_by_its_address():
    mine = entry()
    assert ledger.at_address([entry(Stage.DONE), mine], mine.address) is mine
    assert ledger.at_address([mine], ROLE.id) is None
