"""What is known about the parameters of the four files.

The facts are data (`reconciler/data/parameters.json`, read by `resources`); this module only finds them. The lists
of the vendor's pages are incomplete, so "not found" never means "does not exist".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model import Danger, DangerLevel, Json, JsonObject, Ownership, Parameter

SECRET_NAME = re.compile(
    r"passw|pass.?phrase|pwd|secret|token|(?:access|api|private).?key|credential|sasl|jaas", re.IGNORECASE
)
"""Names that mean a secret where the catalogue does not know the key."""

_CREDENTIALS = (
    r"(?:passw(?:or)?d|pwd|secret|token|access.?key)\s*=\s*[^\s&;%s]"  # password=x
    r"|://[^/\s:@]*:(?![0-9]{1,5}[?;])[^/\s@%s]+@"  # scheme://user:x@host; no port before options that hold an @
    r"|:thin:[^/\s@]{1,128}/[^\s@%s]{1,128}@"  # jdbc:oracle:thin:user/x@host; bounded, or long texts take for ever
)

CREDENTIALS = re.compile(_CREDENTIALS.replace("%s", ""), re.IGNORECASE)
"""Credentials inside an address or option text."""

_HINTS = ("passw", "phrase", "pwd", "secret", "token", "key", "credential", "sasl", "jaas", "://", ":thin:")
"""Texts of which every match of `SECRET_NAME` and `CREDENTIALS` has one."""

HOLE = "\x00"
"""Stands where a reference was taken out of a text that is searched with `LITERAL_CREDENTIALS`."""

LITERAL_CREDENTIALS = re.compile(_CREDENTIALS.replace("%s", HOLE), re.IGNORECASE)
"""Credentials that are written out, where those that are references left holes."""

RULE_LISTS = ("whiteCondition", "blackCondition")
ANY_ELEMENT = "*"
RULE = "rule"

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One source or sink plug-in, chosen by `boosterClass`."""

    section: str
    name: str
    booster_class: str | None  # the whole class name
    booster_class_prefix: str | None  # or how all its class names begin

    def matches(self, booster_class: str) -> bool:
        """Whether *booster_class* is of this plug-in."""
        if self.booster_class is not None:
            return booster_class == self.booster_class
        return self.booster_class_prefix is not None and booster_class.startswith(self.booster_class_prefix)


class Catalogue:
    """Finds parameters by section, plug-in and path."""

    def __init__(self, parameters: Iterable[Parameter], plugins: Iterable[Plugin]) -> None:
        self.parameters = tuple(parameters)
        self.plugins = tuple(plugins)
        self._by_path: dict[tuple[str, Path], list[Parameter]] = {}
        for parameter in self.parameters:
            self._by_path.setdefault((parameter.section, parameter.path), []).append(parameter)
        self._secret = {key: any(p.secret for p in found) for key, found in self._by_path.items()}
        named = {key[1][-1].casefold() for key, secret in self._secret.items() if secret}
        self._hints = (*_HINTS, *(name for name in named if not any(hint in name for hint in _HINTS)))

    def plugin(self, section: str, content: JsonObject) -> str | None:
        """Name of the plug-in that *content* is for; None when `boosterClass` is absent or not known."""
        booster_class = content.get("boosterClass")
        if not isinstance(booster_class, str):
            return None
        names = (p.name for p in self.plugins if p.section == section and p.matches(booster_class))
        return next(names, None)

    def find(self, section: str, path: Iterable[str], plugin: str | None = None) -> Parameter | None:
        """The entry for a path below a section: of *plugin* when it has one, else of any plug-in.

        A default on which plug-ins differ is left out when the plug-in is not known.
        """
        found = self._by_path.get((section, catalogue_path(section, tuple(path))), ())
        own = next((p for p in found if p.plugin == plugin), None)
        if own is not None or not found:
            return own
        agreed = all(p.default == found[0].default for p in found)
        return found[0] if agreed else replace(found[0], default=None)

    def of(self, section: str, plugin: str | None) -> tuple[Parameter, ...]:
        """The entries of one plug-in; all of the section when *plugin* is None."""
        return tuple(p for p in self.parameters if p.section == section and plugin in (None, p.plugin))

    def may_hold_secrets(self, text: str) -> bool:
        """Whether anything in the JSON text of a section could be a secret; False is certain, True is not.

        One search over the text spares looking at each rule of a long list.
        """
        folded = text.casefold()
        return any(word in folded for word in self._hints)

    def is_secret(self, section: str, path: tuple[str, ...], value: Json) -> bool:
        """Whether the scalar at *path* is a secret: by entry, by a name on the way, or by what it looks like."""
        known = self._secret.get((section, path))
        if known is None:
            known = self._secret.get((section, catalogue_path(section, path)))
        if known or (known is None and any(SECRET_NAME.search(part) for part in path)):
            return True
        return isinstance(value, str) and ("=" in value or "@" in value) and CREDENTIALS.search(value) is not None


def catalogue_path(section: str, path: Path) -> Path:
    """How the catalogue writes a path: list elements are `*`, members of condition rules are `("rule", name)`."""
    if section == "condition" and len(path) > 1 and path[0] in RULE_LISTS:
        rest = path[1:]
        while rest and (rest[0].isdigit() or (rest[0] == "sub" and len(rest) > 1)):
            rest = rest[1:]
        return (RULE, *(rest or ("sub",)))
    return tuple(ANY_ELEMENT if part.isdigit() else part for part in path)


def from_data(data: Mapping[str, Any]) -> Catalogue:
    """Build a catalogue from the decoded data file."""
    parameters = (_parameter(entry) for entry in data["parameters"])
    plugins = (
        Plugin(entry["section"], entry["name"], entry.get("booster_class"), entry.get("booster_class_prefix"))
        for entry in data["plugins"]
    )
    return Catalogue(parameters, plugins)


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    allowed = entry.get("allowed") or {}
    danger = entry.get("danger")
    return Parameter(
        section=entry["section"],
        plugin=entry.get("plugin"),
        path=_path(entry["path"]),
        type=entry["type"],
        unit=entry.get("unit"),
        default=entry.get("default"),
        minimum=allowed.get("minimum"),
        maximum=allowed.get("maximum"),
        enum=tuple(allowed.get("enum", ())),
        enum_open=bool(allowed.get("enum_open", True)),
        pattern=allowed.get("pattern"),
        required=bool(entry.get("required")),
        secret=bool(entry.get("secret")),
        ownership=Ownership(entry["ownership"]),
        evidence=entry["evidence"],
        description=entry["description"],
        note=entry.get("note"),
        source=entry["source"],
        danger=_danger(danger) if danger else None,
    )


def _path(text: str) -> Path:
    """`clients[].password` -> ("clients", "*", "password")."""
    return tuple(text.replace("[]", f".{ANY_ELEMENT}").split("."))


def _danger(entry: Mapping[str, Any]) -> Danger:
    return Danger(DangerLevel(entry["level"]), entry["reason"], bool(entry.get("lowered_only")))
