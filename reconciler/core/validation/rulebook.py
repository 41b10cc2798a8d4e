"""What each rule of validation means: for one who meets it in a terminal, and all together as a page.

The words are data (`data/rules.toml`); how much a rule matters and why it exists is told by the table of rules.
"""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.core.validation.findings import RULES
from reconciler.model import JsonObject, Severity

Example = tuple[tuple[str, str], ...]
"""Pieces of files as (name, text); the name is "" where words stand for what no JSON can show."""

_WIDTH = 100
_INDENT = "    "
_LIFTED = {
    Severity.ERROR: "It cannot be lifted: mend the file.",
    Severity.WARNING: "There is nothing to lift: a warning keeps nothing from being sent.",
}
_HEAD = """\
# Rules of validation

Each problem that `reconciler validate` prints ends with the id of its rule; `reconciler validate --explain RULE` prints
what stands here about it. Errors keep their task from being planned; warnings do not. `validate` on the directory of a
single task does not see what is about several: `address-clash` and the [rules over all tasks](fleet-rules.md), of which
`plan` only remarks on what is an error.

This page is written by `scripts/rules.py`."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One rule, explained."""

    id: str
    severity: Severity
    reason: str  # why it exists, one line
    meaning: str  # a paragraph
    wrong: Example
    right: Example
    lift: str  # what takes it off, or that nothing does


def from_data(data: Mapping[str, Any]) -> Mapping[str, Explanation]:
    """Every rule by its id, sorted.

    Args:
        data: `{rule: {"meaning", "wrong", "right", "lift"}}`; the last may be left out, an example is a text or
            `{file: text}`.
    """
    return {name: _explanation(name, data[name]) for name in sorted(RULES)}


def _explanation(name: str, words: Mapping[str, Any]) -> Explanation:
    severity = RULES[name].severity
    lift = words.get("lift", _LIFTED[severity])
    wrong, right = _example(words["wrong"]), _example(words["right"])
    return Explanation(name, severity, RULES[name].reason, words["meaning"], wrong, right, lift)


def _example(given: str | Mapping[str, str]) -> Example:
    return (("", given),) if isinstance(given, str) else tuple(given.items())


def text(rule: Explanation) -> str:
    """One rule for a terminal."""
    return "\n".join(
        (
            f"{rule.id} ({rule.severity.value}): {rule.reason}",
            "",
            textwrap.fill(rule.meaning, _WIDTH),
            "",
            "Wrong:",
            textwrap.indent(_pieces(rule.wrong), _INDENT),
            "Right:",
            textwrap.indent(_pieces(rule.right), _INDENT),
            "",
            textwrap.fill(rule.lift, _WIDTH),
        )
    )


def data(rule: Explanation) -> JsonObject:
    """One rule as a JSON object."""
    return {
        "id": rule.id,
        "severity": rule.severity.value,
        "reason": rule.reason,
        "meaning": rule.meaning,
        "wrong": dict(rule.wrong),
        "right": dict(rule.right),
        "lift": rule.lift,
    }


def markdown(rule: Explanation) -> str:
    """One rule in Markdown, without a heading."""
    blocks = (_block("Wrong", rule.wrong), _block("Right", rule.right))
    return "\n\n".join((_escaped(textwrap.fill(rule.meaning, _WIDTH)), *blocks, _escaped(rule.lift)))


def page(rules: Mapping[str, Explanation]) -> str:
    """All rules as a Markdown page: two tables, then one section each."""
    return "\n\n".join(_page(rules)) + "\n"


def _page(rules: Mapping[str, Explanation]) -> Iterator[str]:
    yield _HEAD
    for severity, heading in ((Severity.ERROR, "Errors"), (Severity.WARNING, "Warnings")):
        rows = [f"| `{rule.id}` | {rule.reason} |" for rule in rules.values() if rule.severity is severity]
        yield f"## {heading}"
        yield "\n".join(("| Rule | Why |", "|---|---|", *rows))
    yield "## One by one"
    for rule in rules.values():
        yield f"### {rule.id}"
        yield markdown(rule)


def _block(heading: str, example: Example) -> str:
    return f"{heading}:\n\n```text\n{_pieces(example)}\n```"


def _pieces(example: Example) -> str:
    return "\n".join(f"{name}: {content}" if name else content for name, content in example)


def _escaped(words: str) -> str:
    """Words of a paragraph, with nothing in them that Markdown would take for markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>" else c for c in words)
