"""A plan as JSON (its schema: `reconciler schema plan`), and what is read back from a saved one."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.fleet import summary
from reconciler.core.render import words
from reconciler.model import (
    NO_ORIGINS,
    Approval,
    Change,
    Commit,
    Danger,
    Item,
    Json,
    JsonObject,
    Link,
    Origins,
    Outlook,
    Plan,
    Rail,
    Violation,
)

VERSION = 1
_DOUBTFUL = re.compile(r"[^\n -~]")


def plan(whole: Plan, origins: Origins = NO_ORIGINS) -> JsonObject:
    """The plan as a JSON object; the same plan gives the same object."""
    return {
        "version": VERSION,
        "id": whole.id,
        "revision": whole.revision,
        "items": [_item(item, origins) for item in whole.items],
        "remarks": list(words.remarks(whole, origins)),
        "frozen": whole.frozen,
        "rails": [rail(found) for found in whole.rails],
        "summary": dict(summary(whole)),
    }


def rail(found: Rail) -> JsonObject:
    """One rail as a JSON object."""
    return {"name": found.name, "state": found.state.value, "text": found.text, "tasks": found.tasks}


def approval(found: Approval | None) -> JsonObject | None:
    """One approval as a JSON object, less what it is for."""
    if found is None:
        return None
    return {
        "by": found.by,
        "reason": found.reason,
        "at": found.at.isoformat(),
        "until": found.until.isoformat(),
        "plan": found.plan,
        "forced": list(found.forced),
    }


def dumps(value: Json) -> str:
    """Indented JSON with a line feed at the end; what could hide or reorder text is escaped."""
    return _DOUBTFUL.sub(_escaped, json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def _escaped(match: re.Match[str]) -> str:
    """A character of a JSON string, as its escape where it is not fit to be shown."""
    return json.dumps(match.group())[1:-1] if words.is_unsafe(match.group()) else match.group()


def _item(item: Item, origins: Origins) -> JsonObject:
    return {
        "id": item.id,
        "task": item.task,
        "action": item.action.value,
        "reason": item.reason,
        "until": item.until.isoformat() if item.until else None,
        "intended": item.intended.value,
        "rail": item.rail or None,
        "target": item.target or None,
        "address": json.loads(item.address) if item.address else None,
        "serial": item.serial,
        "commit": _commit(origins.tasks.get(item.task)),
        "changes": [_change(change, origins.keys.get((item.task, change.path))) for change in item.changes],
        "unchanged": item.unchanged,
        "cost": list(item.cost),
        "remarks": list(item.remarks),
        "forced": list(item.forced),
        "approval": approval(item.approval),
        "reset": _reset(item.outlook),
        "violations": [violation(found) for found in item.violations],
    }


def _reset(found: Outlook | None) -> JsonObject | None:
    if found is None:
        return None
    return {
        "request": found.key.request,
        "project": found.key.project,
        "link": (Link.REVERSE if found.key.reverse else Link.FORWARD).value,
        "start": found.start_timestamp,
        "stage": found.stage.value if found.stage else None,
        "position": found.position,
        "shift": found.shift_s,
        "rows": found.rows,
        "problem": found.problem or None,
    }


def _commit(found: Commit | None) -> JsonObject | None:
    if found is None:
        return None
    return {"id": found.id, "author": found.author, "at": found.at.isoformat(), "subject": found.subject}


def _change(change: Change, commit: Commit | None) -> JsonObject:
    old, new = words.old_and_new(change)
    parameter = change.parameter
    return {
        "section": change.section,
        "pointer": change.pointer,
        "kind": change.kind.value,
        "old": old,
        "new": new,
        "secret": change.secret,
        "leftInPlace": change.left_in_place,
        "text": words.meaning(change) or None,
        "danger": _danger(change.danger),
        "commit": _commit(commit),
        "parts": [
            {"kind": part.kind, "subject": part.subject, "text": part.text, "danger": _danger(part.danger)}
            for part in change.parts
        ],
        "parameter": None
        if parameter is None
        else {
            "description": parameter.description,
            "unit": parameter.unit,
            "default": parameter.default,
            "range": words.limits(parameter) or None,
            "owner": parameter.ownership.value,
            "restart": True,
        },
    }


def _danger(danger: Danger | None) -> JsonObject | None:
    return None if danger is None else {"level": danger.level.value, "reason": danger.reason}


def violation(found: Violation) -> JsonObject:
    """One violation as a JSON object."""
    return {
        "task": found.task,
        "file": found.file,
        "line": found.place.line if found.place else None,
        "column": found.place.column if found.place else None,
        "pointer": found.pointer,
        "rule": found.rule,
        "severity": found.severity.value,
        "expected": found.expected,
        "found": found.found,
        "suggestion": found.suggestion or None,
    }


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What a saved plan has to say when it is applied: everything else is planned afresh."""

    id: str
    tasks: frozenset[str]


def read(text: str) -> SavedPlan:
    """Read a plan that `plan --format json` wrote.

    Raises:
        ValueError: it is no such plan, or of another version; says which.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, Mapping) or found.get("version") != VERSION:
        version = found.get("version") if isinstance(found, Mapping) else None
        raise ValueError(f"not a plan of version {VERSION} (version: {version})")
    try:
        return SavedPlan(str(found["id"]), frozenset(str(item["task"]) for item in found["items"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole plan: {error}") from None
