"""A valid task made ready: secrets filled in, canonical, sealed; and what a call would leave on the component."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.core import canonical, pointer, secrets
from reconciler.core.catalogue import Catalogue
from reconciler.errors import SecretError
from reconciler.model import CHECKPOINT_REFERENCE, SECTIONS, JsonObject, Parameter, Sections, Snapshot, Task


@dataclass(frozen=True, slots=True)
class Desired:
    """What a task's files ask for."""

    task: Task
    resolved: Sections = field(repr=False)  # as written, secrets in clear, without what is unmanaged
    content: Sections = field(repr=False)  # canonical form of resolved
    secret_places: frozenset[str]  # pointers into content
    secret_values: frozenset[str] = field(repr=False)  # to be hidden in whatever a server says
    snapshot: Snapshot  # content, sealed

    @property
    def plugins(self) -> Mapping[str, str | None]:
        """`{"source": ..., "sink": ...}` for the catalogue."""
        return {"source": self.task.source_plugin, "sink": self.task.sink_plugin}

    def request_digest(self, *, allow_delete: bool) -> str:
        """What would be sent, as `content.secrets.key`: digests of both, and the id of the fingerprint key."""
        snapshot = self.snapshot
        content = canonical.digest([self.task.address.id, self.task.cm_region or "", allow_delete, snapshot.digest])
        return f"{content}.{canonical.digest(dict(snapshot.fingerprints))}.{snapshot.key_id}"

    def was(self, attempted: str | None) -> bool:
        """Whether an attempt with that request digest was at just this content.

        Fingerprints of another key cannot be compared and are taken as equal.
        """
        content, _, rest = (attempted or "").partition(".")
        now = {self.request_digest(allow_delete=flag).partition(".")[::2] for flag in (False, True)}
        if any(content == mine and rest == secret for mine, secret in now):
            return True
        key = rest.partition(".")[2]
        return key != self.snapshot.key_id and any(content == mine for mine, _ in now)


def prepare(task: Task, catalogue: Catalogue, lookup: secrets.Lookup, key: bytes) -> Desired:
    """Fill in a task's secrets and bring it into the form that is compared.

    Args:
        task: a valid task.
        catalogue: what is known of parameters.
        lookup: finds the value of a reference.
        key: the fingerprint key.

    Raises:
        SecretError: references cannot be resolved; names them all.
    """
    written = without(task.sections, task.unmanaged)
    found: set[str] = set()  # a server may quote a part of an address: the password alone
    missing: list[str] = []
    resolved = secrets.resolve(written, _noting(lookup, found, missing))
    if missing:
        raise SecretError("; ".join(dict.fromkeys(missing)))
    content = canonical.canonical(resolved, catalogue)
    places = secrets.places(written, content, catalogue)
    hidden = secrets.values(content, places) | (found - {""})
    return Desired(task, resolved, content, places, hidden, secrets.seal(content, places, key))


def hollow(task: Task) -> Desired:
    """A task without its documents: for what needs its name and its address alone."""
    empty: Sections = {section: {} for section in SECTIONS}
    snapshot = Snapshot(empty, {}, "", canonical.content_digest(empty))
    return Desired(replace(task, sections=empty), empty, empty, frozenset(), frozenset(), snapshot)


def _noting(lookup: secrets.Lookup, found: set[str], missing: list[str]) -> secrets.Lookup:
    """A lookup that goes on after a reference that cannot be resolved, so that all of them are told at once."""

    def value(scheme: str, name: str) -> str:
        try:
            text = lookup(scheme, name)
        except SecretError as error:
            missing.append(str(error))
            return ""
        if canonical.has_surrogate(text):
            missing.append(f"{secrets.Reference(scheme, name)}: its value is not UTF-8 text")
            return ""
        found.add(text)
        return text

    return value


def without(sections: Sections, patterns: Iterable[str]) -> Sections:
    """Sections less the keys that patterns name: `/sink/workerNum`, `/sink/*`, `/sink`."""
    dropped = tuple(patterns)
    if not dropped:
        return sections
    return {
        section: {
            key: value
            for key, value in content.items()
            if not any(pointer.covers(pattern, pointer.text((section, key))) for pattern in dropped)
        }
        for section, content in sections.items()
    }


def overlaid(previous: Snapshot | None, sent: Snapshot) -> Snapshot:
    """The component after an update without `allowDelete`: previous content with the sent keys laid over it."""
    if previous is None:
        return sent
    content = canonical.overlay(previous.content, sent.content)
    comparable = previous.fingerprints if previous.key_id == sent.key_id else {}
    kept = {p: f for p, f in comparable.items() if secrets.get(content, pointer.tokens(p)) == secrets.MARK}
    return Snapshot(content, {**kept, **sent.fingerprints}, sent.key_id, canonical.content_digest(content))


def missing(desired: Desired, present: Iterable[Sections], catalogue: Catalogue) -> tuple[str, ...]:
    """What a payload lacks to be complete, so that `allowDelete` would destroy something.

    Args:
        desired: the task.
        present: contents that the component may have now.
        catalogue: which keys a plug-in requires.

    Returns:
        Pointers of required keys that are not there, and of sections that would be emptied; () when complete.
    """
    lacking = [
        place
        for section, plugin in {"coordinator": None, "condition": None, **desired.plugins}.items()
        for place in _lacking(section, plugin, desired, catalogue)
    ]
    emptied = (
        f"/{section}"
        for section, content in desired.content.items()
        if not content and any(before.get(section) for before in present)
    )
    return tuple(dict.fromkeys((*lacking, *emptied)))


def _lacking(section: str, plugin: str | None, desired: Desired, catalogue: Catalogue) -> list[str]:
    if plugin is None and section in ("source", "sink"):
        # Which keys an unknown plug-in needs is not known, so nothing can be said to be complete.
        unknown = " of a plug-in whose keys are known" if "boosterClass" in desired.content[section] else ""
        return [f"/{section}/boosterClass{unknown}"]
    required = [p for p in catalogue.of(section, plugin) if p.required and p.path[0] != "rule"]
    content = desired.content[section]
    if desired.task.sections[section].get("checkpoint") == CHECKPOINT_REFERENCE:
        content = {**content, "checkpoint": CHECKPOINT_REFERENCE}
    return [place for parameter in required for place in _absent(parameter, content)]


def _absent(parameter: Parameter, content: JsonObject) -> list[str]:
    first, *rest = parameter.path
    if not rest:
        return [] if first in content else [pointer.text((parameter.section, first))]
    elements = content.get(first)
    member = rest[-1]
    if elements == []:
        return [pointer.text((parameter.section, first))]  # there, and none of what has to be in it
    return [
        pointer.text((parameter.section, first, index, member))
        for index, element in enumerate(elements if isinstance(elements, list) else ())
        if not (isinstance(element, dict) and member in element)
    ]
