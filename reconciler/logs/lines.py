"""Words an event for the log: what happened, why, and what a person can do about it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import singledispatch
from typing import TypeAlias

from reconciler.core.heads import named, short
from reconciler.core.status import State
from reconciler.events import (
    CallEnded,
    CallStarted,
    Event,
    FetchEnded,
    HeadChanged,
    HookAnswered,
    ItemEnded,
    Moved,
    Notice,
    PassEnded,
    StateChanged,
    TargetChanged,
    TaskGone,
)

Fact: TypeAlias = str | int | float

_WORSE = {
    State.FAILED: "error",
    State.INVALID: "error",
    State.UNCONFIRMED: "warning",
    State.BLOCKED: "warning",
    State.ORPHANED: "warning",
}
_STEPS_OF_TARGETS = {
    "misconfigured": "correct it in the configuration and reload; it is asked again by itself",
    "unreachable": "look at the server and the network; it is asked again by itself",
    "capability-missing": "upgrade the server, then reconciler resume --target {target}",
    "stopped": "look at the components in the console, then reconciler resume --target {target}",
}
_ANSWERS = ("config", "signal", "lifecycle")
"""Topics of what somebody asked for a moment ago, and waits to read."""

_CALLS = {
    "accepted": ("info", "{task}: {action} was accepted"),
    "retrying": ("warning", "{task}: {action} had no effect and is tried again"),
    "unknown": ("error", "{task}: {action} was not clearly answered, its effect is unknown"),
    "failed": ("error", "{task}: {action} was refused"),
}
_UNFINISHED = ("failed", "unknown", "unconfirmed", "pending", "blocked")
_RESERVED = frozenset({"event", "exc_info", "kind", "level", "message", "next", "priority", "reason", "self", "ts"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    level: str  # "debug", "info", "warning", "error"
    event: str  # what happened, without its reason
    kind: str  # what it is about, a closed set: "state-changed"
    group: str  # lines of one group share a burst; a closed set too: "state-changed blocked"
    subject: str = ""  # a task, a target, a topic
    mark: str = ""  # what makes it another line though it reads the same: the content, the revision
    reason: str = ""
    next: str = ""  # what to do; "" when nothing is to be done
    facts: Mapping[str, Fact] = field(default_factory=dict)
    always: bool = False  # never left out

    def fields(self) -> dict[str, Fact]:
        """Everything but level and event, without what is empty."""
        shown = {"kind": self.kind, "reason": self.reason, "next": self.next}
        ours = {f"fact_{key}" if key in _RESERVED else key: value for key, value in self.facts.items()}
        return {key: value for key, value in {**shown, **ours}.items() if value != ""}


def as_text(at: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: `2026-07-02T01:04:05Z`."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _known(**facts: Fact | None) -> dict[str, Fact]:
    return {key: value for key, value in facts.items() if value is not None}


@singledispatch
def line_of(event: Event) -> Line:
    """Word one event.

    Raises:
        TypeError: it is none of the daemon's events.
    """
    raise TypeError(f"expected an event of the daemon, found {type(event).__name__}")


@line_of.register
def _(event: StateChanged) -> Line:
    status, is_same = event.status, event.before is event.status.state
    state = status.state.value
    is_expected = status.state is State.SYNCED and event.before in (None, State.SYNCED)  # helps nobody at 3 a.m.
    return Line(
        level=_level(event, expected=is_expected),
        event=f"{status.task} is {'still ' if is_same else ''}{state}",
        kind="state-changed",
        group=f"state-changed {state}",
        subject=status.task,
        mark=event.content,
        reason=status.reason,
        next=status.next_step,
        facts=_known(
            task=status.task,
            state=state,
            before=event.before.value if event.before else None,
            until=as_text(status.until) if status.until else None,
            revision=status.revision,
            ticket=status.ticket,
            request_id=status.request_id,
        ),
    )


def _level(event: StateChanged, *, expected: bool) -> str:
    if event.status.state is State.BLOCKED and event.status.until is not None:
        return "info"  # it passes by itself
    return "debug" if expected else _WORSE.get(event.status.state, "info")


@line_of.register
def _(event: TaskGone) -> Line:
    return Line(
        level="info",
        event=f"{event.task} is no longer known",
        kind="task-gone",
        group="task-gone",
        subject=event.task,
        facts={"task": event.task, "before": event.before.value},
    )


@line_of.register
def _(event: CallStarted) -> Line:
    return Line(
        level="info",
        event=f"{event.task}: {event.action} is sent to {event.component}",
        kind="call-started",
        group="call-started",
        subject=event.task,
        mark=event.revision,
        facts={
            "task": event.task,
            "target": event.target,
            "attempt": event.attempt,
            "revision": event.revision,
            "plan": event.plan,
        },
    )


@line_of.register
def _(event: CallEnded) -> Line:
    level, text = _CALLS.get(event.outcome, ("error", "{task}: {action} ended in a way nobody expected"))
    return Line(
        level=level,
        event=text.format(task=event.task, action=event.action),
        kind="call-ended",
        group=f"call-ended {event.outcome}",
        subject=event.task,
        mark=event.revision,
        reason=event.message,
        facts=_known(
            task=event.task,
            target=event.target,
            component=event.component,
            outcome=event.outcome,
            seconds=round(event.seconds, 3),
            ticket=event.ticket,
            request_id=event.request_id,
            revision=event.revision,
            plan=event.plan,
        ),
        always=event.outcome in ("accepted", "unknown"),  # these restarted a component, or may have
    )


@line_of.register
def _(event: ItemEnded) -> Line:
    return Line(
        level="info" if event.status in _UNFINISHED else "debug",
        event=f"{event.task}: {event.action} is {event.status}",
        kind="item-ended",
        group=f"item-ended {event.status}",
        subject=event.task,
        reason=event.message,
        facts=_known(
            task=event.task,
            target=event.target,
            status=event.status,
            retry_in_s=round(event.retry_in_s, 1) if event.retry_in_s is not None else None,
            ticket=event.ticket,
            request_id=event.request_id,
        ),
    )


@line_of.register
def _(event: PassEnded) -> Line:
    line = Line(
        level="debug",
        event=f"looked at {event.tasks:,} tasks",
        kind="pass-ended",
        group="pass-ended",
        subject="pass",
        facts={"cause": event.cause, "tasks": event.tasks, "seconds": round(event.seconds, 3)},
    )
    if event.problem:
        return replace(line, level="error", event="the tasks could not be looked at", reason=event.problem)
    if event.frozen:
        return replace(line, level="error", event="nothing is sent to any target", reason=event.frozen)
    return replace(line, level="info") if event.cause == "start" else line


@line_of.register
def _(event: TargetChanged) -> Line:
    line = Line(
        level="info",
        event=f"target {event.target} can be used again",
        kind="target-changed",
        group="target-changed",
        subject=event.target,
        reason=event.message,
        facts={"target": event.target, "trouble": event.kind},
    )
    if not event.kind:
        return line
    step = _STEPS_OF_TARGETS.get(event.kind, "").replace("{target}", event.target)
    return replace(line, level="error", event=f"target {event.target} cannot be used ({event.kind})", next=step)


@line_of.register
def _(event: Moved) -> Line:
    return Line(
        level="warning",
        event=f"{event.task} moved to another host: {event.before} is now {event.now}",
        kind="moved",
        group="moved",
        subject=event.task,
        next="nothing; a move alone sends nothing",
        facts={"task": event.task, "before": event.before, "component": event.now},
    )


@line_of.register
def _(event: HeadChanged) -> Line:
    head, facts = event.head, {"revision": event.head.commit.id, "ref": event.head.ref}
    line = Line(
        level="info",
        event=f"reads commit {named(head.commit)}",
        kind="head-changed",
        group="head-changed",
        subject=head.ref,
        mark=head.commit.id,
        facts={**facts, **_known(tasks=event.tasks)},
    )
    if not head.kind:
        return line
    newest = f"commit {short(head.newest)}" if head.newest else head.ref
    text = f"{newest} is not followed ({head.kind}), {named(head.commit)} stays in force"
    return replace(line, level="error", event=text, reason=head.problem, facts={**facts, "newest": head.newest})


@line_of.register
def _(event: FetchEnded) -> Line:
    return Line(
        level="debug",
        event="nothing could be fetched" if event.problem else "fetched",
        kind="fetch-ended",
        group="fetch-ended",
        subject="fetch",
        reason=event.problem,
        facts={"seconds": round(event.seconds, 3)},
    )


@line_of.register
def _(event: HookAnswered) -> Line:
    is_expected = event.outcome in ("accepted", "ping")
    return Line(
        level="debug" if is_expected else "warning",
        event=f"a request to /hooks/push was answered: {event.outcome}",
        kind="hook-answered",
        group=f"hook-answered {event.outcome}",
        subject="hook",
        next="" if is_expected else "see docs/webhook.md; if the code host sent it, compare the secrets",
        facts={"outcome": event.outcome},
    )


@line_of.register
def _(event: Notice) -> Line:
    return Line(
        always=event.topic in _ANSWERS,
        level=event.level,
        event=event.text,
        kind="notice",
        group=f"notice {event.topic} {event.level}",
        subject=f"{event.topic} {event.facts.get('task', '')}",
        facts={"topic": event.topic, **event.facts},
    )
