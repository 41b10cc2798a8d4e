"""What can be wrong with a task's files: the table of rules, and one finding.

A finding says what is wrong and where in the document; `validate` adds the line, the column and the severity.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.core.catalogue import CREDENTIALS, SECRET_NAME
from reconciler.model import Json, Severity

Tokens = tuple[str, ...]

SCHEMA_KEY = "$schema"
"""Accepted at the top of every file, for editors; never sent."""

_SHOWN = 60  # characters of a value
_HIDDEN = "a secret (not shown)"
_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, slots=True)
class Rule:
    """How much a rule matters, and why it exists."""

    severity: Severity
    reason: str  # one line


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        # a task's directory
        "unreadable": Rule(_ERROR, "what cannot be read must never look like a deletion"),
        "root-task": Rule(_ERROR, "a task is named after its folder"),
        "folder-name": Rule(_ERROR, "a name that is not UTF-8 cannot be shown or stored"),
        "file-name": Rule(_WARNING, "a misspelt file is ignored"),
        # reading a file
        "missing-file": Rule(_ERROR, "a file that is not there must never look like a deletion"),
        "empty-file": Rule(_ERROR, "a half-written file must never look like a deletion"),
        "too-large": Rule(_ERROR, "a configuration of more than 1 MiB is an accident"),
        "not-utf8": Rule(_ERROR, "other encodings are read differently by different programs"),
        "bom": Rule(_ERROR, "many JSON readers refuse a byte order mark"),
        "syntax": Rule(_ERROR, "the file is not JSON"),
        "trailing-data": Rule(_ERROR, "text after the object would be ignored silently"),
        "not-an-object": Rule(_ERROR, "each file is one JSON object"),
        "duplicate-key": Rule(_ERROR, "which of two values counts depends on the reader"),
        "null": Rule(_ERROR, "OMS does not document what null does: delete, reset or fail"),
        "not-a-number": Rule(_ERROR, "NaN and Infinity are not JSON"),
        "number-range": Rule(_ERROR, "digits beyond float64 are lost by many readers"),
        "lone-surrogate": Rule(_ERROR, "half a surrogate pair cannot be sent as UTF-8"),
        "control-character": Rule(_ERROR, "JSON allows control characters as escapes only"),
        "too-deep": Rule(_ERROR, "real configurations nest a few levels; deep nesting exhausts readers"),
        # the shape of a document
        "schema": Rule(_ERROR, "the value has another type, form or range than the parameter"),
        "missing-member": Rule(_ERROR, "the object means nothing without it"),
        "unknown-member": Rule(_ERROR, "the object is closed: a name it does not have is a mistake"),
        "near-miss": Rule(_ERROR, "a misspelt key is ignored by the component without a word"),
        "unknown-key": Rule(_WARNING, "the vendor's list of keys is incomplete, so it may exist"),
        "other-plugin-key": Rule(_WARNING, "the plug-in that boosterClass names is not known to read it"),
        "unknown-value": Rule(_WARNING, "the vendor's list of values is incomplete, so it may exist"),
        "json-text": Rule(_ERROR, "text in the place of a list or an object must be JSON itself"),
        # secrets and references
        "literal-secret": Rule(_ERROR, "a password in git is known to everybody who can read the repository"),
        "reference": Rule(_ERROR, "a malformed reference would be sent to the component as it is"),
        "checkpoint-reference": Rule(
            _ERROR, "only source.checkpoint can be filled in with the position that OMS reports"
        ),
        "checkpoint-literal": Rule(_ERROR, "a position kept in git is stale at once and skips or repeats changes"),
        # keys that need care
        "not-managed": Rule(_ERROR, "OMS writes this key itself and loses sight of the component when it is wrong"),
        "wide-address": Rule(_ERROR, "TASK_NAME and IP can mean several components, which share tuning at most"),
        "wide-delete": Rule(_ERROR, "allowDelete counts for exactly one component only"),
        "unmanaged-delete": Rule(_ERROR, "allowDelete would delete what is kept out of the payload"),
        "unmanaged-part": Rule(_ERROR, "a key is sent whole or not at all, so a part of it cannot be left out"),
        "not-carried-out": Rule(_ERROR, "ignoring a declared safeguard would be dangerous"),
        # task.json and reset.json
        "address": Rule(_ERROR, "a task is for one component, named in one way"),
        "address-clash": Rule(_ERROR, "two directories would overwrite each other's configuration for ever"),
        "moment": Rule(_ERROR, "the calendar has no such moment"),
        "window": Rule(_ERROR, "a window that never opens, or not when it is meant, guards nothing"),
        "reset-project": Rule(_ERROR, "the reset would move another project than the task is for"),
        "reset-link": Rule(_ERROR, "the reset would move the other direction than the task is for"),
        "reset-request": Rule(_ERROR, "a request is carried out once, so its name stands for one thing"),
        # across keys and files
        "duplicate-rule": Rule(_ERROR, "which of two rules for one name wins is not documented"),
        "duplicate-client": Rule(_ERROR, "positions are kept by clientId, so two clients cannot share one"),
        "selects-nothing": Rule(_WARNING, "what is not wanted as a whole and has no parts listed is not synchronised"),
        "regex": Rule(_WARNING, "a pattern that does not compile matches nothing; Java's dialect may differ"),
        "timezone": Rule(
            _WARNING, "coordinator, source and sink had one offset in the files seen; time values may shift"
        ),
        "source-type": Rule(_WARNING, "source.dbType wins over coordinator.sourceType"),
        "heap": Rule(_WARNING, "about 1 GB of heap is needed for each sink worker"),
        "heap-initial": Rule(_WARNING, "initial and maximum heap should be equal"),
        "hot-keys": Rule(_WARNING, "hotKeyMerge does nothing without sink.hotKeyTable"),
        "split-threshold": Rule(_WARNING, "the vendor advises 512 at most"),
        # across tasks
        "fleet-source-id": Rule(_WARNING, "heartbeats of a client that nobody declares let nothing through"),
        "fleet-sink-table": Rule(_WARNING, "two tasks that fill one table differently overwrite each other's rows"),
        "fleet-throttle-cap": Rule(_ERROR, "each task alone is modest, together they ask too much of one host"),
        "fleet-worker-cap": Rule(_ERROR, "writers of all tasks share the sessions and cores of one host"),
        # the program itself
        "defect": Rule(_ERROR, "what breaks the program is kept apart, so that other tasks go on"),
    }
)
"""Every rule by its id."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or doubtful in one document."""

    document: str  # "task", "sink", ...
    path: Tokens
    rule: str
    expected: str
    found: str
    suggestion: str = ""
    at_key: bool = False  # the key is meant, not its value


def shown(value: Json, path: Tokens = (), *, secret: bool = False) -> str:
    """A value for messages: short, nothing that a terminal would obey, and never a secret.

    Args:
        value: any decoded value.
        path: where it stands; a name on the way that means a secret hides it.
        secret: it is known to be one.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if secret or any(SECRET_NAME.search(part) for part in path):
        return _HIDDEN
    if not isinstance(value, str):
        return json.dumps(value)
    if CREDENTIALS.search(value):
        return _HIDDEN
    text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return json.dumps(text, ensure_ascii=not text.isprintable())
