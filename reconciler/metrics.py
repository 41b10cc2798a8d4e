"""Counts what happens, for Prometheus. It decides nothing, and what it exports stays small.

What is true at one moment (states, queue, targets) is asked for when a scrape comes; what happened is counted from
events. Every label has a closed set of values: a task's name is none, and a name too many counts as "other".
"""

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from math import nan

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from reconciler.core.status import State
from reconciler.events import (
    TOPICS,
    CallEnded,
    Event,
    FetchEnded,
    HookAnswered,
    Moved,
    Notice,
    PassEnded,
    SourceVitals,
    StateChanged,
    Vitals,
)
from reconciler.model import Action, Stage

OTHER = "other"
MOST_NAMES = 200  # targets, and channels, that have a label of their own
CAUSES = ("start", "event", "commit", "resync", "retry", "command")
RESULTS = ("complete", "frozen", "failed")
ACTIONS = tuple(action.value for action in Action if action.sends)
OUTCOMES = ("accepted", "retrying", "unknown", "failed")
TROUBLES = ("misconfigured", "unreachable", "capability-missing", "stopped")
LEVELS = ("info", "warning", "error")
NOTIFICATIONS = ("sent", "failed", "dropped")
PROBLEMS = ("rewritten", "unrelated", "unsigned", "unreadable", "gone")
FETCHES = ("fetched", "failed")
HOOKS = ("accepted", "ping", "refused", "too-large", "limited", "incomplete")

_PASS_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)  # seconds; one task to 10,000 tasks
_CALL_BUCKETS = (0.03, 0.1, 0.3, 1, 3, 10, 30, 60)


class Metrics:
    """A registry of its own, fed by events.

    Args:
        vitals: how the daemon is now; asked once a scrape.
        version: of the program.
        now: aware time, against which ages are counted.
        monotonic: seconds since some moment, never going back.
    """

    def __init__(
        self,
        vitals: Callable[[], Vitals],
        version: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for every counter, which nobody asks
        self._vitals = vitals
        self._targets, self._channels = _Names(), _Names()
        self._registry = CollectorRegistry()
        self._registry.register(_Now(self._asked, now, monotonic))  # first: it makes the counters of new targets
        self._count = _Counts(self._registry)
        build = Info("reconciler_build", "What runs.", registry=self._registry)
        build.info({"version": version, "python": platform.python_version()})
        ProcessCollector("reconciler", registry=self._registry)

    def __call__(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, PassEnded):
            self._pass_ended(event)
        elif isinstance(event, CallEnded):
            self._call_ended(event)
        elif isinstance(event, StateChanged) and event.before is not event.status.state:
            self._count.state_changes.labels(event.status.state.value).inc()
        elif isinstance(event, FetchEnded):
            self._count.fetches.labels("failed" if event.problem else "fetched").inc()
        elif isinstance(event, HookAnswered):
            self._count.hooks.labels(_one_of(HOOKS, event.outcome)).inc()
        elif isinstance(event, Moved):
            self._count.moves.inc()
        elif isinstance(event, Notice):
            self._count.notices.labels(_one_of(LEVELS, event.level), _one_of(TOPICS, event.topic)).inc()

    def notification(self, channel: str, outcome: str) -> None:
        """Count what became of one message.

        Args:
            channel: its name in the configuration.
            outcome: "sent", "failed" or "dropped".
        """
        self._count.notifications.labels(self._channels.known(channel), _one_of(NOTIFICATIONS, outcome)).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """What a scrape is answered with.

        Args:
            accept: the request's header; decides between OpenMetrics and the older text format.

        Returns:
            Body and content type.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _asked(self) -> Vitals:
        """How the daemon is; its targets are counted from 0 on, so that their first rise is seen."""
        vitals = self._vitals()
        for target in map(self._targets.known, vitals.targets):
            self._count.restarts.labels(target)
            for action in ACTIONS:
                for outcome in OUTCOMES:
                    self._count.calls.labels(target, action, outcome)
        return vitals

    def _pass_ended(self, event: PassEnded) -> None:
        cause = _one_of(CAUSES, event.cause)
        result = "failed" if event.problem else "frozen" if event.frozen else "complete"
        self._count.passes.labels(cause, result).inc()
        self._count.pass_seconds.labels(cause).observe(event.seconds)

    def _call_ended(self, event: CallEnded) -> None:
        target, action = self._targets.known(event.target), _one_of(ACTIONS, event.action)
        self._count.calls.labels(target, action, _one_of(OUTCOMES, event.outcome)).inc()
        self._count.call_seconds.labels(target, action).observe(event.seconds)
        if event.outcome == "accepted" and action != Action.RESET.value:
            self._count.restarts.labels(target).inc()


def _one_of(known: tuple[str, ...], value: str) -> str:
    return value if value in known else OTHER


class _Names:
    """Names from the configuration, which a reload may change: those that come first keep their label."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def known(self, name: str) -> str:
        with self._lock:
            if len(self._known) < MOST_NAMES:
                self._known.add(name)
            return name if name in self._known else OTHER


class _Counts:
    """What is counted from events; labels that are known beforehand start at 0, so that their first rise is seen."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"reconciler_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"reconciler_{name}", text, labels, buckets=buckets, registry=registry)

        self.passes = counter("passes_total", "Looks at tasks that ended.", "cause", "result")
        self.pass_seconds = histogram(
            "pass_duration_seconds", "How long a look at tasks took, without calls.", _PASS_BUCKETS, "cause"
        )
        self.calls = counter("calls_total", "Writing calls that ended.", "target", "action", "outcome")
        self.call_seconds = histogram(
            "call_duration_seconds", "How long a writing call took.", _CALL_BUCKETS, "target", "action"
        )
        self.restarts = counter("restarts_total", "Accepted updates: each restarts what it addresses.", "target")
        self.state_changes = counter("state_changes_total", "How often a task came into a state.", "state")
        self.moves = counter("moved_components_total", "Components that were found under another name.")
        self.notices = counter("notices_total", "What the daemon had to say besides.", "level", "topic")
        self.notifications = counter("notifications_total", "Messages to people.", "channel", "outcome")
        self.fetches = counter("fetch_total", "Fetches of new commits.", "outcome")
        self.hooks = counter("webhook_requests_total", "Requests to /hooks/push.", "outcome")
        for outcome in FETCHES:
            self.fetches.labels(outcome)
        for outcome in HOOKS:
            self.hooks.labels(outcome)
        for state in State:
            self.state_changes.labels(state.value)
        for cause in CAUSES:
            self.pass_seconds.labels(cause)
            for result in RESULTS:
                self.passes.labels(cause, result)
        for topic in TOPICS:
            for level in LEVELS:
                self.notices.labels(level, topic)


class _Now(Collector):
    """What is true when a scrape comes."""

    def __init__(
        self, vitals: Callable[[], Vitals], now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._vitals = vitals
        self._now = now
        self._monotonic = monotonic
        self._started = monotonic()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the daemon cannot be asked how it is before it is there."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Ask the daemon, once."""
        vitals = self._vitals()
        yield _gauge("alive", "1 while the loop makes progress.", not vitals.alive)
        yield _gauge("ready", "1 when the daemon is ready to work.", not vitals.ready)
        yield _gauge("queue_depth", "Tasks that could be looked at or sent now.", vitals.waiting)
        yield _gauge("queue_oldest_seconds", "How long the oldest of them has waited.", vitals.oldest_s)
        yield _gauge("in_flight", "Components between call and verification.", vitals.in_flight)
        yield _gauge("invalid_files", "Files with an error.", vitals.invalid_files)
        yield _gauge(
            "last_pass_age_seconds",
            "Time since the last complete look at tasks; since the start when there was none.",
            self._age_s(vitals.last_pass, self._monotonic() - self._started),
        )
        yield _gauge(
            "last_call_age_seconds",
            "Time since the last accepted call; NaN when there was none.",
            self._age_s(vitals.last_call, nan),
        )
        yield _tasks(vitals)
        yield from _resets(vitals)
        yield from _targets(vitals)
        yield from _source(vitals.source)

    def _age_s(self, at: datetime | None, never_s: float) -> float:
        return never_s if at is None else max(0.0, (self._now() - at).total_seconds())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"reconciler_{name}", text, value)


