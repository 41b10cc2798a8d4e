import pytest

from reconciler.simulator.settings import Switches, Timing, changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"merge": "shallow"},
        {"update_starts_stopped": "yes"},
        {"omit": "success"},
        {"omit": (1,)},
        {"first_ticket": True},
        {"unsupported_code": 3},
    ],
)
def test_switches_refuse_what_they_do_not_know(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        Switches(**wrong)


@pytest.mark.parametrize("wrong", [-1, "2", True])
def test_durations_are_numbers_from_zero(wrong):
    with pytest.raises(ValueError, match="stop_s: expected"):
        Timing(stop_s=wrong)


def test_changes_keep_the_rest():
    assert changed(Switches(merge="deep"), {"omit": ["code"]}) == Switches(merge="deep", omit=("code",))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown: mrege; known: "):
        changed(Switches(), {"mrege": "deep"})


def test_a_restart_takes_queue_stop_and_start():
    assert Timing(queue_s=1, stop_s=2, start_s=4).restart_s == 7
