"""The files of a task that is made of something else: written as people write them, and judged before they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.core.importing import Imported
from reconciler.core.render import data
from reconciler.core.validation.validator import Validator
from reconciler.model import JsonObject, RawTask, Task, Violation


@dataclass(frozen=True, slots=True)
class Draft:
    """The files of a task before they are written."""

    documents: Mapping[str, JsonObject]  # {"task": {...}, "sink": {...}}, without secrets
    files: Mapping[str, bytes] = field(repr=False)  # the same as they are written: {"sink.json": b"..."}
    task: Task | None  # None when something is wrong with them
    violations: tuple[Violation, ...]


def draft(name: str, address: JsonObject, made: Imported, validator: Validator, *, whole: bool) -> Draft:
    """Write the files of a task, and judge them.

    A key of a running component that looks like a slip of another one is none: it is listed under `manage`.

    Args:
        name: of the task.
        address: members of `task.json` that say which component is meant.
        made: its sections.
        validator: judges them.
        whole: they are the whole configuration.
    """
    found = _draft(name, address, made, validator, whole=whole)
    near = [_place(violation) for violation in found.violations if violation.rule == "near-miss"]
    if not near:
        return found
    return _draft(name, address, replace(made, manage=(*made.manage, *near)), validator, whole=whole)


def _draft(name: str, address: JsonObject, made: Imported, validator: Validator, *, whole: bool) -> Draft:
    members: JsonObject = {"allowDelete": True} if whole else {}
    members |= {"manage": list(made.manage)} if made.manage else {}
    documents = {"task": {**address, **members}, **made.sections}
    files = {f"{document}.json": data.dumps(content).encode() for document, content in documents.items()}
    examined = validator.examine(RawTask(name, files))
    return Draft(documents, files, examined.task, examined.violations)


def section_of(violation: Violation) -> str:
    """Of which of the four files it is; "task" for `task.json`."""
    return violation.file.rpartition("/")[2].removesuffix(".json")


def _place(violation: Violation) -> str:
    return f"/{section_of(violation)}{violation.pointer}"
