"""Texts that every report shares: values, changes and violations in words, safe to print."""

import json
import re
import shlex
import unicodedata

from reconciler.core.status import moment
from reconciler.model import Change, ChangeKind, Commit, Item, Json, Origins, Parameter, Plan, Violation

LONGEST_VALUE = 100
LONGEST_AUTHOR = 40
SHORT_COMMIT = 7  # digits, as code hosts show them
SHORT_ID = 16  # of a plan
_CONTEXT = 20  # characters shown before the first difference of long values
SECRET_CHANGED = "«secret changed»"  # noqa: S105 - the mark that stands for one

_LIMITS = {"throttleRps": "throttle", "throttleIOPS": "throttle"}
"""Keys whose absence means no limit.

Source:
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862086
"""

_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that nobody sees; less the one that makes a symbol an emoji.

Source:
    https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
"""
_INTEGER = re.compile(r"-?[0-9]{1,19}")  # longer ones are no amounts


def safe(text: str) -> str:
    r"""*text* with everything that could move a cursor, hide or reorder text written out: `\x1b`, `\u202e`.

    So are spaces that only look like one: who pasted `\xa0` into a value has to see it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if is_unsafe(c) else c for c in text)


def is_unsafe(character: str) -> bool:
    """Whether a character could move a cursor, hide or reorder text, or is not seen, or not for what it is."""
    if character == " ":
        return False
    return unicodedata.category(character) in _UNSAFE or _UNSEEN.match(character) is not None


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:  # noqa: PLR2004 - two hexadecimal digits
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004 - four digits


def value(shown: Json, longest: int = LONGEST_VALUE) -> str:
    """One line of JSON, of at most *longest* characters; "absent" for None."""
    if shown is None:
        return "absent"
    return short(json.dumps(shown, ensure_ascii=False), longest)


def short(text: str, longest: int = LONGEST_VALUE) -> str:
    """*text*, safe and of at most *longest* characters."""
    shown = safe(text[: longest + 1])  # which only grows by it
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def change_of(old: Json, new: Json) -> str:
    """`"8" -> "16"`; of long values the part where they differ, so that two never look alike."""
    return " -> ".join(sides(old, new))


def sides(old: Json, new: Json, longest: int = LONGEST_VALUE) -> tuple[str, str]:
    """Two values that differ, each in at most *longest* characters, in which they differ too."""
    before, after = (safe(json.dumps(shown, ensure_ascii=False)) for shown in (old, new))
    if max(len(before), len(after)) <= longest:
        return before, after
    start = max(0, common_start(before, after) - _CONTEXT)
    return _cut(before, start, longest), _cut(after, start, longest)


def common_start(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(text: str, start: int, longest: int) -> str:
    head = "…" if start else ""
    end = start + longest - 2
    return f"{head}{text[start:end]}{'…' if end < len(text) else ''}"


def commit(found: Commit) -> str:
    """`abc1234 Ann Lee 2026-11-20 Raise throttle for shop`, the day as the author's clock had it."""
    return f"{found.id[:SHORT_COMMIT]} {short(found.author, LONGEST_AUTHOR)} {found.at:%Y-%m-%d} {short(found.subject)}"


def old_and_new(change: Change) -> tuple[Json, Json]:
    """Values for reports: a secret that has another value now says so."""
    if change.secret and isinstance(change.new, str) and change.old is not None:
        return change.old, SECRET_CHANGED
    return change.old, change.new


def meaning(change: Change) -> str:
    """What a change means, in the parameter's unit: "throttle: unlimited -> 5,000 records/s"; "" when unknown."""
    parameter = change.parameter
    if parameter is None or change.secret or change.parts or change.left_in_place:
        return ""
    if change.new is not None and change.new == _default(parameter):
        return "the default"
    before, after = (_amount(side, parameter) for side in (change.old, change.new))
    if "" in (before, after) or not (_unit(parameter) or None in (change.old, change.new)):
        return ""
    noun = f"{_LIMITS[parameter.name]}: " if parameter.name in _LIMITS else ""
    unit = f" {_unit(parameter)}" if after[:1].isdigit() else ""
    return f"{noun}{before} -> {after}{unit}".rstrip()


def _unit(parameter: Parameter) -> str:
    unit = (parameter.unit or "").replace("(INFERRED)", "").strip()
    return "" if unit.startswith("unknown") else unit


def _default(parameter: Parameter) -> str | None:
    """The documented default as canonical text; None where none is known, or it is long."""
    default = parameter.default
    if default in (None, "") or parameter.type not in ("integer", "boolean"):
        return None
    return json.dumps(default)


def _amount(shown: Json, parameter: Parameter) -> str:
    """One side of a change; "" when nothing is known of it."""
    if shown is None:
        default = _default(parameter)
        unknown = "unlimited" if parameter.name in _LIMITS else ""
        return f"default {_number(default)}" if default is not None else unknown
    return _number(shown)


def _number(shown: Json) -> str:
    text = str(shown)
    return f"{int(text):,}" if _INTEGER.fullmatch(text) else short(text)


def limits(parameter: Parameter) -> str:
    """The range of a parameter: "1..1024", "at least 1", "" when none is known."""
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{low}..{high}"
    if low is not None:
        return f"at least {low}"
    return f"at most {high}" if high is not None else ""


def sign(change: Change) -> str:
    """`+` for a new key, `-` for a removed one, `~` for a changed one, a dot for one that stays in place."""
    if change.left_in_place:
        return "·"
    if change.kind is ChangeKind.REMOVED:
        return "-"
    return "+" if change.old is None else "~"


def violation(found: Violation, root: str) -> str:
    """`desired_state/shop/sink.json:4:16: error: /workerNum: expected ..., found .... Suggestion [rule]`."""
    place = f":{found.place.line}:{found.place.column}" if found.place else ""
    path = f"{root}/{found.file}" if found.file else root
    pointer = f"{found.pointer}: " if found.pointer else ""
    suggestion = f". {found.suggestion}" if found.suggestion else ""
    return safe(
        f"{path}{place}: {found.severity.value}: {pointer}expected {found.expected}, found {found.found}"
        f"{suggestion} [{found.rule}]"
    )


def remarks(plan: Plan, origins: Origins) -> tuple[str, ...]:
    """What is to be said of the plan as a whole, of what waits for a word, and of what could not be told of commits."""
    return tuple(filter(None, (*plan.remarks, _waiting(plan), origins.remark)))


def _waiting(plan: Plan) -> str:
    """How to approve what waits for it; "" when nothing does, and where the id is of no use."""
    number = sum(item.rail == "approval" for item in plan.items)
    if not number or not plan.id.isalnum():
        return ""
    waits = "1 item waits" if number == 1 else f"{number:,} items wait"
    tasks = "".join(f" --task {shlex.quote(name)}" for name in plan.selection)  # else another plan is meant
    return f"{waits} for an approval: reconciler approve {plan.id[:SHORT_ID]}{tasks} --reason TEXT"


def approval(item: Item) -> str:
    """Who let an item go, until when and why: "approved by ann: agreed (until 2026-11-22 12:00:00Z)"."""
    found = item.approval
    if found is None:
        return ""
    lifts = f"; lifts {', '.join(found.forced)}" if found.forced else ""
    return safe(f"{found.text} (until {moment(found.until)}{lifts})")
