"""One form for everything that OMS cannot tell apart, its digest, and the form that goes over the wire.

Equal means equal to OMS: on its hosts every scalar outside condition rules is a string, so `8` and `"8"`, `true`
and `"true"` are the same; members of an object have no order; a condition rule may leave out what is its default.

Source:
    RFC 8785 (JSON Canonicalization Scheme);
    lists: https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000001395838
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping

import rfc8785

from reconciler.core.catalogue import RULE_LISTS, Catalogue
from reconciler.model import SECTIONS, Json, JsonObject, Sections

SECRET = "«secret»"  # noqa: S105 - the mark that stands for one
"""What is stored and shown in the place of a secret."""

VERSION = 1
"""Of the canonical form: raised with every change of it, so that stored digests are recomputed, not compared."""

_LARGEST_BMP = "\uffff"
_DEEPEST = 64  # as deep as a file itself may be
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def scalar_text(value: str | float | bool) -> str:  # noqa: FBT001 - a JSON boolean is a value here
    """A scalar as OMS keeps it: `8` -> "8", `true` -> "true", `1.50` -> "1.5"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return rfc8785.dumps(value).decode("ascii")


def canonical(sections: Sections, catalogue: Catalogue) -> Sections:
    """Sections in the form in which equal content is equal; idempotent."""
    return {section: _section(section, sections[section], catalogue) for section in SECTIONS}


def _section(section: str, content: JsonObject, catalogue: Catalogue) -> JsonObject:
    if section == "condition":
        return {key: rules(value) if key in RULE_LISTS else _texts(value) for key, value in content.items()}
    return {key: _texts(_structure(section, key, value, catalogue)) for key, value in content.items()}


def _texts(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _texts(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_texts(element) for element in value]
    return scalar_text(value)


def _structure(section: str, key: str, value: Json, catalogue: Catalogue) -> Json:
    """A list or object written as JSON text equals the list or object (INFERRED: runningConf.json writes them so)."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    parameter = catalogue.find(section, (key,))
    if parameter is None or parameter.type not in ("array", "object"):
        return value
    try:
        structure = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return structure if _fits_a_file(structure, _DEEPEST) else value


def _fits_a_file(value: Json, levels: int) -> bool:
    """Whether a file could hold *value*: no null, nothing that float64 or UTF-16 cannot hold, not too deep."""
    if isinstance(value, (dict, list)):
        members = (*value, *value.values()) if isinstance(value, dict) else value
        return levels > 0 and all(_fits_a_file(member, levels - 1) for member in members)
    if isinstance(value, str):
        return not has_surrogate(value)
    return isinstance(value, (bool, int)) or (value is not None and math.isfinite(value))


def has_surrogate(text: str) -> bool:
    """Whether *text* holds a lone surrogate, as undecodable bytes of the environment become: it has no digest."""
    return _SURROGATE.search(text) is not None


def rules(value: Json) -> Json:
    """Condition rules in the form in which equal ones are equal: what is so anyway is left out."""
    if not isinstance(value, list):
        return _texts(value)
    return [_rule(rule) if isinstance(rule, dict) else _texts(rule) for rule in value]


def _rule(rule: JsonObject) -> JsonObject:
    """A rule without the members that say what is so anyway: `map` = `name`, `all` true, `func` exact."""
    defaults = {"map": _texts(rule.get("name", "")), "all": "true", "func": "exact"}
    folded = {}
    for key, value in rule.items():
        form = rules(value) if key == "sub" else value if isinstance(value, str) else _texts(value)
        if defaults.get(key) != form or form == SECRET:  # two marks stand for two secrets
            folded[key] = form
    return folded


def dumps(value: Json) -> bytes:
    """Canonical bytes of a JSON value.

    The C encoder sorts by code point, RFC 8785 by UTF-16 code unit: the two differ only beyond the BMP, and numbers
    need the slow way as well.
    """
    return _dumps_texts(value) if _has_only_texts(value) else rfc8785.dumps(value)


def _dumps_texts(value: Json) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8") if text.isascii() or max(text) <= _LARGEST_BMP else rfc8785.dumps(value)


def _has_only_texts(value: Json) -> bool:
    if isinstance(value, Mapping):
        return all(_has_only_texts(member) for member in value.values())
    if isinstance(value, (list, tuple)):
        return all(_has_only_texts(element) for element in value)
    return isinstance(value, (str, bool)) or value is None


def digest(value: Json) -> str:
    """SHA-256 of the canonical bytes, hex."""
    return hashlib.sha256(dumps(value)).hexdigest()


def content_digest(content: Sections) -> str:
    """SHA-256 of canonical content, hex: the same as `digest`, sparing the look for numbers, of which it has none."""
    return hashlib.sha256(_dumps_texts(content)).hexdigest()


def overlay(previous: Sections, sent: Sections) -> Sections:
    """What is sent without `allowDelete`, and what the component then has: *sent* laid over *previous*.

    How deep OMS merges is not documented. So members of nested objects that are only in *previous* are sent along:
    whether a key is replaced whole or merged, the component has the same afterwards.

    Source:
        https://en.oceanbase.com/docs/community-oms-en-10000000001080575 (silent on the depth)
    """
    return {section: {**previous.get(section, {}), **filled(previous, sent)[section]} for section in SECTIONS}


def filled(previous: Sections, sent: Sections) -> Sections:
    """*sent*, with the members of nested objects that only *previous* has."""
    return {
        section: {key: _filled(previous.get(section, {}).get(key), value) for key, value in sent[section].items()}
        for section in SECTIONS
    }


def _filled(previous: Json, sent: Json) -> Json:
    if not isinstance(previous, dict) or not isinstance(sent, dict):
        return sent
    return {**previous, **{key: _filled(previous.get(key), value) for key, value in sent.items()}}


def wire(sections: Sections) -> Sections:
    """Sections as they are sent: scalars outside condition rules are strings, rules stay real JSON."""
    return {
        section: {
            key: value if section == "condition" and key in RULE_LISTS else _texts(value)
            for key, value in sections[section].items()
        }
        for section in SECTIONS
    }
