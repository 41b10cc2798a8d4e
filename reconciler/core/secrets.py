"""Secrets: references in files, and how content is kept and compared without them.

A secret is a scalar that the catalogue or its name calls one, or any string that holds a reference. Its value never
leaves memory: content that is stored or shown has `MARK` in its place, and a keyed fingerprint tells whether it
changed. A plain hash would let a short password be guessed, so the key lives beside the store, never in it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.core import canonical, pointer
from reconciler.core.catalogue import Catalogue
from reconciler.model import CHECKPOINT_REFERENCE, Json, JsonObject, Sections, Snapshot

MARK = canonical.SECRET
"""What is stored and shown in the place of a secret."""

SCHEMES = ("env", "file", "credential")

_MARKER = "${"
_TOKEN = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)\}|(?P<open>\$\{)")
_NAMES = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z"),
    "file": re.compile(r"/[^\0\n]+\Z"),
    "credential": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z"),
}
_HARMLESS = ("", "true", "false")  # as a value of a key that is called like a secret
_SEALED = re.compile(r"«secret:[0-9a-f]{64}»")

Lookup = Callable[[str, str], str]
"""(scheme, name) -> value."""


class ReferenceSyntaxError(ValueError):
    """A `${` that is no reference; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`${env:NAME}`, `${file:/path}` or `${credential:name}`."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"${{{self.scheme}:{self.name}}}"


def find(text: str) -> tuple[Reference, ...]:
    """References in *text*, in order; `$${` is a literal `${` and none.

    Raises:
        ReferenceSyntaxError: unknown scheme, malformed name, or no closing brace.
    """
    return tuple(_reference(match) for match in _TOKEN.finditer(text) if match.group() != "$${")


