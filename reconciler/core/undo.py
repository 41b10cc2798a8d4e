"""A `reset.json` that takes a link back to where it was before a reset, and what that means for its changes."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from reconciler.core.ledger import title
from reconciler.core.position import duration
from reconciler.core.status import moment
from reconciler.model import Json, JsonObject, Link, ResetEntry, ResetKey, Stage

LONGEST_REQUEST = 200
"""Characters of a request's name, as the schema of `reset.json` has it."""

_POSITIONS = range(10**10)  # unix seconds that a reset.json can ask for


def objection(entry: ResetEntry) -> str:
    """Why a reset cannot be undone; "" when it can."""
    name = title(entry.key)
    if not entry.stage.is_over:
        left = "has not ended" if entry.stage.is_under_way or entry.stage is Stage.UNKNOWN else "was not carried out"
        return f"{name} {left} ({entry.stage.value}): there is nothing to undo"
    if entry.position_before is None:
        return (
            f"{name} cannot be undone: where the link was before is not known"
            f"{f' ({entry.reason})' if entry.reason else ''}. Write a reset.json with the moment that you want"
        )
    if entry.position_before not in _POSITIONS:
        return f"{name} cannot be undone: the link was at {entry.position_before}, which is no moment in unix seconds"
    return ""


def document(entry: ResetEntry, request: str, present: Mapping[str, Json]) -> JsonObject:
    """The content of the `reset.json`.

    Args:
        entry: the reset that is undone; it has a position from before.
        request: name of the new request.
        present: the one that asked for it, as far as it is still there: what else it says holds again.
    """
    before = moment(_old(entry))
    made: JsonObject = {"$schema": present["$schema"]} if "$schema" in present else {}
    made |= {
        "request": request,
        "id": entry.key.project,
        "reverse": entry.key.reverse,
        "startTimestamp": before.replace(" ", "T"),
        "reason": f"undo of {entry.key.request}: back to {before}, where the link was before",
    }
    return made | ({"stop": bool(present["stop"])} if "stop" in present else {})


def new_request(entry: ResetEntry, ledger: Collection[ResetKey]) -> str:
    """A name that was not used for the link yet: "undo-r1", "undo-r1-2"."""
    used = {key.request for key in ledger if (key.target, key.project, key.reverse) == _link(entry.key)}
    number, name = 1, _cut(f"undo-{entry.key.request}", "")
    while name in used:
        number += 1
        name = _cut(f"undo-{entry.key.request}", f"-{number}")
    return name


def meaning(entry: ResetEntry) -> tuple[str, str]:
    """What is asked for, and what it means for the link's changes, as sentences.

    Args:
        entry: the reset that is undone; it has a position from before.
    """
    link = Link.REVERSE if entry.key.reverse else Link.FORWARD
    old, request = _old(entry), entry.key.request
    asked = f"the {link.value} link of {entry.key.project} goes to {moment(old)}, where it was before {request}"
    shift_s = entry.start_timestamp - int(old.timestamp())
    if not shift_s:
        return asked, f"{request} did not move it: what was read since then is repeated"
    span = duration(abs(shift_s))
    if shift_s < 0:
        return asked, (
            f"{request} moved it back by {span}: it repeats changes until it is at {moment(old)} again, and then"
            " there is nothing left to undo. Undoing earlier skips the rest, although all of it had been applied"
            " before: a row that was written again with an older value, and whose later change is in the rest, keeps"
            " the older value. Undoing later goes back, and repeats the changes since that moment"
        )
    return asked, (
        f"{request} moved it forward by {span}, over changes that were never read. Undoing goes back and reads them,"
        " and repeats those that were read since"
    )


def _old(entry: ResetEntry) -> datetime:
    return datetime.fromtimestamp(entry.position_before or 0, UTC)


def _link(key: ResetKey) -> tuple[str, str, bool]:
    return key.target, key.project, key.reverse


def _cut(name: str, end: str) -> str:
    return name[: LONGEST_REQUEST - len(end)] + end
