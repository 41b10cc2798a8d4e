from reconciler.simulator.timeline import Timeline


def test_actions_happen_in_order_of_time_then_of_planning():
    timeline, seen = Timeline(), []
    for moment, name in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        timeline.at(moment, lambda at, name=name: seen.append((at, name)))
    timeline.run_until(1.5)
    assert seen == [(1.0, "first"), (1.0, "second")]
    assert timeline.last == 2.0


def test_what_an_action_plans_happens_in_the_same_run():
    timeline, seen = Timeline(), []
    timeline.at(1.0, lambda at: timeline.at(at + 1, seen.append))
    timeline.run_until(5.0)
    assert seen == [2.0]
    assert timeline.last is None
