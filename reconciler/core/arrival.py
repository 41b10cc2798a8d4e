"""Where a link reads from, and whether a reset has moved it there."""

from collections.abc import Iterable
from datetime import UTC, datetime

from reconciler.model import Link, ObservedComponent, ObservedProject

TOLERANCE_S = 60
"""How far from the wanted position one that is seen may be.

Source:
    OMS gathers positions every 10 s and the writer stores its own every 10 s; github.com/oceanbase/odc allows 25 s
"""

_MOMENTS = range(253_402_300_800)  # unix seconds until the end of the year 9999


def position(project: ObservedProject, components: Iterable[ObservedComponent], link: Link) -> int | None:
    """Unix seconds up to which a link is written; None when nothing tells, or only in a form that is no time.

    Args:
        project: as `DescribeProjectProgress` shows it.
        components: those of the project; asked where the project itself has no time.
        link: of the project.
    """
    said = project.reverse_checkpoint if link is Link.REVERSE else project.checkpoint
    if isinstance(said, int) and said > 0:
        return said
    known = [each.checkpoint for each in components if each.link is link and each.checkpoint is not None]
    return min(known, default=None)


def has_arrived(seen: int | None, before: int | None, wanted: int) -> bool:
    """Whether a position shows that a reset had its effect; a link that runs moves on from where it was put.

    Args:
        seen: the position now, unix seconds.
        before: the position just before the reset.
        wanted: where the reset puts it.
    """
    if seen is None:
        return False
    if abs(seen - wanted) <= TOLERANCE_S:
        return True
    if before is None or seen < wanted:
        return False
    return before <= wanted or seen < before - TOLERANCE_S  # nothing but a reset takes a link back


def as_time(unix_s: int | None) -> str:
    """A position for people: "2026-11-20 00:00:00Z"; as it is where it is no time, as a server may report anything."""
    if unix_s is None:
        return "an unknown position"
    if unix_s not in _MOMENTS:
        return str(unix_s)
    return datetime.fromtimestamp(unix_s, UTC).isoformat(sep=" ").replace("+00:00", "Z")
