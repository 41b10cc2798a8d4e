"""A component's present configuration -> the sections of a task: secrets become references, what is OMS's is left out.

Values in, values out: the caller reads, writes and records. Values of secrets are handed back once, for whoever puts
them where they are read from; nothing else that is returned holds one.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.core import canonical, pointer, secrets
from reconciler.core.catalogue import HOLE, LITERAL_CREDENTIALS, SECRET_NAME, Catalogue
from reconciler.core.scan import scan
from reconciler.core.secrets import Reference
from reconciler.core.validation.keys import SELF_WRITTEN
from reconciler.model import (
    CHECKPOINT_REFERENCE,
    SECTIONS,
    Action,
    Item,
    Json,
    JsonObject,
    Ownership,
    Parameter,
    Record,
    Sections,
)

AWAITED = "(imported)"
"""Channel under which the store keeps the addresses whose files were imported and not read yet, `{Address.id: task}`:
no channel of notifications can have that name."""

_HARMLESS = ("", "true", "false")  # as a value of a key that is called like a secret
_TOLD = 8  # characters of a secret that are no coincidence when they stand elsewhere
_LONGEST_NAME = 200  # characters: the name of a file has at most 255 bytes
_TYPES: Mapping[str, type] = {"array": list, "object": dict}

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*:[^\s\"'`\\{}]*")
_CREDENTIAL = re.compile(
    r"(?P<option>[\w.-]*(?:passw(?:or)?d|pwd|secret|token|access.?key))=(?P<value>[^&]+)"
    r"|://[^/:@]*:(?![0-9]{1,5}[?;/])(?P<login>[^/?]+)@"  # up to the last @: a password may hold one
    r"|:thin:[^/@]+/(?P<thin>[^?]+)@",
    re.IGNORECASE,
)
"""Where in an address a credential begins and ends: rather too much of it than too little."""

_KEYED = re.compile(rf"(?:{SECRET_NAME.pattern})[^\":\s]*\\*\"\s*:", re.IGNORECASE)
"""JSON inside a text that has a key which is called like a secret."""

IDENTITY = "OMS writes it itself, and loses sight of the component when it is wrong"
RUNTIME = "the component computes it when it starts"
POSITION = "OMS moves it all the time"


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret that a reference took the place of."""

    place: str  # pointer with the section in front: "/sink/password"
    reference: Reference
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One key that the files do not get."""

    place: str
    reason: str  # a clause


@dataclass(frozen=True, slots=True)
class Imported:
    """What the files of a task will say."""

    sections: Sections = field(repr=False)
    secrets: tuple[Secret, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    manage: tuple[str, ...] = ()  # pointers that task.json has to list
    remarks: tuple[str, ...] = ()

    def lookup(self, scheme: str, name: str) -> str:
        """The value of one of its references, from memory."""
        return next(one.value for one in self.secrets if one.reference == Reference(scheme, name))


class Names:
    """Thinks of a reference for each place, none of them twice.

    Args:
        task: name of the task.
        folder: absolute path of a folder for files of secrets; "": they are environment variables.
        taken: names of variables, or paths of files, that are somebody else's.
    """

    def __init__(self, task: str, folder: str = "", taken: Collection[str] = ()) -> None:
        self._task = task
        self._folder = folder
        self._taken = set(taken)

    def reference(self, place: str, part: str = "") -> Reference:
        """A new one: `${env:SHOP_ORDERS_SINK_PASSWORD}`, `${file:/run/secrets/shop_orders_sink_password}`.

        Args:
            place: pointer with the section in front.
            part: what of the value is meant, where that is not all of it.
        """
        words = "_".join((self._task, *pointer.tokens(place), part))
        name = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words)).strip("_").upper()
        if not name[:1].isalpha() or name.startswith("RECONCILER_"):  # those are overrides of the configuration
            name = f"TASK_{name}"
        name = self._free(name[:_LONGEST_NAME])
        return Reference("file", name) if self._folder else Reference("env", name)

    def _free(self, name: str) -> str:
        number = 1
        while (found := self._written(name, number)) in self._taken:
            number += 1
        self._taken.add(found)
        return found

    def _written(self, name: str, number: int) -> str:
        numbered = name if number == 1 else f"{name}_{number}"
        return f"{self._folder}/{numbered.lower()}" if self._folder else numbered


def sections_in(document: JsonObject) -> tuple[str, JsonObject]:
    """Where the four sections stand in a document, as a pointer and the object that has them.

    They are members of the document itself, or of its `config`, as in a request.
    """
    inner = document.get("config")
    if isinstance(inner, dict) and not any(section in document for section in SECTIONS):
        return "/config", inner
    return "", document


def imported(sections: Sections, catalogue: Catalogue, names: Names, *, whole: bool) -> Imported:
    """Make a task's sections of what a component has.

    Args:
        sections: as the component has them, secrets in clear; a list or an object may be JSON text.
        catalogue: knows secrets, and whose a key is.
        names: of the references.
        whole: keep what OMS wrote itself, so that the files are the whole configuration. The position stays OMS's.
    """
    walk = _Walk(catalogue, names)
    kept: dict[str, JsonObject] = {}
    left_out: list[LeftOut] = []
    manage: list[str] = []
    for section in SECTIONS:
        kept[section] = {}
        plugin = catalogue.plugin(section, sections[section])
        for key, value in sections[section].items():
            place, known = pointer.text((section, key)), catalogue.find(section, (key,), plugin)
            reason = _reason(section, key, known)
            if reason and not whole:
                left_out.append(LeftOut(place, reason))
            elif reason == POSITION:
                kept[section][key] = CHECKPOINT_REFERENCE
            else:
                kept[section][key] = walk.value((section, key), _unfolded(value, known))
                manage += [place] if reason == IDENTITY else []
    return Imported(kept, tuple(walk.found), tuple(left_out), tuple(manage), tuple(_doubts(kept, walk.found)))


def _reason(section: str, key: str, known: Parameter | None) -> str:
    """Why a key is left out; "" when it is not."""
    if (section, key) == ("source", "checkpoint"):
        return POSITION
    if section == "coordinator" and key in SELF_WRITTEN:
        return IDENTITY
    return RUNTIME if known is not None and known.ownership is Ownership.RUNTIME else ""


def _unfolded(value: Json, known: Parameter | None) -> Json:
    """The list or object that a text is, where the catalogue knows one; `runningConf.json` writes them as text."""
    wanted = _TYPES.get(known.type) if known else None
    if wanted is None or not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    inner = scan(value)
    return inner.value if isinstance(inner.value, wanted) and not inner.faults else value


def _doubts(sections: Sections, found: Collection[Secret]) -> Iterator[str]:
    """Texts that hold a secret from elsewhere: nobody knows whether they are one."""
    telling = [secret for secret in found if len(secret.value) >= _TOLD]
    for path, text in _texts(dict(secrets.without_checkpoint(sections)), ()) if telling else ():
        plain = secrets.substitute(text, lambda _scheme, _name: "") if "${" in text else text
        for secret in telling:
            if secret.value in plain:
                yield f"{pointer.text(path)} holds the secret of {secret.place} in clear: look at it before you commit"


def _texts(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in members:
            yield from _texts(member, (*path, str(key)))


class _Walk:
    """Replaces secrets by references and notes them."""

    def __init__(self, catalogue: Catalogue, names: Names) -> None:
        self._catalogue = catalogue
        self._names = names
        self.found: list[Secret] = []

    def value(self, path: tuple[str, ...], value: Json) -> Json:
        """The same value without secrets; a literal `${` is written so that it stays one."""
        if isinstance(value, dict):
            return {key: self.value((*path, key), member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.value((*path, str(index)), element) for index, element in enumerate(value)]
        return value if isinstance(value, bool) or value in _HARMLESS else self._scalar(path, value)

    def _scalar(self, path: tuple[str, ...], value: Json) -> Json:
        section, *inner = path
        if self._catalogue.is_secret(section, tuple(inner), "named"):
            return self._referred(path, canonical.scalar_text(value))
        if not isinstance(value, str):
            return value
        if self._catalogue.is_secret(section, tuple(inner), value) or _KEYED.search(value):
            return self._address(path, value) or self._referred(path, value)
        return value.replace("${", "$${")

    def _referred(self, path: tuple[str, ...], text: str, part: str = "") -> str:
        place = pointer.text(path)
        reference = self._names.reference(place, part)
        self.found.append(Secret(place, reference, text))
        return str(reference)

    def _address(self, path: tuple[str, ...], text: str) -> str:
        """An address with references in the place of its credentials; "" when that would leave something of them."""
        if not _ADDRESS.fullmatch(text) or LITERAL_CREDENTIALS.search(_CREDENTIAL.sub(_around(HOLE), text)):
            return ""
        return _CREDENTIAL.sub(
            lambda match: _around(self._referred(path, _credential(match), match["option"] or "password"))(match), text
        )


def _credential(match: re.Match[str]) -> str:
    return match["value"] or match["login"] or match["thin"]


def _around(reference: str) -> Callable[[re.Match[str]], str]:
    """What a match becomes: itself, with the reference in the place of its credential."""

    def written(match: re.Match[str]) -> str:
        start, end = match.span(match.lastgroup or 0)
        return match.string[match.start() : start] + reference + match.string[end : match.end()]

    return written


def awaited(record: Record) -> Item:
    """An address whose files were imported and are not among those that are read yet: nothing vanished."""
    return Item(
        id=canonical.digest([record.address, AWAITED, record.serial]),
        task=record.task,
        action=Action.NOOP,
        reason="imported, and its files are not among those that are read yet",
        address=record.address,
        serial=record.serial,
        remarks=(f"commit them; or reconciler forget {record.task}, which drops the record",),
    )
