"""How far a reset moves a link, and what that costs, in sentences: backwards repeats changes, forwards loses them."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core import arrival
from reconciler.core.position import duration
from reconciler.model import Link, ObservedComponent, ObservedProject, Outlook, Stage

_LARGE = ((1_000_000_000, "billion"), (1_000_000, "million"))


def seen(outlook: Outlook, project: ObservedProject, components: Iterable[ObservedComponent]) -> Outlook:
    """The outlook with what the server reports just now.

    Args:
        outlook: of the plan.
        project: as `DescribeProjectProgress` shows it.
        components: those of the project.
    """
    found = tuple(components)
    link = Link.REVERSE if outlook.key.reverse else Link.FORWARD
    position = arrival.position(project, found, link)
    if position is None:
        return replace(outlook, problem=f"the server reports no position of the {link.value} link that is a time")
    rates = [each.tps for each in found if each.link is link and each.tps is not None]
    rows = abs(outlook.start_timestamp - position) * sum(rates) if rates and any(rates) else None
    return replace(outlook, position=position, rows=rows)


def sentences(outlook: Outlook) -> tuple[str, ...]:
    """What the reset does to the link's changes, or whether it seems to have done it; () when nobody looked."""
    if outlook.stage is Stage.UNKNOWN:
        return tuple(filter(None, (_evidence(outlook),)))
    if outlook.problem:
        return (f"the distance is not known: {outlook.problem}",)
    if outlook.position is None or outlook.shift_s is None:
        return ()
    span = duration(abs(outlook.shift_s))
    start, now = arrival.as_time(outlook.start_timestamp), arrival.as_time(outlook.position)
    if not outlook.shift_s:
        return (f"{start} is the present position: nothing is repeated and nothing skipped",)
    if outlook.shift_s < 0:
        return (f"back by {span}, from {now} to {start}: repeats the changes of {span}; {_repeated(outlook)}",)
    return (f"FORWARD by {span}, from {now} to {start}: SKIPS the changes of {span} for good; {_skipped(outlook)}",)


def _evidence(outlook: Outlook) -> str:
    """What the position tells of a reset with an unknown outcome; a hint only, as a link moves on by itself."""
    if outlook.problem:
        return f"where the link is now is not known: {outlook.problem}; look at the ticket of this reset"
    if outlook.position is None:
        return ""
    if outlook.position_before is None:
        now, there = arrival.as_time(outlook.position), arrival.as_time(outlook.start_timestamp)
        return (
            f"the link is at {now} now, and this reset would take it to {there}; where it was before is not known: look"
            " at its ticket"
        )
    return _compared(outlook.position, outlook.position_before, outlook.start_timestamp)


def _compared(seen: int, before: int, wanted: int) -> str:
    now, then, there = map(arrival.as_time, (seen, before, wanted))
    carried_out = f"it was probably carried out (it was at {then} before); look at its ticket, then --sent"
    not_carried_out = "it was probably not carried out; look at its ticket, then --not-sent"
    moves, stays = not _is_near(before, wanted), _is_near(seen, before)
    if moves and stays:
        return f"the link is at {now}, as before, and this reset would take it to {there}: {not_carried_out}"
    if moves and _is_near(seen, wanted):
        return f"the link is at {now} now, where this reset would take it: {carried_out}"
    if wanted < seen < before and not stays:  # nothing but a reset takes a link back
        return f"the link is at {now} now, on its way from {there}, where this reset would take it: {carried_out}"
    if moves and before < seen and not before < wanted < seen:
        return (
            f"the link is at {now} now, on from {then}, where it was before, and this reset would take it to {there}:"
            f" {not_carried_out}"
        )
    return (
        f"the link is at {now} now, it was at {then} before, and this reset would take it to {there}: that does not"
        " tell whether it was carried out; look at its ticket"
    )


def _is_near(one: int, other: int) -> bool:
    return abs(one - other) <= arrival.TOLERANCE_S


def _repeated(outlook: Outlook) -> str:
    return f"{_about(outlook.rows)} written again{'; a message sink repeats them' if outlook.messages else ''}"


def _skipped(outlook: Outlook) -> str:
    return f"{_about(outlook.rows)} never written"


def _about(rows: int | None) -> str:
    """How many rows are, with as many digits as an estimate has."""
    if rows is None:
        return "a number of rows that cannot be estimated, as nothing flows now, is"
    unit, word = next(((unit, f" {word}") for unit, word in _LARGE if rows >= unit), (1, ""))
    return f"about {_two_digits(rows / unit)}{word} rows (an estimate from the present rate) are"


def _two_digits(number: float) -> str:
    """Two digits, the others 0: "1.2", "150", "7,200"."""
    rounded = float(f"{number:.1e}")
    return f"{rounded:,.0f}" if rounded.is_integer() else f"{rounded}"
