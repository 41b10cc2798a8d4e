import pytest

from reconciler.core.health import Sample, Verdict, by_name, describe, in_role, is_without_gap, judge, of_link
from reconciler.model import ComponentRole, Link, ObservedComponent

WAITING, HEALTHY, FAILED = Verdict.WAITING, Verdict.HEALTHY, Verdict.FAILED


def seen(status="RUNNING", checkpoint=100, modified="m1", **more):
    made = {"name": "c", "region": "r", "link": Link.FORWARD, "delay_s": 3}
    return ObservedComponent(status=status, checkpoint=checkpoint, modified=modified, **{**made, **more})


def named(position, link=Link.FORWARD):
    return seen(name=f"10.0.0.1-9000:connector_v2:np_a-incr_trans-{position}:0000000006", link=link)


BEFORE = seen()
STOPPED, BROKEN = seen("STOPPED"), seen("EXCEPTION")
MOVED, TOUCHED = seen(checkpoint=101), seen(checkpoint=101, modified="m2")


@pytest.mark.parametrize(
    ("before", "samples", "verdict"),
    [
        pytest.param(BEFORE, [(1, None)], WAITING, id="not listed"),
        pytest.param(BEFORE, [(1, STOPPED)], WAITING, id="stopped"),
        pytest.param(BEFORE, [(1, BEFORE)], WAITING, id="nothing happened yet"),
        pytest.param(BEFORE, [(1, MOVED)], WAITING, id="moves, perhaps not touched yet"),
        pytest.param(BEFORE, [(10, MOVED)], HEALTHY, id="moves, and looked well long enough"),
        pytest.param(BEFORE, [(60, BEFORE)], WAITING, id="checkpoint stands still"),
        pytest.param(BEFORE, [(1, TOUCHED)], HEALTHY, id="moves after a change"),
        pytest.param(BEFORE, [(1, STOPPED), (2, MOVED)], HEALTHY, id="moves after a stop"),
        pytest.param(BEFORE, [(1, STOPPED), (2, BEFORE)], WAITING, id="runs after a stop, stands still"),
        pytest.param(
            BEFORE, [(1, STOPPED), (2, seen(checkpoint=90)), (3, seen(checkpoint=91))], HEALTHY, id="repeats first"
        ),
        pytest.param(BEFORE, [(1, None), (2, TOUCHED)], HEALTHY, id="gone for a moment"),
        pytest.param(BEFORE, [(20, seen(checkpoint=None))], WAITING, id="no checkpoint"),
        pytest.param(BEFORE, [(1, BROKEN)], FAILED, id="exception"),
        pytest.param(STOPPED, [(1, BROKEN)], FAILED, id="exception after stopped"),
        pytest.param(None, [(1, BROKEN)], FAILED, id="exception, before not known"),
        pytest.param(BROKEN, [(99, BROKEN)], WAITING, id="exception as before"),
        pytest.param(BROKEN, [(1, BROKEN), (2, seen(checkpoint=101))], HEALTHY, id="mended"),
        pytest.param(STOPPED, [(10, STOPPED)], HEALTHY, id="stopped as before"),
        pytest.param(STOPPED, [(1, seen("STOPPED", modified="m2"))], HEALTHY, id="stopped as before, touched"),
        pytest.param(STOPPED, [(1, STOPPED)], WAITING, id="stopped as before, too early"),
        pytest.param(None, [(20, STOPPED)], WAITING, id="stopped, before not known"),
        pytest.param(None, [(1, BEFORE), (12, MOVED)], HEALTHY, id="moves between samples"),
        pytest.param(None, [(12, MOVED)], WAITING, id="one sample alone shows no movement"),
        pytest.param(seen(checkpoint=None), [(12, MOVED)], WAITING, id="nothing to compare the checkpoint with"),
        pytest.param(seen("FINISHED"), [(12, seen("FINISHED"))], HEALTHY, id="finished as before"),
        pytest.param(BEFORE, [(99, seen("NEW_WORD"))], WAITING, id="unknown word"),
    ],
)
def test_component_is_judged_by_what_was_seen(before, samples, verdict):
    assert judge(before, [Sample(float(after_s), component) for after_s, component in samples]) is verdict


@pytest.mark.parametrize(
    ("component", "words"),
    [
        pytest.param(None, "not listed by the server", id="absent"),
        pytest.param(seen(), "RUNNING, 3 s behind", id="running"),
        pytest.param(seen(delay_s=None), "RUNNING", id="no delay"),
        pytest.param(seen("EXCEPTION", errors="out of memory"), "EXCEPTION, 3 s behind: out of memory", id="errors"),
    ],
)
def test_component_is_described_in_a_few_words(component, words):
    assert describe(component) == words


def test_component_is_found_by_name():
    assert by_name([named("1-0"), named("1-1")], named("1-1").name) == named("1-1")
    assert by_name([named("1-0")], "other") is None


def test_components_of_a_link_are_ordered_by_position_not_by_text():
    listed = [named("1-10"), named("2-0"), named("1-2"), named("1-0", Link.REVERSE)]
    assert of_link(listed, Link.FORWARD) == [named("1-2"), named("1-10"), named("2-0")]


def test_names_of_another_form_are_ordered_by_text():
    assert [c.name for c in of_link([seen(name="b"), seen(name="a")], Link.FORWARD)] == ["a", "b"]


@pytest.mark.parametrize(
    ("link", "index", "found"),
    [
        pytest.param(Link.FORWARD, 0, named("1-0"), id="first"),
        pytest.param(Link.FORWARD, 1, named("1-1"), id="second"),
        pytest.param(Link.FORWARD, 2, None, id="beyond"),
        pytest.param(Link.REVERSE, 0, named("1-0", Link.REVERSE), id="other link"),
    ],
)
def test_role_is_found_by_position(link, index, found):
    listed = [named("1-1"), named("1-0", Link.REVERSE), named("1-0")]
    assert in_role(listed, ComponentRole("np_a", link, index)) == found


@pytest.mark.parametrize(
    ("positions", "whole"),
    [
        pytest.param((), True, id="none"),
        pytest.param(("1-0", "1-1", "2-0"), True, id="two sub-tasks"),
        pytest.param(("1-1",), False, id="the first is missing"),
        pytest.param(("1-0", "1-2"), False, id="one between is missing"),
        pytest.param(("1-0", "2-1"), False, id="the first of the second is missing"),
    ],
)
def test_gap_is_seen_by_the_positions_of_a_link(positions, whole):
    components = [named(position) for position in positions]
    other = named("1-5", Link.REVERSE)
    assert is_without_gap([*components, other, seen(name="opaque")], Link.FORWARD) is whole