def _tasks(vitals: Vitals) -> Metric:
    tasks = GaugeMetricFamily("reconciler_tasks", "Tasks in each state.", labels=["state"])
    for state in State:
        tasks.add_metric([state.value], vitals.states.get(state, 0))
    return tasks


def _resets(vitals: Vitals) -> Iterator[Metric]:
    resets = GaugeMetricFamily("reconciler_resets", "Rows of the ledger of resets in each stage.", labels=["stage"])
    for stage in Stage:
        resets.add_metric([stage.value], vitals.resets.get(stage, 0))
    yield resets
    yield _gauge("stopped_projects", "Projects that were stopped for a reset and not told to go on.", vitals.stopped)


def _targets(vitals: Vitals) -> Iterator[Metric]:
    usable = GaugeMetricFamily("reconciler_target_usable", "1 while calls may go to a target.", labels=["target"])
    trouble = GaugeMetricFamily(
        "reconciler_target_trouble", "1 for what keeps a target from being used.", labels=["target", "kind"]
    )
    for name, kind in sorted(vitals.targets.items())[:MOST_NAMES]:
        usable.add_metric([name], not kind)
        for each in (*TROUBLES, OTHER):
            trouble.add_metric([name, each], kind != "" and each == _one_of(TROUBLES, kind))
    yield usable
    yield trouble


def _source(source: SourceVitals) -> Iterator[Metric]:
    problem = GaugeMetricFamily(
        "reconciler_source_problem", "1 for what keeps the newest commit from being followed.", labels=["kind"]
    )
    for each in (*PROBLEMS, OTHER):
        problem.add_metric([each], source.problem != "" and each == _one_of(PROBLEMS, source.problem))
    yield problem
    yield _gauge(
        "last_fetch_timestamp_seconds",
        "Unix time of the end of the last fetch that went well; NaN when there was none.",
        nan if source.last_fetch is None else source.last_fetch.timestamp(),
    )
