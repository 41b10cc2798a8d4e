"""Rules about single keys and values of the four files: is the key known, may it be set here, is it a secret.

The vendor's lists are incomplete, so a key that is not in the catalogue is only doubtful, unless it looks like a slip.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from reconciler.core import pointer, secrets
from reconciler.core.catalogue import ANY_ELEMENT, HOLE, LITERAL_CREDENTIALS, RULE, Catalogue, Path
from reconciler.core.scan import scan
from reconciler.core.validation import suggest, taskfile
from reconciler.core.validation.explain import did_you_mean
from reconciler.core.validation.findings import SCHEMA_KEY, Finding, shown
from reconciler.model import CHECKPOINT_REFERENCE, Json, JsonObject, Ownership, Parameter

MAX_FINDINGS = 200  # of one kind in one file

SELF_WRITTEN = frozenset(
    (
        "taskIdentity",
        "taskSubId",
        "listenPort",
        "customizeClass",
        "enableMetricReportTask",
        "enableActiveReportTask",
        "enableOmsConnectorV2Report",
    )
)
"""Keys of coordinator.json that OMS writes itself."""

_TYPES: dict[str, type] = {"array": list, "object": dict}
_NEVER_TEXT = ("clients", "checkpoint", "whiteCondition", "blackCondition")
_OMS_REFERENCE = re.compile(r"(?<!\$)\$\{oms:")
_REFERENCE = re.compile(r"\$\$\{|\$\{[^}]*\}")
_HARMLESS = ("", "true", "false")
_REFERENCE_FORMS = '"${env:NAME}", "${file:/path}" or "${credential:name}"; "$${" for a literal "${"'


@dataclass(frozen=True, slots=True)
class View:
    """What the rules need to know beside the file itself."""

    plugin: str | None  # that boosterClass names
    manage: tuple[str, ...]  # pointers of task.json
    wide: bool  # the address can mean several components

    def manages(self, section: str, path: Path) -> bool:
        """Whether task.json lists a place under `manage`."""
        place = pointer.text((section, *path))
        return any(pointer.covers(pattern, place) for pattern in self.manage)


class KeyRules:
    """The rules, with what they look up prepared once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._names: dict[tuple[str, Path], dict[str, list[Parameter]]] = {}
        for parameter in catalogue.parameters:
            if parameter.path[0] != RULE:
                *prefix, name = parameter.path
                self._names.setdefault((parameter.section, tuple(prefix)), {}).setdefault(name, []).append(parameter)

        self._plain = {
            (section, path, plugin): frozenset(name for name, entries in names.items() if _is_plain(entries, plugin))
            for (section, path), names in self._names.items()
            for plugin in (None, *(entry.name for entry in catalogue.plugins))
        }

    def check(self, section: str, content: JsonObject, data: bytes, view: View) -> Iterator[Finding]:
        """Everything these rules find in one file.

        Args:
            section: which of the four files.
            content: decoded; it may not fit its schema.
            data: the bytes it was decoded from.
            view: what other files say.
        """
        yield from islice(self._keys(section, content, view), MAX_FINDINGS)
        if section != "condition" or self._suspicious(content, data):
            yield from islice(self._values(section, content, ()), MAX_FINDINGS)

    def check_pointers(self, task: JsonObject, contents: Mapping[str, JsonObject]) -> Iterator[Finding]:
        """Pointers of `task.json` that are a slip away from a known key: a safeguard that guards nothing.

        Args:
            task: decoded `task.json`.
            contents: the other files, as far as they could be read.
        """
        for member in ("allow", "protect", "unmanaged"):
            for index, place in enumerate(taskfile.pointers(task, member)):
                section, *path = pointer.tokens(place)
                if path and not path[-1]:
                    hint = f'A pointer to a whole file is "/{section}".' if path == [""] else 'Leave out the last "/".'
                    yield Finding("task", (member, str(index)), "near-miss", "a pointer to a key", shown(place), hint)
                    continue
                known = {*self._names.get((section, ()), {}), *contents.get(section, {})}
                near = suggest.nearest(path[0], known) if path and path[0] not in (*known, ANY_ELEMENT) else None
                if near is not None:
                    expected, hint = f"a key of {section}.json", did_you_mean(near)
                    yield Finding("task", (member, str(index)), "near-miss", expected, shown(place), hint)

    # --- keys ------------------------------------------------------------------------------------------------------

    def _keys(self, section: str, content: JsonObject, view: View) -> Iterator[Finding]:
        for path, members in self._objects(section, content):
            known = self._names[section, path_of(path)]
            plain = self._plain[section, path_of(path), view.plugin]
            for name, value in members.items():
                if name in plain:
                    continue
                if name in known:
                    yield from self._known_key(section, (*path, name), value, known[name], view)
                elif name != SCHEMA_KEY or path:
                    yield self._unknown_key(section, (*path, name), known, view)
        if view.wide:
            yield from self._wide(section, content)

    def _objects(self, section: str, content: JsonObject) -> Iterator[tuple[Path, JsonObject]]:
        """The object itself and those in its lists whose members the catalogue lists."""
        yield (), content
        for name, value in content.items():
            if (section, (name, ANY_ELEMENT)) in self._names and isinstance(value, list):
                for index, element in enumerate(value):
                    if isinstance(element, dict):
                        yield (name, str(index)), element

    def _known_key(
        self, section: str, path: Path, value: Json, entries: list[Parameter], view: View
    ) -> Iterator[Finding]:
        own = [entry for entry in entries if view.plugin in (None, entry.plugin)]
        if not own:
            plugins = " or ".join(sorted({str(entry.plugin) for entry in entries}))
            yield Finding(
                section, path, "other-plugin-key", f"a key of {view.plugin}", f"a key of {plugins}", at_key=True
            )
        if section == "coordinator" and path[0] in SELF_WRITTEN and not view.manages(section, path):
            hint = f'Leave it out, or list "{pointer.text((section, *path))}" under "manage" in task.json.'
            yield Finding(section, path, "not-managed", "a key that OMS does not write itself", path[0], hint, True)
        if isinstance(value, str) and "${" not in value:
            yield from self._text(section, path, value, own or entries, view)

    def _text(self, section: str, path: Path, value: str, entries: list[Parameter], view: View) -> Iterator[Finding]:
        values = [text for entry in entries if entry.enum_open for text in entry.enum]
        plugin_known = path == ("boosterClass",) and view.plugin is not None
        if values and value not in values and not plugin_known:
            expected = "a value the vendor lists: " + ", ".join(dict.fromkeys(values))
            hint = did_you_mean(suggest.nearest(value, values))
            yield Finding(section, path, "unknown-value", expected, shown(value, path), hint)
        wanted = _TYPES.get(entries[0].type)
        if wanted and path[-1] not in _NEVER_TEXT:
            inner = scan(value)
            if inner.faults or not isinstance(inner.value, wanted):
                kind = "a list" if wanted is list else "an object"
                yield Finding(section, path, "json-text", f"JSON text of {kind}, without null", "other text")
            else:
                yield from self._values(section, inner.value, path)

    def _unknown_key(self, section: str, path: Path, known: dict[str, list[Parameter]], view: View) -> Finding:
        near = suggest.nearest(path[-1], known if path[1:] else (*known, SCHEMA_KEY))
        expected, found = f"a key of {section}.json", shown(path[-1])
        if near is None or view.manages(section, path):
            return Finding(section, path, "unknown-key", expected, found, at_key=True)
        place = pointer.text((section, *path))
        hint = f'{did_you_mean(near)} If the key does exist, list "{place}" under "manage" in task.json.'
        return Finding(section, path, "near-miss", expected, found, hint, at_key=True)

    def _wide(self, section: str, content: JsonObject) -> Iterator[Finding]:
        expected = "a tuning key of coordinator, source or sink"
        for name, value in content.items():
            entries = self._names[section, ()].get(name, ())
            tuning = entries and all(entry.ownership is Ownership.OPERATOR for entry in entries)
            secret = self._catalogue.is_secret(section, (name,), value) or "${" in str(value)
            if name != SCHEMA_KEY and (section == "condition" or not tuning or secret):
                hint = "Use dimension NAME, one task for each component."
                yield Finding(section, (name,), "wide-address", expected, shown(name), hint, at_key=True)

    # --- values ----------------------------------------------------------------------------------------------------

    def _suspicious(self, content: JsonObject, data: bytes) -> bool:
        """Whether condition.json can hold a secret or a reference at all; usually not, and it has most values."""
        marks = (b"${", b"=", b"@", b"\\u", b'"attr"')
        return any(mark in data for mark in marks) or not self._names["condition", ()].keys() >= content.keys()

    def _values(self, section: str, value: Json, path: Path) -> Iterator[Finding]:
        if isinstance(value, dict):
            for name, member in value.items():
                yield from self._values(section, member, (*path, name))
        elif isinstance(value, list):
            for index, element in enumerate(value):
                yield from self._values(section, element, (*path, str(index)))
        else:
            yield from self._scalar(section, value, path)

    def _scalar(self, section: str, value: Json, path: Path) -> Iterator[Finding]:
        secret = self._catalogue.is_secret(section, path, value)
        if isinstance(value, str) and "${" in value:
            if (section, path, value) == ("source", ("checkpoint",), CHECKPOINT_REFERENCE):
                return
            if _OMS_REFERENCE.search(value):
                found = shown(value, secret=secret)
                yield Finding(section, path, "checkpoint-reference", "another value", found)
                return
            if not _well_formed(value):
                found = "a malformed reference" if secret else shown(value)
                yield Finding(section, path, "reference", _REFERENCE_FORMS, found)
                return
        if secret and _is_literal(value):
            hint = "Put the secret where the reconciler can read it, and its reference here."
            yield Finding(section, path, "literal-secret", "a reference such as ${env:NAME}", "a literal", hint)


def _is_plain(entries: list[Parameter], plugin: str | None) -> bool:
    """Whether the schema says everything about a key that can be said: most keys, and the reason for speed."""
    own = plugin is None or any(entry.plugin == plugin for entry in entries)
    listed = any(entry.enum and entry.enum_open for entry in entries)
    return own and not listed and entries[0].type not in _TYPES and entries[0].name not in SELF_WRITTEN


def path_of(path: Path) -> Path:
    """A path to an object as the catalogue writes it: every index is `*`."""
    return tuple(ANY_ELEMENT if index % 2 else part for index, part in enumerate(path))


def _well_formed(text: str) -> bool:
    try:
        secrets.find(text)
    except secrets.ReferenceSyntaxError:
        return False
    return True


def _is_literal(value: Json) -> bool:
    """Whether a secret is written out; its references are well-formed."""
    if isinstance(value, bool) or value in _HARMLESS:
        return False
    if not isinstance(value, str):
        return True
    rest = _REFERENCE.sub(lambda match: match[0] if match[0] == "$${" else HOLE, value)
    return HOLE not in rest or LITERAL_CREDENTIALS.search(rest) is not None
