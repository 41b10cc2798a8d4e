"""The position that is filled in for `${oms:checkpoint}`: where a component is started again after a deletion.

A deletion replaces the whole configuration, and the start position is a part of it. One that is old makes the
component write again what came after it; one in the future would skip what comes before it.

How old it is shows just before the call only. What a call met is remembered, so that it can be told afterwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.core import canonical
from reconciler.core.arrival import as_time
from reconciler.model import CHECKPOINT_REFERENCE, Action, Item, JsonObject, Sections

RAIL = "checkpoint"
"""As `--force` takes it."""

HELD = "(checkpoint)"
"""Channel under which the store keeps what this rail held just before a call, `{Address.id: mark}`: no channel of
notifications can have that name."""

MARGIN_S = 60
"""How far behind the reported position a component restarts, so that nothing is skipped."""

AHEAD_S = 60
"""How far ahead of our clock a reported position may be: clocks of two hosts differ."""

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_ENOUGH = 2  # of a unit, so that rounding takes off little


def is_asked_for(sections: Sections) -> bool:
    """Whether files as written leave the position to OMS."""
    return bool(sections["source"].get("checkpoint") == CHECKPOINT_REFERENCE)


def mark(item: Item, reason: str) -> str:
    """What is kept under HELD of an item that was not sent for this reason."""
    return f"{item.content_id} {reason}"


def held(marks: Mapping[str, str], item: Item) -> str:
    """Why an item that would be sent was not when it was tried last; "" when it was not tried, or is another by now.

    Args:
        marks: what is kept under HELD.
        item: of a plan, which knows no position.
    """
    if item.action is not Action.UPDATE_DELETE or RAIL in item.forced:
        return ""
    content, _, reason = marks.get(item.address, "").partition(" ")
    return reason if content == item.content_id else ""


def remembered(marks: Mapping[str, str], items: Iterable[Item]) -> tuple[Item, ...]:
    """Items of a plan with a remark on what the last try of them met: a plan calls nothing, and cannot know it."""
    found = ((item, held(marks, item)) for item in items)
    return tuple(
        replace(item, remarks=(*item.remarks, f"was held when it was tried last: {reason}")) if reason else item
        for item, reason in found
    )


def outdated(marks: Mapping[str, str], items: Iterable[Item]) -> frozenset[str]:
    """Addresses of marks that are about something else than what is to be sent there by now.

    Args:
        marks: what is kept under HELD.
        items: of a plan; it says nothing of addresses that it has no item of.
    """
    planned: dict[str, set[str]] = {}
    for item in items if marks else ():
        if item.address in marks and item.outlook is None:
            planned.setdefault(item.address, set()).add(item.content_id)
    return frozenset(address for address, ids in planned.items() if marks[address].partition(" ")[0] not in ids)


def unusable(position: int | str | None) -> str:
    """Why no component can be started from *position*, whatever is forced; "" when one can.

    Args:
        position: what OMS reports just now: unix seconds, a text of another form, or nothing.
    """
    if isinstance(position, str):
        return _cannot(
            f'the server reports "{position}", which is no time, and how to start from that is not documented'
        )
    if position is None or position <= 0:
        return _cannot("the server reports no checkpoint")
    return ""


def _cannot(reason: str) -> str:
    return f"{CHECKPOINT_REFERENCE} cannot be filled in: {reason}"


def bad_age(position: int, now: datetime, max_age_s: float) -> str:
    """Why a component must not be started from *position* unless that is forced; "" when it may.

    Args:
        position: unix seconds.
        now: aware.
        max_age_s: how old it may be, seconds.
    """
    age_s = now.timestamp() - position
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
