"""A task's files as bytes -> a task, and everything that is wrong with them.

Good files pass quickly: the standard decoder, one look by the compiled schemas, and the rules, which read only what
they need. Only when something is wrong are files read again for line and column, and a schema's refusal explained.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import jsonschema_rs

from reconciler.core import decode, pointer
from reconciler.core.catalogue import Catalogue
from reconciler.core.scan import Fault, Places
from reconciler.core.validation import rules, taskfile
from reconciler.core.validation.explain import Explainer
from reconciler.core.validation.findings import RULES, SCHEMA_KEY, Finding
from reconciler.core.validation.keys import KeyRules, View
from reconciler.model import SECTIONS, TASK_FILES, Address, JsonObject, RawTask, Severity, Task, Violation

DOCUMENTS = ("task", *SECTIONS, "reset")
"""What a task's directory holds, one file each: `task.json`, ..."""


_OPTIONAL = "reset"
_NAMED = 20  # tasks named in one message
_EVERYTHING = ("",)  # the pointer to the whole


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of one task's files."""

    task: Task | None  # None when at least one violation is an error
    violations: tuple[Violation, ...]  # sorted by file and place


class Validator:
    """Examines tasks; made once, thread-safe.

    Args:
        catalogue: what is known of parameters.
        schemas: `{"task": ..., "reset": ..., "coordinator": ..., ...}`, as in `schemas/`.
        literal_secrets: how much a secret matters that is written out.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        schemas: Mapping[str, JsonObject],
        literal_secrets: Severity = Severity.ERROR,
    ) -> None:
        self._catalogue = catalogue
        self._gates = {name: jsonschema_rs.Draft202012Validator(schemas[name]) for name in DOCUMENTS}
        self._explainers = {name: Explainer(name, schemas[name]) for name in DOCUMENTS}
        self._keys = KeyRules(catalogue)
        self._severities = {name: rule.severity for name, rule in RULES.items()} | {"literal-secret": literal_secrets}

    def examine(self, raw: RawTask, *, warnings: bool = True) -> Examined:
        """Look at everything in one task's directory.

        Args:
            raw: any bytes whatsoever.
            warnings: whether they are wanted: finding the place of one means reading the file a second time.

        Returns:
            The task, unless something is an error; and all violations.
        """
        files = _Files(raw)
        violations = [
            *raw.violations,
            *_missing(raw),
            *(self._of_fault(files, document, fault) for document, fault in files.faults),
            *(
                self._of_finding(files, finding)
                for finding in self._findings(files)
                if (warnings or self._severities[finding.rule] is Severity.ERROR) and not files.is_faulty(finding)
            ),
        ]
        failed = any(violation.severity is Severity.ERROR for violation in violations)
        task = None if failed else self._task(raw.name, files.contents)
        return Examined(task, tuple(sorted(violations, key=_order)))

    def violation(self, raw: RawTask, finding: Finding) -> Violation:
        """What was found by others in the files of a task, with its place in them."""
        return self._of_finding(_Files(raw), finding)

    # --- findings --------------------------------------------------------------------------------------------------

    def _findings(self, files: "_Files") -> Iterator[Finding]:
        contents = files.contents
        for document, content in contents.items():
            if not self._gates[document].is_valid(content):
                hides = partial(self._catalogue.is_secret, document)
                yield from self._explainers[document].explain(content, hides)
        for section in SECTIONS:
            if section in contents:
                view = self._view(section, contents)
                yield from self._keys.check(section, contents[section], files.data(section), view)
        yield from rules.check({section: contents[section] for section in SECTIONS if section in contents})
        if "task" in contents:
            yield from taskfile.check_task(contents["task"])
            yield from self._keys.check_pointers(contents["task"], contents)
        if "reset" in contents:
            yield from taskfile.check_reset(contents["reset"], contents.get("task", {}))

    def _view(self, section: str, contents: Mapping[str, JsonObject]) -> View:
        plugin = self._catalogue.plugin(section, contents[section])
        if "task" not in contents:  # what it may list is not known, so nothing is blamed for not being listed
            return View(plugin, _EVERYTHING, wide=False)
        task = contents["task"]
        return View(plugin, taskfile.pointers(task, "manage"), taskfile.is_wide(task))

    def _of_finding(self, files: "_Files", finding: Finding) -> Violation:
        place = pointer.text(finding.path)
        places = files.places(finding.document)
        return Violation(
            task=files.name,
            file=_path(files.name, finding.document),
            place=places.key(place) if finding.at_key else places.value(place),
            pointer=place,
            rule=finding.rule,
            severity=self._severities[finding.rule],
            expected=finding.expected,
            found=finding.found,
            suggestion=finding.suggestion,
        )

    def _of_fault(self, files: "_Files", document: str, fault: Fault) -> Violation:
        return Violation(
            task=files.name,
            file=_path(files.name, document),
            place=fault.place,
            pointer=fault.pointer,
            rule=fault.rule,
            severity=self._severities[fault.rule],
            expected=fault.expected,
            found=fault.found,
            suggestion=fault.suggestion,
        )

    # --- the task --------------------------------------------------------------------------------------------------

    def _task(self, name: str, contents: Mapping[str, JsonObject]) -> Task:
        task = contents["task"]
        sections = {section: _without_schema(contents[section]) for section in SECTIONS}
        return Task(
            name=name,
            address=taskfile.address_of(task),
            cm_region=task.get("cmRegion"),
            allow_delete=task.get("allowDelete", False),
            sections=sections,
            source_plugin=self._catalogue.plugin("source", sections["source"]),
            sink_plugin=self._catalogue.plugin("sink", sections["sink"]),
            **{member: taskfile.pointers(task, member) for member in taskfile.LISTS},
            labels=tuple(sorted(task.get("labels", {}).items())),
            suspend=taskfile.suspension_of(task),
            windows=taskfile.windows_of(task),
            limits=taskfile.limits_of(task),
            reset=taskfile.reset_of(contents["reset"]) if "reset" in contents else None,
        )


class _Files:
    """The decoded files of one task, and where things stand in them once somebody asks."""

    def __init__(self, raw: RawTask) -> None:
        self.name = raw.name
        self.contents: dict[str, JsonObject] = {}
        self.faults: list[tuple[str, Fault]] = []
        self._raw = raw
        self._places: dict[str, Places] = {}
        for document, file in zip(DOCUMENTS, TASK_FILES, strict=True):
            if file in raw.files:
                decoded = decode.decode(raw.files[file])
                content = decoded.value if decoded.value is not None else decoded.partial
                if content is not None:
                    self.contents[document] = content
                if decoded.places is not None:
                    self._places[document] = decoded.places
                self.faults.extend((document, fault) for fault in decoded.faults)
        self._faulty = {(document, fault.pointer) for document, fault in self.faults if fault.pointer}

    def is_faulty(self, finding: Finding) -> bool:
        """Whether the value of a finding could not be read: then the fault says enough."""
        return bool(self._faulty) and (finding.document, pointer.text(finding.path)) in self._faulty

    def data(self, document: str) -> bytes:
        """The bytes of a file."""
        return self._raw.files[f"{document}.json"]

    def places(self, document: str) -> Places:
        """Where everything stands in a file that was read."""
        if document not in self._places:
            self._places[document] = decode.places(self.data(document))
        return self._places[document]


def address_clashes(tasks: Iterable[tuple[str, Address]]) -> dict[str, Violation]:
    """Tasks that share an address with another one.

    Args:
        tasks: name and address of every valid task.

    Returns:
        `{task: violation}`, an error for each of them that names the others.
    """
    by_address: dict[str, list[str]] = {}
    for name, address in tasks:
        by_address.setdefault(address.id, []).append(name)
    return {name: _clash(name, names) for names in by_address.values() if len(names) > 1 for name in names}


def _clash(name: str, names: list[str]) -> Violation:
    others = [other for other in names if other != name]
    listed = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    hint = "Keep one directory for a component."
    return _whole(name, "task", "address-clash", "an address that no other task has", f"the address of {listed}", hint)


def _missing(raw: RawTask) -> Iterator[Violation]:
    if not raw.files and any(violation.severity is Severity.ERROR for violation in raw.violations):
        return  # the folder itself could not be read
    reported = {violation.file for violation in raw.violations}
    for document, file in zip(DOCUMENTS, TASK_FILES, strict=True):
        if file not in raw.files and document != _OPTIONAL and _path(raw.name, document) not in reported:
            hint = "An empty section is written {}." if document in SECTIONS else "It says which component is meant."
            yield _whole(raw.name, document, "missing-file", f"a file {file}", "none", hint)


def _whole(task: str, document: str, rule: str, expected: str, found: str, hint: str) -> Violation:
    return Violation(task, _path(task, document), None, "", rule, RULES[rule].severity, expected, found, hint)


def _path(task: str, document: str) -> str:
    return f"{task}/{document}.json" if task else f"{document}.json"


def _without_schema(content: JsonObject) -> JsonObject:
    return {key: value for key, value in content.items() if key != SCHEMA_KEY}


def _order(violation: Violation) -> tuple[str, int, int, str, str]:
    place = violation.place
    return (violation.file, place.line if place else 0, place.column if place else 0, violation.pointer, violation.rule)
