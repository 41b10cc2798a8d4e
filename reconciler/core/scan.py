"""Reads JSON slowly and remembers where everything stands.

The standard decoder stops at the first mistake and knows no places of values. This scanner is used only when a file
has a fault or a violation has to be shown with its line and column. No text of a file is ever quoted except
punctuation and key names, because any other piece of it could be a password.
"""

import bisect
import json
import math
import re
from dataclasses import dataclass, field
from typing import NoReturn

from reconciler.model import Json, Place

MAX_DEPTH = 64
MAX_FAULTS = 200
MAX_SAFE_INTEGER = 2**53 - 1
_SAFE_LENGTH = 17  # "-9007199254740991"; int() of very long texts raises

_SPACE = re.compile(r"[ \t\n\r]*+")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_WORD = re.compile(r"true|false|null|NaN|-?Infinity")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_CONTROL = re.compile(r"[\x00-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONSTANTS = {"true": True, "false": False}
_KINDS = {
    **{character: f'"{character}"' for character in "{}[]:,"},
    '"': "a double quote",
    "'": "a single quote",
    "/": "a comment",
    "#": "a comment",
}
_HINTS = {
    "'": "JSON strings stand in double quotes.",
    "/": "JSON has no comments.",
    "#": "JSON has no comments.",
    "}": "Look for a comma too many, or a missing value.",
    "]": "Look for a comma too many, or a missing value.",
    '"': "Look for a missing comma or colon.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why bytes are not an acceptable JSON object."""

    place: Place | None
    pointer: str  # RFC 6901; as far as reading came
    rule: str
    expected: str
    found: str  # never text of the file, except punctuation and key names
    suggestion: str = ""


class Lines:
    """Offsets of a text as lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        """Line and column of a character, both from 1."""
        line = bisect.bisect_right(self._starts, offset)
        return Place(line, offset - self._starts[line - 1] + 1)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the values of a document stand, and the keys that hold them."""

    lines: Lines
    offsets: dict[str, tuple[int, int]]  # pointer -> (of the value, of its key or again of the value)

    def value(self, pointer: str) -> Place:
        """Place of the value at *pointer*; of what holds it when there is none."""
        return self._place(pointer, 0)

    def key(self, pointer: str) -> Place:
        """Place of the key whose value is at *pointer*; of what holds it when there is none."""
        return self._place(pointer, 1)

    def _place(self, pointer: str, which: int) -> Place:
        while pointer not in self.offsets:  # the whole, "", always is
            pointer, which = pointer.rpartition("/")[0], 0
        return self.lines.place(self.offsets[pointer][which])


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found."""

    value: Json  # as far as it could be read; null stands for everything unreadable
    faults: tuple[Fault, ...]
    places: Places


class _StopError(Exception):
    """A fault after which nothing can be read; it is recorded already."""


def scan(text: str) -> Scan:
    """Read *text*, collecting every fault up to the first that leaves the structure unclear."""
    scanner = _Scanner(text)
    try:
        value = scanner.document()
    except _StopError:
        value = None
    return Scan(value, tuple(scanner.faults), Places(scanner.lines, scanner.offsets))


def read_number(text: str, *, whole: bool) -> int | float | None:
    """The value of a JSON number.

    Args:
        text: as the grammar of JSON allows it.
        whole: it has neither fraction nor exponent.

    Returns:
        None for what float64 cannot hold: infinite, or an integer that would lose digits.

    Source:
        RFC 7493 (I-JSON) section 2.2: beyond 2**53 - 1 receivers may read different integers.
    """
    if whole:
        integer = int(text) if len(text) <= _SAFE_LENGTH else MAX_SAFE_INTEGER + 1
        return integer if abs(integer) <= MAX_SAFE_INTEGER else None
    number = float(text)
    return number if math.isfinite(number) else None


def shown_key(key: str) -> str:
    """A key for messages: quoted, shortened, nothing that a terminal would obey."""
    limit = 60
    text = key if len(key) <= limit else key[: limit - 1] + "…"
    return json.dumps(text, ensure_ascii=not text.isprintable())


@dataclass
class _Scanner:
    text: str
    position: int = 0
    faults: list[Fault] = field(default_factory=list)
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    lines: Lines = field(init=False)

    def __post_init__(self) -> None:
        self.lines = Lines(self.text)

    def document(self) -> Json:
        self.space()
        value = self.value("", 1, self.position)
        self.space()
        if self.position < len(self.text):
            self.fault(self.position, "", "trailing-data", "the end of the file after the object", "more text")
        return value

    # --- structure -------------------------------------------------------------------------------------------------

    def value(self, pointer: str, depth: int, key_offset: int) -> Json:
        self.offsets[pointer] = (self.position, key_offset)
        character = self.peek()
        if character in ("{", "["):
            if depth > MAX_DEPTH:
                self.stop(self.position, pointer, "too-deep", f"at most {MAX_DEPTH} levels", "more")
            return self.members(pointer, depth) if character == "{" else self.elements(pointer, depth)
        if character == '"':
            return self.string(pointer)
        return self.scalar(pointer)

    def members(self, pointer: str, depth: int) -> dict[str, Json]:
        result: dict[str, Json] = {}
        first: dict[str, int] = {}
        if self.opens_empty("}"):
            return result
        while True:
            start = self.position
            if self.peek() != '"':
                self.syntax(pointer, "a key in double quotes")
            key = self.string(pointer)
            child = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            self.space()
            self.take(":", pointer)
            self.space()
            if key in first:
                self.duplicate(start, first[key], child, key)
                known = self.offsets[child]
                self.value(child, depth + 1, start)
                self.offsets[child] = known
            else:
                first[key] = start
                result[key] = self.value(child, depth + 1, start)
            if self.closes("}", pointer):
                return result

    def elements(self, pointer: str, depth: int) -> list[Json]:
        result: list[Json] = []
        if self.opens_empty("]"):
            return result
        while True:
            result.append(self.value(f"{pointer}/{len(result)}", depth + 1, self.position))
            if self.closes("]", pointer):
                return result

    def opens_empty(self, close: str) -> bool:
        """Step over the opening bracket, and over the closing one when nothing is between."""
        self.position += 1
        self.space()
        empty = self.peek() == close
        self.position += empty
        return empty

    def closes(self, close: str, pointer: str) -> bool:
        """After a member: step over a comma (False) or the closing bracket (True)."""
        self.space()
        if self.peek() == close:
            self.position += 1
            return True
        self.take(",", pointer, f'"," or "{close}"')
        self.space()
        return False

    def take(self, character: str, pointer: str, expected: str = "") -> None:
        if self.peek() != character:
            self.syntax(pointer, expected or f'"{character}"')
        self.position += 1

    # --- scalars ---------------------------------------------------------------------------------------------------

    def string(self, pointer: str) -> str:
        start = self.position
        match = _STRING.match(self.text, start)
        if match is None:
            self.stop(start, pointer, "syntax", "a closing double quote", "none before the end of the file")
        self.position = match.end()
        raw = match.group()
        if control := _CONTROL.search(raw):
            self.fault(
                start + control.start(), pointer, "control-character", "control characters as escapes", "a raw one"
            )
        try:
            text: str = json.loads(raw, strict=False) if "\\" in raw else raw[1:-1]
        except json.JSONDecodeError as error:
            self.fault(start + error.pos, pointer, "syntax", "an escape that JSON knows", "another one")
            return ""
        if _SURROGATE.search(text):
            self.fault(start, pointer, "lone-surrogate", "surrogates in pairs only", "half of a pair")
            return _SURROGATE.sub("\ufffd", text)
        return text

    def scalar(self, pointer: str) -> Json:
        start = self.position
        if word := _WORD.match(self.text, start):
            self.position = word.end()
            return self.word(start, word.group(), pointer)
        number = _NUMBER.match(self.text, start)
        if number is None:
            self.syntax(pointer, "a value")
        self.position = number.end()
        return self.number(start, number, pointer)

    def word(self, start: int, word: str, pointer: str) -> bool | None:
        if word == "null":
            hint = "Leave the key out, or give it a value."
            self.fault(start, pointer, "null", "a value", "null", hint)
        elif word not in _CONSTANTS:
            self.fault(start, pointer, "not-a-number", "a finite number", word)
        return _CONSTANTS.get(word)

    def number(self, start: int, match: re.Match[str], pointer: str) -> int | float | None:
        value = read_number(match.group(), whole=match.lastindex is None)
        if value is None:
            expected = "a number within float64; integers up to 9007199254740991"
            hint = "Write it as a string if all its digits count."
            self.fault(start, pointer, "number-range", expected, "a number beyond that", hint)
        return value

    # --- faults ----------------------------------------------------------------------------------------------------

    def duplicate(self, offset: int, first: int, pointer: str, key: str) -> None:
        place = self.lines.place(first)
        found = f"{shown_key(key)} again; the first is at {place.line}:{place.column}"
        self.fault(offset, pointer, "duplicate-key", "each key once in an object", found, "Keep one of them.")

    def syntax(self, pointer: str, expected: str) -> NoReturn:
        character = self.peek()
        if not character:
            found, hint = "the end of the file", "The file looks half-written."
        else:
            found = _KINDS.get(character, "text outside double quotes")
            hint = _HINTS.get(character, "")
        self.stop(self.position, pointer, "syntax", expected, found, hint)

    def stop(self, offset: int, pointer: str, rule: str, expected: str, found: str, hint: str = "") -> NoReturn:
        self.fault(offset, pointer, rule, expected, found, hint)
        raise _StopError

    def fault(self, offset: int, pointer: str, rule: str, expected: str, found: str, hint: str = "") -> None:
        self.faults.append(Fault(self.lines.place(offset), pointer, rule, expected, found, hint))
        if len(self.faults) >= MAX_FAULTS:
            raise _StopError

    # --- characters ------------------------------------------------------------------------------------------------

    def space(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]
