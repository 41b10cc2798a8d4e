from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isnan

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from reconciler.core.status import State, TaskStatus
from reconciler.events import (
    CallEnded,
    CallStarted,
    FetchEnded,
    HookAnswered,
    Moved,
    Notice,
    PassEnded,
    SourceVitals,
    StateChanged,
    Vitals,
)
from reconciler.metrics import MOST_NAMES, Metrics
from reconciler.model import Stage

NOW = datetime(2026, 7, 2, 1, 4, 5, tzinfo=UTC)
VITALS = Vitals(
    alive="",
    ready="",
    states={State.SYNCED: 9_990, State.FAILED: 10},
    invalid_files=3,
    waiting=4,
    oldest_s=1.5,
    in_flight=2,
    restarts=7,
    last_pass=NOW - timedelta(seconds=30),
    last_call=None,
    targets={"default": "", "dc2": "unreachable"},
    revision="1f2e",
    resets={Stage.DONE: 5, Stage.UNKNOWN: 1},
    stopped=2,
)


def changed(state, before, task="shop/orders"):
    return StateChanged(TaskStatus(task, state, None, "", "", None, "", None, None), before, {}, "digest")


def call(outcome="accepted", target="default", action="update"):
    return CallEnded("shop/orders", target, action, outcome, 0.2, "component", "revision", "plan")


def samples(metrics):
    """`{(name, (label, value), ...): value}` as a scrape reads them."""
    families = text_format(metrics.render("")[0].decode())
    return {(each.name, *sorted(each.labels.items())): each.value for family in families for each in family.samples}


@pytest.fixture
def metrics():
    return Metrics(lambda: VITALS, "1.2.3", lambda: NOW, lambda: 0.0)


def test_every_name_begins_alike(metrics):
    assert {name for name, *_ in samples(metrics) if not name.startswith("reconciler_")} == set()


def test_every_state_is_there_even_without_tasks(metrics):
    found = samples(metrics)
    assert found["reconciler_tasks", ("state", "synced")] == 9_990
    assert found["reconciler_tasks", ("state", "failed")] == 10
    assert [found["reconciler_tasks", ("state", state.value)] for state in State].count(0) == len(State) - 2


def test_every_stage_of_a_reset_is_there_even_without_any(metrics):
    found = samples(metrics)
    assert (found["reconciler_resets", ("stage", "done")], found["reconciler_resets", ("stage", "unknown")]) == (5, 1)
    assert [found["reconciler_resets", ("stage", stage.value)] for stage in Stage].count(0) == len(Stage) - 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stopped_projects", 2),
        ("alive", 1),
        ("ready", 1),
        ("queue_depth", 4),
        ("queue_oldest_seconds", 1.5),
        ("in_flight", 2),
        ("invalid_files", 3),
        ("last_pass_age_seconds", 30),
    ],
)
def test_what_is_true_now_is_asked_for(metrics, name, value):
    assert samples(metrics)[f"reconciler_{name}",] == value


def test_trouble_of_the_daemon_is_a_zero():
    found = samples(Metrics(lambda: replace(VITALS, alive="stuck", ready="store is read-only"), "1"))
    assert (found["reconciler_alive",], found["reconciler_ready",]) == (0, 0)


def test_without_a_pass_its_age_counts_from_the_start():
    seconds = [100.0]
    metrics = Metrics(lambda: replace(VITALS, last_pass=None), "1", lambda: NOW, lambda: seconds[0])
    seconds[0] = 160.0
    assert samples(metrics)["reconciler_last_pass_age_seconds",] == 60


def test_without_a_call_its_age_is_not_a_number(metrics):
    assert isnan(samples(metrics)["reconciler_last_call_age_seconds",])


def test_a_clock_that_was_set_back_makes_no_negative_age():
    metrics = Metrics(lambda: VITALS, "1", lambda: NOW - timedelta(hours=1))
    assert samples(metrics)["reconciler_last_pass_age_seconds",] == 0


def test_a_target_says_what_its_trouble_is(metrics):
    found = samples(metrics)
    assert found["reconciler_target_usable", ("target", "default")] == 1
    assert found["reconciler_target_usable", ("target", "dc2")] == 0
    assert found["reconciler_target_trouble", ("kind", "unreachable"), ("target", "dc2")] == 1
    assert found["reconciler_target_trouble", ("kind", "stopped"), ("target", "dc2")] == 0


def test_a_target_that_left_the_configuration_leaves_the_gauges():
    now = [VITALS]
    metrics = Metrics(lambda: now[0], "1")
    assert ("reconciler_target_usable", ("target", "dc2")) in samples(metrics)
    now[0] = replace(VITALS, targets={"default": ""})
    assert ("reconciler_target_usable", ("target", "dc2")) not in samples(metrics)


def test_calls_of_a_target_start_at_zero(metrics):
    found = samples(metrics)
    assert found["reconciler_restarts_total", ("target", "dc2")] == 0
    labels = (("action", "update"), ("outcome", "failed"), ("target", "dc2"))
    assert found["reconciler_calls_total", *labels] == 0


def test_a_call_is_counted_and_timed(metrics):
    metrics(call())
    metrics(call("failed"))
    found = samples(metrics)
    labels = (("action", "update"), ("outcome", "accepted"), ("target", "default"))
    assert found["reconciler_calls_total", *labels] == 1
    labels = (("action", "update"), ("target", "default"))
    assert found["reconciler_call_duration_seconds_count", *labels] == 2
    assert found["reconciler_call_duration_seconds_sum", *labels] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (call(), 1),
        (call(action="update+delete"), 1),
        (call(action="reset"), 0),
        (call("unknown"), 0),
        (call("failed"), 0),
        (call("retrying"), 0),
        (CallStarted("t", "default", "update", "c", 1, "r", "p"), 0),
    ],
)
def test_only_an_accepted_update_is_a_restart(metrics, event, count):
    metrics(event)
    assert samples(metrics)["reconciler_restarts_total", ("target", "default")] == count


