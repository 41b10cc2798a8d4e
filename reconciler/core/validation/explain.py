"""Says in people's words why a document does not fit its schema.

A fast validator has refused the document before; this one is asked only to name the places. The words come from the
schema's own annotations (x-expected, x-rule, x-suggestion), so that editors and messages say the same.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from reconciler.core.validation import suggest
from reconciler.core.validation.findings import SCHEMA_KEY, Finding, Tokens, shown
from reconciler.model import Json, JsonObject

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_ERRORS = 200

Hides = Callable[[Tokens, Json], bool]
"""(path, value) -> whether the value is a secret."""

_END = re.compile(r"(?<!\\)\$")
_DIGITS = re.compile(r"\s*\+?0*([0-9]{1,15})\s*", re.ASCII)


class Explainer:
    """Explains the documents of one kind; thread-safe."""

    def __init__(self, document: str, schema: JsonObject) -> None:
        self._document = document
        self._schema = schema

    def explain(self, value: Json, hides: Hides = lambda _path, _value: False) -> tuple[Finding, ...]:
        """Everything that is wrong, once for each place.

        Args:
            value: the decoded document.
            hides: which values are secrets; names that mean one are hidden anyway.

        Returns:
            In the order of the schema, at most a few hundred; empty when the document fits.
        """
        findings: dict[tuple[Tokens, str], Finding] = {}
        for error in islice(self._validator.iter_errors(value), MAX_ERRORS):
            for finding in self._findings(error, hides):
                # A plug-in's own schema comes after the general one, and is the more precise of the two.
                findings[finding.path, finding.expected if finding.rule == "missing-member" else ""] = finding
        return tuple(findings.values())

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator, ValidationError, validators

        def pattern(_validator: Any, wanted: str, instance: Json, _schema: Any) -> Iterator[ValidationError]:
            # ECMA 262, which JSON Schema names, ends a text where Python's "$" also allows one line break more.
            if isinstance(instance, str) and not re.search(_END.sub(r"\\Z", wanted), instance):
                yield ValidationError("pattern")

        extend: Any = validators.extend
        return extend(Draft202012Validator, {"pattern": pattern})(self._schema)

    def _findings(self, error: "ValidationError", hides: Hides) -> Iterator[Finding]:
        path = tuple(str(part) for part in error.absolute_path)
        notes: Any = error.schema
        instance: Any = error.instance
        if error.validator == "additionalProperties":
            yield from self._unknown_members(instance, notes, path)
        elif error.validator == "required":
            for name in notes["required"]:
                if name not in instance:
                    expected = f'the member "{name}"'
                    yield Finding(self._document, path, "missing-member", expected, "an object without it")
        else:
            expected = notes.get("x-expected", "a value that fits the schema")
            found = shown(instance, path, secret=hides(path, instance))
            hint = notes.get("x-suggestion") or _hint(instance, notes)
            yield Finding(self._document, path, notes.get("x-rule", "schema"), expected, found, hint)

    def _unknown_members(self, instance: JsonObject, schema: JsonObject, path: Tokens) -> Iterator[Finding]:
        known = tuple(schema.get("properties", ()))
        for name in instance:
            if name in known:
                continue
            near = suggest.nearest(name, known)
            names = ", ".join(other for other in known if other != SCHEMA_KEY)
            expected = f"one of {names}" if names else schema["x-expected"]
            hint = did_you_mean(near)
            rule = "near-miss" if near else "unknown-member"
            yield Finding(self._document, (*path, name), rule, expected, shown(name), hint, at_key=True)


def did_you_mean(name: str | None) -> str:
    """A suggestion, or nothing."""
    return f'Did you mean "{name}"?' if name else ""


def _hint(value: Json, schema: JsonObject) -> str:
    """What to write instead, when that is obvious."""
    types, allowed = schema.get("type", ()), schema.get("enum", ())
    if not isinstance(value, str):
        return "Write it in quotes." if types == "string" and isinstance(value, (int, float)) else ""
    word = value.strip().lower()
    if word in ("true", "false") and (types == "boolean" or True in allowed):
        return f"Write {word} without quotes."
    if "integer" in types and (digits := _DIGITS.fullmatch(value)) and value != digits[1]:
        return f'Write "{digits[1]}".'
    return did_you_mean(suggest.nearest(value, _texts(allowed)))


def _texts(values: Iterable[Json]) -> list[str]:
    return [value for value in values if isinstance(value, str)]
