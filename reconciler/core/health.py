"""Is a component well after an update? Judged from what `DescribeProjectComponents` shows, the only read there is.

Accepted is not done: a call returns a ticket that no API can read, and a ticket may succeed while the component did
not start. So the component itself is watched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from reconciler.core.names import position_of
from reconciler.model import ComponentRole, Link, ObservedComponent

RUNNING = "RUNNING"
EXCEPTION = "EXCEPTION"
SETTLE_S = 10.0
"""How long a component must look well when nothing shows that the update reached it."""


class Verdict(Enum):
    """What the samples say so far."""

    WAITING = "waiting"
    HEALTHY = "healthy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Sample:
    """The component at one moment after the update; None when it is not listed."""

    after_s: float  # seconds since the update was accepted
    component: ObservedComponent | None


def judge(before: ObservedComponent | None, samples: Sequence[Sample]) -> Verdict:
    """Judge a component by what was seen since the update was accepted.

    Args:
        before: how it was just before the call; None when that is not known.
        samples: oldest first, at least one.

    Returns:
        HEALTHY when it runs with a moving checkpoint, or is again in the state it had before, and either something
        shows that the update reached it or it has looked well for SETTLE_S; FAILED when it is in EXCEPTION and was not
        before; WAITING else.
    """
    last = samples[-1]
    now = last.component
    if now is None:
        return Verdict.WAITING
    if now.status == EXCEPTION:
        return Verdict.FAILED if before is None or before.status != EXCEPTION else Verdict.WAITING
    if not _is_well(before, samples, now):
        return Verdict.WAITING
    return Verdict.HEALTHY if _was_touched(before, samples) or last.after_s >= SETTLE_S else Verdict.WAITING


def _is_well(before: ObservedComponent | None, samples: Sequence[Sample], now: ObservedComponent) -> bool:
    if now.status == RUNNING:
        return _moves(before, samples, now)
    return before is not None and now.status == before.status


def _moves(before: ObservedComponent | None, samples: Sequence[Sample], now: ObservedComponent) -> bool:
    """Whether the checkpoint is ahead of one that was seen earlier."""
    earlier = [before, *(sample.component for sample in samples[:-1])]
    known = [seen.checkpoint for seen in earlier if seen is not None and seen.checkpoint is not None]
    return now.checkpoint is not None and bool(known) and now.checkpoint > min(known)


def _was_touched(before: ObservedComponent | None, samples: Sequence[Sample]) -> bool:
    """Whether it was seen stopped, or its time of modification changed (a hint only)."""
    seen = [sample.component for sample in samples if sample.component is not None]
    stopped = any(component.status != seen[-1].status for component in seen)
    return stopped or (before is not None and seen[-1].modified != before.modified)


def describe(component: ObservedComponent | None) -> str:
    """One component in a few words: "RUNNING, 3 s behind"."""
    if component is None:
        return "not listed by the server"
    behind = f", {component.delay_s} s behind" if component.delay_s is not None else ""
    errors = f": {component.errors}" if component.errors else ""
    return f"{component.status}{behind}{errors}"


def by_name(components: Sequence[ObservedComponent], name: str) -> ObservedComponent | None:
    """The component of that name, or None."""
    return next((component for component in components if component.name == name), None)


def of_link(components: Sequence[ObservedComponent], link: Link) -> list[ObservedComponent]:
    """Components of one link, in the order of their position in the project.

    Source:
        the position is the last part of the name's third segment; INFERRED from the documented sample names.
    """
    return sorted(
        (component for component in components if component.link is link),
        key=lambda c: (position_of(c.name) or (0, 0), c.name),
    )


def in_role(components: Sequence[ObservedComponent], role: ComponentRole) -> ObservedComponent | None:
    """The component that has a role in its project now, or None."""
    candidates = of_link(components, role.link)
    return candidates[role.index] if role.index < len(candidates) else None


def is_without_gap(components: Sequence[ObservedComponent], link: Link) -> bool:
    """Whether the components of a link are numbered 0, 1, 2, ... within each sub-task, as far as their names tell."""
    positions = [position for c in components if c.link is link and (position := position_of(c.name))]
    return all((sub, index - 1) in positions for sub, index in positions if index)