@pytest.mark.parametrize(
    ("event", "result"),
    [
        (PassEnded("resync", 9, 0.5), "complete"),
        (PassEnded("resync", 9, 0.5, frozen="all vanished"), "frozen"),
        (PassEnded("resync", 9, 0.5, problem="no directory"), "failed"),
    ],
)
def test_a_pass_is_counted_and_timed(metrics, event, result):
    metrics(event)
    found = samples(metrics)
    assert found["reconciler_passes_total", ("cause", "resync"), ("result", result)] == 1
    assert found["reconciler_pass_duration_seconds_sum", ("cause", "resync")] == 0.5


def test_coming_into_a_state_is_counted_but_not_staying_there(metrics):
    metrics(changed(State.FAILED, State.APPLYING))
    metrics(changed(State.FAILED, State.FAILED))
    assert samples(metrics)["reconciler_state_changes_total", ("state", "failed")] == 1


def test_moves_notices_and_notifications_are_counted(metrics):
    metrics(Moved("t", "a", "b"))
    metrics(Notice("warning", "watch", "overflow"))
    metrics.notification("mail", "failed")
    found = samples(metrics)
    assert found["reconciler_moved_components_total",] == 1
    assert found["reconciler_notices_total", ("level", "warning"), ("topic", "watch")] == 1
    assert found["reconciler_notifications_total", ("channel", "mail"), ("outcome", "failed")] == 1


def test_what_runs_is_named(metrics):
    build = [dict(labels) for name, *labels in samples(metrics) if name == "reconciler_build_info"]
    assert [each["version"] for each in build] == ["1.2.3"]


def test_the_process_is_measured(metrics):
    found = samples(metrics)
    assert found["reconciler_process_open_fds",] > 0
    assert found["reconciler_process_resident_memory_bytes",] > 1_000_000
    assert found["reconciler_process_start_time_seconds",] > 0


def test_labels_stay_few_whatever_events_say(metrics):
    counts = []
    for number in range(500):
        metrics(call(f"outcome {number}", action=f"action {number}"))
        metrics(PassEnded(f"cause {number}", 1, 0.1))
        metrics(Notice(f"level {number}", f"topic {number}", "text"))
        metrics(changed(State.FAILED, State.SYNCED, f"task {number}"))
        metrics.notification("mail", f"outcome {number}")
        if number in (0, 499):
            counts.append(len(samples(metrics)))
    assert counts[0] == counts[1]


def test_names_beyond_the_limit_share_a_label(metrics):
    for number in range(10 * MOST_NAMES):
        metrics(call(target=f"t{number}"))
        metrics.notification(f"c{number}", "sent")
    found = samples(metrics)
    assert len({key for key in found if key[0] == "reconciler_restarts_total"}) == MOST_NAMES + 1
    assert len({key for key in found if key[0] == "reconciler_notifications_total"}) == MOST_NAMES + 1
    assert found["reconciler_restarts_total", ("target", "other")] == 9 * MOST_NAMES


def test_two_in_one_process_do_not_meet(metrics):
    other = Metrics(lambda: VITALS, "1.2.3")
    other(call())
    assert samples(metrics)["reconciler_restarts_total", ("target", "default")] == 0


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("", "text/plain; version=0.0.4", text_format),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain; version=0.0.4", text_format),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", open_metrics),
    ],
)
def test_a_scrape_gets_the_format_that_it_asks_for(metrics, accept, content_type, parse):
    metrics(call())
    body, found = metrics.render(accept)
    assert found.startswith(content_type)
    assert "reconciler_tasks" in {family.name for family in parse(body.decode())}


# --- commits -----------------------------------------------------------------------------------------------------------


def test_what_keeps_the_newest_commit_from_being_followed_is_a_one(metrics):
    assert {value for (name, *_), value in samples(metrics).items() if name == "reconciler_source_problem"} == {0}
    behind = replace(VITALS, source=SourceVitals("1f2e", "unsigned"))
    found = samples(Metrics(lambda: behind, "1"))
    ones = [labels for (name, *labels), value in found.items() if name == "reconciler_source_problem" and value]
    assert ones == [[("kind", "unsigned")]]


def test_the_last_fetch_is_told_by_its_time(metrics):
    assert isnan(samples(metrics)["reconciler_last_fetch_timestamp_seconds",])
    fetched = Metrics(lambda: replace(VITALS, source=SourceVitals("1f2e", "", NOW)), "1")
    assert samples(fetched)["reconciler_last_fetch_timestamp_seconds",] == NOW.timestamp()


def test_fetches_and_requests_are_counted_from_zero(metrics):
    metrics(FetchEnded(0.1))
    metrics(FetchEnded(0.1, "no route"))
    metrics(HookAnswered("refused"))
    metrics(HookAnswered("something new"))
    found = samples(metrics)
    assert found["reconciler_fetch_total", ("outcome", "fetched")] == 1
    assert found["reconciler_fetch_total", ("outcome", "failed")] == 1
    assert found["reconciler_webhook_requests_total", ("outcome", "refused")] == 1
    assert found["reconciler_webhook_requests_total", ("outcome", "accepted")] == 0
    assert found["reconciler_webhook_requests_total", ("outcome", "other")] == 1
