"""The position that is filled in for `${oms:checkpoint}`: where a component is started again after a deletion.

A deletion replaces the whole configuration, and the start position is a part of it. One that is old makes the
component write again what came after it; one in the future would skip what comes before it.
"""

from datetime import datetime

from reconciler.core import canonical
from reconciler.core.arrival import as_time
from reconciler.model import CHECKPOINT_REFERENCE, JsonObject, Sections

RAIL = "checkpoint"
"""As `--force` takes it."""

MARGIN_S = 60
"""How far behind the reported position a component restarts, so that nothing is skipped."""

AHEAD_S = 60
"""How far ahead of our clock a reported position may be: clocks of two hosts differ."""

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_ENOUGH = 2  # of a unit, so that rounding takes off little


def is_asked_for(sections: Sections) -> bool:
    """Whether files as written leave the position to OMS."""
    return bool(sections["source"].get("checkpoint") == CHECKPOINT_REFERENCE)


def refusal(position: int | str | None, now: datetime, max_age_s: float, *, forced: bool) -> str:
    """Why a component must not be started from *position*; "" when it may.

    Args:
        position: what OMS reports just now: unix seconds, a text of another form, or nothing.
        now: aware.
        max_age_s: how old it may be, seconds.
        forced: whether somebody said that its age does not matter.
    """
    if isinstance(position, str):
        return _cannot(
            f'the server reports "{position}", which is no time, and how to start from that is not documented'
        )
    if position is None or position <= 0:
        return _cannot("the server reports no checkpoint")
    return "" if forced else _bad_age(position, now.timestamp() - position, max_age_s)


def _cannot(reason: str) -> str:
    return f"{CHECKPOINT_REFERENCE} cannot be filled in: {reason}"


def _bad_age(position: int, age_s: float, max_age_s: float) -> str:
    at, newest, lift = (
        as_time(position),
        "the newest checkpoint that OMS reports is",
        f"or --force {RAIL} --reason TEXT",
    )
    if age_s > max_age_s:
        return (
            f"{newest} {duration(age_s)} old ({at}): what came after it would be repeated; wait until the component has"
            f" caught up, {lift} (policy.checkpoint_max_age_s is {max_age_s:g})"
        )
    if age_s < -AHEAD_S:
        return (
            f"{newest} {duration(-age_s)} in the future ({at}): what comes before it could be skipped; set the clocks"
            f" of this host and of OMS right, {lift}"
        )
    return ""


def filled_in(sections: Sections, position: int) -> Sections:
    """Sections to send, with the margin before *position* as the start of every client.

    Args:
        sections: in wire form; every client has a `clientId`.
        position: unix seconds.

    Source:
        https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862039 (client id as key, time as value);
        seconds are INFERRED
    """
    source: JsonObject = sections["source"]
    start = canonical.scalar_text(position - MARGIN_S)
    return {**sections, "source": {**source, "checkpoint": {client["clientId"]: start for client in source["clients"]}}}


def has_clients(sections: Sections) -> bool:
    """Whether a start can be said for every client."""
    clients = sections["source"].get("clients") or ()
    return bool(clients) and all("clientId" in client for client in clients)


def duration(seconds: float) -> str:
    """A time span in its largest unit that says enough: "3 h", "90 min", "40 s"; rounded down."""
    whole = int(seconds)
    return next((f"{whole // size} {unit}" for size, unit in _UNITS if whole >= _ENOUGH * size), f"{whole} s")
