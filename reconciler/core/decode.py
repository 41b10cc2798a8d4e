"""Bytes of one file -> a JSON object, or everything that is wrong with them.

Strict, because two readers must never understand one file differently: UTF-8 without a mark, one object, every key
once, no null, nothing that float64 or UTF-16 cannot hold. Good files take a fast way through the standard decoder;
only what that way does not vouch for is scanned by `scan`, which is slower and finds every fault with its place.
"""

import json
import math
import re
from dataclasses import dataclass, field

from reconciler.core.scan import MAX_DEPTH, Fault, Lines, Places, Scan, read_number, scan
from reconciler.model import Json, JsonObject, Place

MAX_BYTES = 1_048_576
"""Largest file that is read, bytes."""

_BOM = b"\xef\xbb\xbf"
_DOUBTFUL = re.compile(rb"[:\[,]\s*null|\\u[dD][89a-fA-F]")  # null, a surrogate: let the scanner decide


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of one file."""

    value: JsonObject | None = field(repr=False)  # None when there are faults
    faults: tuple[Fault, ...] = ()
    partial: JsonObject | None = field(default=None, repr=False)  # with faults: what could be read nevertheless
    places: Places | None = field(default=None, repr=False)  # when they had to be found out anyway


class _DoubtError(ValueError):
    """The fast way cannot vouch for the file."""


def decode(data: bytes) -> Decoded:
    """Read the bytes of one file.

    Args:
        data: the whole file, any bytes whatsoever.

    Returns:
        The object, or at least one fault. `partial` is for looking on: members beside the faults can be checked too.

    Source:
        RFC 8259 (JSON), RFC 7493 (I-JSON).
    """
    if len(data) > MAX_BYTES:
        hint = "Split it, or take out what the component does not need."
        return _refused("too-large", f"at most {MAX_BYTES} bytes", f"{len(data)} bytes", hint)
    if not data.strip():
        return _refused("empty-file", "a JSON object", "an empty file", 'Is it half-written? An empty section is "{}".')
    value = _fast(data)
    return Decoded(value) if value is not None else _slow(data)


def places(data: bytes) -> Places:
    """Where everything stands in a file; needed only to show violations.

    Args:
        data: bytes that `decode` gave a value or a partial value for.
    """
    return scan(data.removeprefix(_BOM).decode("utf-8", "replace")).places


def _fast(data: bytes) -> JsonObject | None:
    """The object when it is certainly without a fault."""
    if (b"null" in data or b"\\u" in data) and _DOUBTFUL.search(data):
        return None
    try:
        value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or (data.count(b"{") + data.count(b"[") > MAX_DEPTH and _too_deep(value)):
        return None
    return value


def _too_deep(value: Json) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        members = [member for outer in level for member in (outer.values() if type(outer) is dict else outer)]
        level = [member for member in members if type(member) in (dict, list)]
        if not level:
            return False
    return True


def _slow(data: bytes) -> Decoded:
    faults: list[Fault] = []
    if data.startswith(_BOM):
        expected = "UTF-8 without a byte order mark"
        faults.append(Fault(Place(1, 1), "", "bom", expected, "a byte order mark", "Save the file without it."))
        data = data.removeprefix(_BOM)
    try:
        found = scan(data.decode())
    except UnicodeDecodeError as error:
        return Decoded(None, (*faults, _not_utf8(data, error.start)))
    faults.extend(found.faults)
    return _judged(found, faults)


def _judged(found: Scan, faults: list[Fault]) -> Decoded:
    value = found.value
    if not isinstance(value, dict):
        if value is not None:
            kind = "a list" if isinstance(value, list) else "a single value"
            faults.append(Fault(found.places.value(""), "", "not-an-object", "one JSON object", kind))
        return Decoded(None, tuple(faults))
    return Decoded(None, tuple(faults), value, found.places) if faults else Decoded(value)


def _not_utf8(data: bytes, offset: int) -> Fault:
    before = data[:offset].decode()
    place = Lines(before).place(len(before))
    return Fault(place, "", "not-utf8", "UTF-8 text", f"another byte at offset {offset}", "Save the file as UTF-8.")


def _refused(rule: str, expected: str, found: str, hint: str) -> Decoded:
    return Decoded(None, (Fault(None, "", rule, expected, found, hint),))


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DoubtError
    return members


def _integer(text: str) -> int:
    value = read_number(text, whole=True)
    if not isinstance(value, int):
        raise _DoubtError
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _DoubtError
    return value


def _constant(name: str) -> Json:
    raise _DoubtError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
