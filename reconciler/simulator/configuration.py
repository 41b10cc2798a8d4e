"""What an update does to the four sections of a component: pure functions, new values out.

Source:
    UpdateIncrSync, https://en.oceanbase.com/docs/community-oms-en-10000000001080575: `allowDelete` is false by
    default, and with true "the caller passes what needs to be retained". Everything beyond that is a switch.
"""

import json
from collections.abc import Mapping
from typing import TypeAlias

from reconciler.model import SECTIONS, Json, JsonObject
from reconciler.simulator.settings import Switches

Config: TypeAlias = dict[str, JsonObject]
"""`{"coordinator": {...}, "condition": {...}, "source": {...}, "sink": {...}}`, all four, never changed in place."""

ESSENTIAL = (
    ("coordinator", "taskIdentity"),
    ("coordinator", "taskSubId"),
    ("coordinator", "listenPort"),
    ("source", "clients"),
    ("source", "dbType"),
    ("source", "checkpoint"),
    ("sink", "jdbcUrl"),
)
"""Keys OMS writes when it creates a component; the pages name no default for them."""


def complete(sections: Mapping[str, JsonObject]) -> Config:
    """All four sections as a component stores them, in the usual order."""
    return stored({section: dict(sections.get(section, {})) for section in SECTIONS})


def stored(sections: Mapping[str, JsonObject]) -> Config:
    """Sections as they lie in the component's files: scalars are text, except inside the rules of condition."""
    return {
        section: {key: _stored(value, rules=section == "condition") for key, value in members.items()}
        for section, members in sections.items()
    }


def updated(present: Config, sent: Config, *, allow_delete: bool, switches: Switches) -> Config:
    """The configuration after an update.

    Args:
        present: what the component has.
        sent: what the request holds, already `stored`; sections may be missing.
        allow_delete: True: *sent* is what is retained.
        switches: `merge`, `retain` and `null_values` select the reading.
    """
    if switches.null_values == "delete":
        sent, nulls = _without_nulls(sent)
    else:
        nulls = {}
    if allow_delete:
        kept = present if switches.retain == "per-section" else {}
        return {section: dict(sent.get(section, kept.get(section, {}))) for section in SECTIONS}
    deep = switches.merge == "deep"
    after = {section: _laid_over(present[section], sent.get(section, {}), deep=deep) for section in SECTIONS}
    for section, keys in nulls.items():
        for key in keys:
            after[section].pop(key, None)
    return after


def has_null(value: Json) -> bool:
    """Whether null stands anywhere in a JSON value."""
    if isinstance(value, dict):
        return any(has_null(member) for member in value.values())
    if isinstance(value, list):
        return any(has_null(element) for element in value)
    return value is None


def position(source: JsonObject) -> int | None:
    """Unix seconds of `source.checkpoint`, the earliest of its clients; None when there is none to be read."""
    checkpoint = source.get("checkpoint")
    texts = checkpoint.values() if isinstance(checkpoint, dict) else [checkpoint]
    return min((int(text) for text in texts if isinstance(text, str) and text.isdecimal()), default=None)


def _stored(value: Json, *, rules: bool) -> Json:
    if isinstance(value, dict):
        return {key: _stored(member, rules=rules) for key, member in value.items()}
    if isinstance(value, list):
        return value if rules else [_stored(element, rules=False) for element in value]
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _laid_over(present: JsonObject, sent: JsonObject, *, deep: bool) -> JsonObject:
    after = dict(present)
    for key, value in sent.items():
        below = present.get(key)
        if deep and isinstance(value, dict) and isinstance(below, dict):
            after[key] = _laid_over(below, value, deep=True)
        else:
            after[key] = value
    return after


def _without_nulls(sent: Config) -> tuple[Config, dict[str, list[str]]]:
    values = {
        name: {key: value for key, value in members.items() if value is not None} for name, members in sent.items()
    }
    nulls = {name: [key for key, value in members.items() if value is None] for name, members in sent.items()}
    return values, nulls
