"""Reads what a component has at present: a copy of its `conf/` directory, or one JSON document.

Strictly, as the files of a task are read; no value is ever told.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from reconciler.core import decode, importing, names
from reconciler.core.draft import section_of
from reconciler.core.scan import Fault
from reconciler.errors import DesiredStateError
from reconciler.model import SECTIONS, TASK_FILES, JsonObject, Place, Sections, Severity, Violation

STDIN = "-"
_CONF = "conf"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one section stands."""

    path: str  # of the file, as the user wrote it
    data: bytes = field(repr=False)
    pointer: str  # of the section in it: "", "/sink", "/config/sink"

    def place(self, pointer: str) -> Place:
        """Line and column of a value of the section, or of what holds it."""
        return decode.places(self.data).value(f"{self.pointer}{pointer}")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was read."""

    shown: str  # where from, for people
    sections: Sections = field(repr=False)  # of those that could be read
    origins: Mapping[str, Origin] = field(repr=False)
    problems: tuple[Violation, ...] = ()  # their files are paths as the user wrote them
    component: str = ""  # its name, where the source tells it
    region: str = ""
    ignored: tuple[str, ...] = ()  # names of other files


def read(source: str) -> Exported:
    """Read a directory, a file or standard input.

    Args:
        source: `conf/`, the directory that holds it, a JSON file, or "-".

    Raises:
        click.UsageError: it is nothing of that kind.
        DesiredStateError: it cannot be read.
    """
    if source == STDIN:
        return _document("standard input", sys.stdin.buffer.read(decode.MAX_BYTES + 1))
    path = Path(source)
    try:
        return _directory(path) if path.is_dir() else _document(source, _content(path))
    except OSError as error:
        raise DesiredStateError(f"{error.filename or source}: cannot be read: {error.strerror}") from error


def placed(violations: Iterable[Violation], found: Exported) -> Iterator[Violation]:
    """Say of what is wrong with a draft where it stands in what was read: nothing else is there to look at.

    Args:
        violations: of the draft's files.
        found: what it was made of.
    """
    for violation in violations:
        origin = found.origins.get(section_of(violation))
        if origin is None:
            yield violation
        else:
            pointer = f"{origin.pointer}{violation.pointer}"
            yield replace(violation, file=origin.path, place=origin.place(violation.pointer), pointer=pointer)


def _content(path: Path) -> bytes:
    """The bytes of a file or a pipe, at most one more than may be read."""
    with path.open("rb") as file:
        return file.read(decode.MAX_BYTES + 1)


# --- a directory -----------------------------------------------------------------------------------------------------


def _directory(path: Path) -> Exported:
    wanted = [f"{section}.json" for section in SECTIONS]
    folder = next((one for one in (path, path / _CONF) if any((one / name).exists() for name in wanted)), None)
    if folder is None:
        raise click.UsageError(f"{path}: expected {', '.join(wanted)} in it, or in a directory conf/ in it; found none")
    present = {entry.name for entry in folder.iterdir()}
    if TASK_FILES[0] in present:
        raise click.UsageError(
            f"{folder}: is the directory of a task already; reconciler adopt records what is in the desired state"
        )
    missing = [name for name in wanted if name not in present]
    if missing:
        raise click.UsageError(f"{folder}: expected all four files; {', '.join(missing)} is not there, copy it as well")
    origins = {section: Origin(str(folder / f"{section}.json"), b"", "") for section in SECTIONS}
    origins = {section: replace(one, data=_content(Path(one.path))) for section, one in origins.items()}
    decoded = {section: decode.decode(one.data) for section, one in origins.items()}
    problems = [_problem(origins[section].path, f) for section, one in decoded.items() for f in one.faults]
    return Exported(
        shown=str(folder),
        sections={section: one.value for section, one in decoded.items() if one.value is not None},
        origins=origins,
        problems=tuple(problems),
        component=_named_after(folder),
        ignored=tuple(sorted(present - set(wanted))),
    )


def _named_after(folder: Path) -> str:
    """The component whose run directory this is, or is in; "" when the names tell of none."""
    here = folder.resolve()
    return next((one.name for one in (here, here.parent) if names.position_of(one.name)), "")


# --- one document ----------------------------------------------------------------------------------------------------


def _document(shown: str, data: bytes) -> Exported:
    decoded = decode.decode(data)
    if decoded.value is None:
        return Exported(shown, {}, {}, tuple(_problem(shown, fault) for fault in decoded.faults))
    document = decoded.value
    inside, holder = importing.sections_in(document)
    sections = {section: holder[section] for section in SECTIONS if isinstance(holder.get(section), dict)}
    origins = {section: Origin(shown, data, f"{inside}/{section}") for section in SECTIONS}
    problems = [_lacking(origins[one], is_there=one in holder) for one in SECTIONS if one not in sections]
    named = document if document.get("dimension") == "NAME" else {}
    return Exported(
        shown, sections, origins, tuple(problems), component=_text(named, "key"), region=_text(named, "cmRegion")
    )


def _text(content: JsonObject, key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _lacking(origin: Origin, *, is_there: bool) -> Violation:
    if is_there:
        found = Fault(origin.place(""), origin.pointer, "schema", "an object", "another value")
    else:
        hint = "An empty one is written {}."
        found = Fault(origin.place(""), origin.pointer, "missing-member", "all four sections", "none here", hint)
    return _problem(origin.path, found)


def _problem(path: str, fault: Fault) -> Violation:
    return Violation(
        "", path, fault.place, fault.pointer, fault.rule, Severity.ERROR, fault.expected, fault.found, fault.suggestion
    )
