"""Violations as a SARIF 2.1.0 log, for code hosts that show them at their lines.

GitHub refuses a run of more than 25,000 results and compares alerts by a fingerprint of the line, which its upload
action computes beside the one given here. Placeholders in braces are not escaped: readers fill them in only where a
message has arguments, and no message here has any.

Source:
    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from reconciler.core.render import words
from reconciler.core.validation import rulebook
from reconciler.core.validation.rulebook import Explanation
from reconciler.model import Json, JsonObject, Severity, Violation

MAX_RESULTS = 25_000

_ROOT = "%SRCROOT%"
_FINGERPRINT = "ruleFilePointer/v1"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

Found = tuple[str, Violation]
"""A violation, and the directory that its file lies in: below the root of the repository, or absolute."""


def log(found: Sequence[Found], rules: Mapping[str, Explanation], version: str, exit_code: int) -> JsonObject:
    """What validation found, as one run.

    Args:
        found: in the order in which they are told. Errors come first where not all can be told.
        rules: every rule that there is, by its id.
        version: of this program.
        exit_code: with which the command ends.
    """
    told = found if len(found) <= MAX_RESULTS else sorted(found, key=_errors_first)[:MAX_RESULTS]
    left = len(found) - len(told)
    notes = (
        [_note("warning", f"{left} more problems are not listed: a run has room for {MAX_RESULTS}.")] if left else []
    )
    indices = {name: index for index, name in enumerate(rules)}
    return _log(
        {
            "tool": _tool(version, [_rule(rule) for rule in rules.values()]),
            "invocations": [_invocation(exit_code, notes, successful=True)],
            "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
            "columnKind": "unicodeCodePoints",
            "results": [_result(folder, violation, indices[violation.rule]) for folder, violation in told],
        }
    )


def failure(kind: str, message: str, version: str, exit_code: int) -> JsonObject:
    """What kept validation from finding anything out.

    There are no results, which is not the same as an empty list of them: that would close the alerts of the last run.
    """
    note = _note("error", message) | {"descriptor": {"id": kind}}
    return _log(
        {
            "tool": _tool(version, []),
            "invocations": [_invocation(exit_code, [note], successful=False)],
            "columnKind": "unicodeCodePoints",
        }
    )


def _log(run: JsonObject) -> JsonObject:
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _errors_first(found: Found) -> bool:
    return found[1].severity is not Severity.ERROR


def _tool(version: str, rules: list[Json]) -> JsonObject:
    return {"driver": {"name": "reconciler", "version": version, "rules": rules}}


def _invocation(exit_code: int, notes: Iterable[JsonObject], *, successful: bool) -> JsonObject:
    return {"executionSuccessful": successful, "exitCode": exit_code, "toolExecutionNotifications": list(notes)}


def _note(level: str, message: str) -> JsonObject:
    return {"level": level, "message": {"text": _plain(message)}}


def _rule(rule: Explanation) -> JsonObject:
    return {
        "id": rule.id,
        "shortDescription": {"text": f"{rule.reason[0].upper()}{rule.reason[1:]}."},
        "fullDescription": {"text": rule.meaning},
        "help": {"text": rulebook.text(rule), "markdown": rulebook.markdown(rule)},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"precision": "very-high" if rule.severity is Severity.ERROR else "medium"},
    }


def _result(folder: str, violation: Violation, index: int) -> JsonObject:
    uri = _uri(folder, violation.file)
    return {
        "ruleId": violation.rule,
        "ruleIndex": index,
        "level": violation.severity.value,
        "message": {"text": _plain(_message(violation))},
        "locations": [_location(uri, violation)],
        "partialFingerprints": {_FINGERPRINT: _fingerprint(violation.rule, uri, violation.pointer)},
    }


def _message(violation: Violation) -> str:
    pointer = f"{violation.pointer}: " if violation.pointer else ""
    suggestion = f" {violation.suggestion}" if violation.suggestion else ""
    return f"{pointer}expected {violation.expected}, found {violation.found}.{suggestion}"


def _location(uri: str, violation: Violation) -> JsonObject:
    """Where it is; the whole of a file is told as its first line, because GitHub shows nothing without a line."""
    place = violation.place
    artifact = {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": _ROOT}
    region = {"startLine": place.line, "startColumn": place.column} if place else {"startLine": 1}
    location: JsonObject = {"physicalLocation": {"artifactLocation": artifact, "region": region}}
    if violation.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": violation.pointer, "kind": "value"}]
    return location


def _uri(folder: str, file: str) -> str:
    """A path as a URI reference; bytes that are no UTF-8 keep their value."""
    path = "/".join(part for part in (folder.rstrip("/"), file) if part not in ("", ".")) or "."
    escaped = quote(path.encode("utf-8", "surrogateescape"), safe="/")
    return f"file://{escaped}" if escaped.startswith("/") else escaped


def _fingerprint(*parts: str) -> str:
    """The same wherever in its file a value moves to."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _plain(text: str) -> str:
    """A text in which no reader sees a link: `[text](target)` would be one, whoever wrote it."""
    shown = words.safe(text)
    return shown.replace("[", "\\[").replace("]", "\\]") if "](" in shown else shown