def substitute(text: str, lookup: Lookup) -> str:
    """*text* with every reference replaced by its value and every `$${` by `${`.

    Raises:
        ReferenceSyntaxError: see `find`.
        SecretError: from *lookup*.
    """

    def value(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        reference = _reference(match)
        return lookup(reference.scheme, reference.name)

    return _TOKEN.sub(value, text)


def _reference(match: re.Match[str]) -> Reference:
    scheme, colon, name = (match["body"] or "").partition(":")
    if match["open"]:
        raise ReferenceSyntaxError('a reference that is not closed by "}"')
    if not colon or scheme not in SCHEMES:
        raise ReferenceSyntaxError(f'an unknown scheme "{scheme}"')
    if not _NAMES[scheme].match(name):
        raise ReferenceSyntaxError(f"a malformed name after ${{{scheme}:")
    return Reference(scheme, name)


def without_checkpoint(sections: Sections) -> Sections:
    """Sections less `"checkpoint": "${oms:checkpoint}"`, which is OMS's to know: neither compared nor recorded."""
    source = sections["source"]
    if source.get("checkpoint") != CHECKPOINT_REFERENCE:
        return sections
    return {**sections, "source": {key: value for key, value in source.items() if key != "checkpoint"}}


def resolve(sections: Sections, lookup: Lookup) -> Sections:
    """Sections with every reference filled in; one that has none is the same object.

    Raises:
        SecretError: from *lookup*, naming the reference.
    """
    return {
        section: _resolve(content, lookup) if _MARKER in _all_text(content) else content
        for section, content in without_checkpoint(sections).items()
    }


def _resolve(value: Json, lookup: Lookup) -> Json:
    if isinstance(value, str):
        return substitute(value, lookup) if _MARKER in value else value
    if isinstance(value, list):
        return [_resolve(element, lookup) for element in value]
    if isinstance(value, dict):
        return {key: _resolve(member, lookup) for key, member in value.items()}
    return value


def values(sections: Sections, places: Iterable[str]) -> frozenset[str]:
    """The secret values at *places* of canonical sections, to be hidden in whatever a server says."""
    found = (value for place in places for _, value in _scalars(get(sections, pointer.tokens(place))))
    return frozenset(value for value in found if value not in (None, *_HARMLESS))


def places(written: Sections, resolved: Sections, catalogue: Catalogue) -> frozenset[str]:
    """Pointers ("/sink/password") of every secret: where *written* has a reference, or *resolved* looks like one."""
    referenced = (
        pointer.text((section, *path))
        for section, content in without_checkpoint(written).items()
        if _MARKER in _all_text(content)
        for path, value in _scalars(content)
        if isinstance(value, str) and find(value)
    )
    return frozenset((*referenced, *known_places(resolved, catalogue)))


def known_places(content: Sections, catalogue: Catalogue) -> frozenset[str]:
    """Pointers of what looks like a secret: by entry, by name, or by credentials in an address."""
    return frozenset(
        pointer.text((section, *path))
        for section, members in content.items()
        if catalogue.may_hold_secrets(_all_text(members))
        for path, value in _scalars(members)
        if catalogue.is_secret(section, path, value)
    )


def _all_text(content: JsonObject) -> str:
    """Every key and value in one text: most sections have no secret, and one search tells."""
    return json.dumps(content, ensure_ascii=False)


def _scalars(value: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _scalars(member, (*path, key))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _scalars(element, (*path, str(index)))
    else:
        yield path, value


# --- keyed fingerprints --------------------------------------------------------------------------------------------


def key_id(key: bytes) -> str:
    """Short public name of a fingerprint key: fingerprints of different keys cannot be compared."""
    return hashlib.sha256(key).hexdigest()[:16]


def fingerprint(key: bytes, place: str, value: Json) -> str:
    """Keyed hash of a secret; the place is part of it, so equal passwords in two places do not look equal."""
    message = canonical.dumps([place, value])
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def seal(content: Sections, secret_places: Iterable[str], key: bytes) -> Snapshot:
    """Take the secrets out of canonical *content*."""
    sealed, fingerprints = _seal(content, secret_places, key)
    return Snapshot(sealed, fingerprints, key_id(key), canonical.content_digest(sealed))


def _seal(content: Sections, secret_places: Iterable[str], key: bytes) -> tuple[Sections, dict[str, str]]:
    fingerprints: dict[str, str] = {}
    for place in sorted(secret_places):
        path = pointer.tokens(place)
        value = get(content, path)
        if value is not None and value != MARK:
            fingerprints[place] = fingerprint(key, place, value)
            content = _put(content, path, MARK)
    return content, fingerprints


def renewed(stored: Snapshot, catalogue: Catalogue) -> Snapshot:
    """Stored content in today's canonical form: a new release must not look like a change."""
    return replace(stored, content=canonical.canonical(stored.content, catalogue))


def resealed(stored: Snapshot, catalogue: Catalogue, key: bytes) -> Snapshot:
    """The same content under today's rules and key: what is a secret now is taken out, other keys' fingerprints go."""
    sealed, prints = _seal(stored.content, known_places(stored.content, catalogue) - stored.fingerprints.keys(), key)
    kept = stored.fingerprints if stored.key_id == key_id(key) else {}
    return Snapshot(sealed, {**kept, **prints}, key_id(key), canonical.content_digest(sealed))


@dataclass(frozen=True, slots=True)
class Aligned:
    """Stored and desired content made comparable, each secret replaced by its own fingerprint."""

    old: Sections
    new: Sections
    incomparable: tuple[str, ...]  # places whose stored fingerprint has another key: taken as unchanged


def align(stored: Snapshot, content: Sections, secret_places: frozenset[str], key: bytes) -> Aligned:
    """Compare under today's rules what may have been stored under yesterday's.

    A place that was stored in clear and is a secret now is fingerprinted now; one that was a secret and no longer
    is stays one for the comparison. So neither a new rule nor a new key looks like a change.
    """
    every_place = secret_places | stored.fingerprints.keys()
    new, new_prints = _seal(content, every_place, key)
    old, old_prints = _seal(stored.content, every_place, key)
    other_key = stored.key_id != key_id(key)
    incomparable = tuple(sorted(p for p in stored.fingerprints if other_key and p in new_prints))
    kept = {p: new_prints[p] if p in incomparable else f for p, f in stored.fingerprints.items()}
    return Aligned(_imprint(old, {**old_prints, **kept}), _imprint(new, new_prints), incomparable)


def _imprint(content: Sections, fingerprints: Mapping[str, str]) -> Sections:
    for place, value in sorted(fingerprints.items()):
        path = pointer.tokens(place)
        if get(content, path) is not None:  # an object of secrets that is one secret now has no members any more
            content = _put(content, path, f"«secret:{value}»")
    return content


def shown(value: Json) -> Json:
    """An aligned value as people may see it."""
    if isinstance(value, str):
        return shown_text(value)
    if isinstance(value, list):
        return [shown(element) for element in value]
    if isinstance(value, dict):
        return {key: shown(member) for key, member in value.items()}
    return value


def shown_text(text: str) -> str:
    """A text about aligned values as people may see it."""
    return _SEALED.sub(MARK, text)


def holds_secret(value: Json) -> bool:
    """Whether an aligned value has a secret in it."""
    return bool(value != shown(value))


def get(content: Json, path: tuple[str, ...]) -> Json:
    """The value at a path; None where there is none."""
    for part in path:
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        else:
            return None
    return content


def _put(content: Json, path: tuple[str, ...], value: Json) -> Json:
    """A copy of *content* with *value* at *path*, which exists; everything beside the path is shared."""
    if not path:
        return value
    head, *rest = path
    if isinstance(content, list):
        copy: Json = list(content)
        copy[int(head)] = _put(content[int(head)], tuple(rest), value)
        return copy
    members: JsonObject = {**content}
    members[head] = _put(content[head], tuple(rest), value)
    return members
