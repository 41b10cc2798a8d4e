"""Writes the JSON Schemas of the four configuration files from the parameter catalogue.

    python scripts/schemas.py           write schemas/{coordinator,condition,source,sink}.schema.json
    python scripts/schemas.py --check   say which of them are not what would be written, exit 1

Types are as they occur in the files: a number may be a string of digits, so ranges are written twice, as bounds and
as a pattern, and editors check both. Nothing is required, because a file may hold a few keys only; unknown keys are
allowed, because the vendor's lists are incomplete. Annotations for `core.explain`: x-expected, x-rule, x-suggestion.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT / "reconciler" / "data" / "parameters.json"
SECTIONS = ("coordinator", "condition", "source", "sink")
PAGE = "https://en.oceanbase.com/docs/community-oms-en-10000000001080575"
REFERENCE = r"\$\{"  # a value with a reference is not refused for its form: what it stands for is not known yet
CAREFUL = ("operator", "task", "runtime")
LEVELS = ("warn", "confirm", "forbid")

Entry = dict[str, Any]
Node = dict[str, Any]

MEANINGS = {
    "coordinator": "The framework of the component: identity, heap, queues, throttling, conflict handling.",
    "condition": "What is synchronised, and under which name.",
    "source": "One source plug-in: class, connection, reading.",
    "sink": "One sink plug-in: class, connection, writing.",
}
FORMS = {  # what a pattern of the catalogue means, in words
    r"-Xm[sxn]\d+[gGmM]": 'Java options with at least one heap size, such as "-server -Xms8g -Xmx8g -Xmn4g"',
    r"^[+-]\d{2}:\d{2}$": 'an offset from UTC such as "+08:00"',
    r"^np_[0-9a-z]+$": 'a project id such as "np_4x9j00000001"',
    r"^[^:/]+:\d+(/.*)?$": 'host:port, perhaps followed by "/" and a schema or service',
    "^jdbc:": 'an address that begins with "jdbc:"',
}
HOT_KEY_TABLE = {
    "type": "object",
    "properties": {name: {"type": "string", "x-expected": "text"} for name in ("schema", "tableName")},
    "x-expected": 'an object with "schema" and "tableName"',
}
CHECKPOINT = {
    "const": "${oms:checkpoint}",
    "x-expected": 'exactly "${oms:checkpoint}": the position that OMS reports',
    "x-rule": "checkpoint-literal",
    "x-suggestion": (
        "The position moves by itself, so one kept in git is stale at once: a later value skips changes for good, an "
        "earlier one repeats them. Leave the key out, or declare a reset in reset.json to move it."
    ),
}


# --- ranges as patterns --------------------------------------------------------------------------------------------


def integer_pattern(minimum: int | None, maximum: int | None) -> str:
    """A pattern for the integers of a range in decimal, without leading zeros and without a plus sign."""
    if minimum is None:
        return "^(0|-?[1-9][0-9]*)$"
    pieces = ["-" + piece for piece in between(1, -minimum)] if minimum < 0 else []
    if minimum <= 0:
        pieces.append("0")
    low = max(minimum, 1)
    pieces += between(low, maximum) if maximum is not None else [*_unbounded(low)]
    return f"^({'|'.join(pieces)})$"


def between(low: int, high: int) -> list[str]:
    """Patterns that together match the integers low..high, 1 <= low."""
    stops = {high}
    for power in range(1, len(str(high)) + 1):
        unit = 10**power
        stops |= {stop for stop in (low // unit * unit + unit - 1, (high + 1) // unit * unit - 1) if low <= stop < high}
    starts = [low, *(stop + 1 for stop in sorted(stops))]
    return [_digits(str(start), str(stop)) for start, stop in zip(starts, sorted(stops), strict=False)]


def _digits(start: str, stop: str) -> str:
    """Digit by digit; the two differ only where the digits from some place on run through everything."""
    classes = [a if a == b else f"[{a}-{b}]" for a, b in zip(start, stop, strict=True)]
    return "".join(classes)


def _unbounded(low: int) -> list[str]:
    length = len(str(low))
    tail = f"[1-9][0-9]{{{length},}}" if low > 1 else "[1-9][0-9]*"
    return [*between(low, 10**length - 1), tail] if low > 1 else [tail]


# --- one parameter -------------------------------------------------------------------------------------------------


def integer(entry: Entry) -> Node:
    """A number or a string of digits, with one range for both."""
    allowed = entry.get("allowed") or {}
    minimum, maximum = allowed.get("minimum"), allowed.get("maximum")
    advised = entry["path"] == "splitThreshold"  # the catalogue's note: larger values were used, so they are no error
    if advised:
        maximum = None
    node: Node = {"type": ["integer", "string"]}
    node |= {} if minimum is None else {"minimum": minimum}
    node |= {} if maximum is None else {"maximum": maximum}
    node["pattern"] = integer_pattern(minimum, maximum)
    if advised:
        node["x-advised-maximum"] = allowed["maximum"]
    if minimum is None:
        extent = "an integer"
    else:
        extent = f"an integer of at least {minimum}" if maximum is None else f"an integer {minimum}..{maximum}"
    node["x-expected"] = f"{extent}, as a number or a string of digits"
    return node


def boolean(entry: Entry) -> Node:
    """True or false; outside condition rules also as text."""
    if entry["path"].startswith("rule."):
        return {"type": "boolean", "x-expected": "true or false, without quotes"}
    return {"enum": [True, False, "true", "false"], "x-expected": 'true or false, or the same as text: "true", "false"'}


def string(entry: Entry) -> Node:
    """Text, closed to a list only where the catalogue says that the list is whole."""
    allowed = entry.get("allowed") or {}
    if "enum" in allowed and not allowed.get("enum_open", True):
        return {"enum": allowed["enum"], "x-expected": "one of " + _listed(allowed["enum"])}
    node: Node = {"type": "string"}
    if "enum" in allowed:
        return node | {"examples": allowed["enum"], "x-expected": "text such as " + _listed(allowed["enum"][:3])}
    if pattern := allowed.get("pattern"):
        node["pattern"] = f"{pattern}|{REFERENCE}".replace(r"\d", "[0-9]")
        return node | {"x-expected": FORMS[pattern]}
    return node | {"x-expected": "text"}


def array(entry: Entry) -> Node:
    """A list; as JSON text too where files have been seen to store it so."""
    if entry["path"] == "clients":
        return {"type": "array", "minItems": 1, "x-expected": "a list of at least one object"}
    node: Node = {"type": ["array", "string"], "pattern": rf"^[ \t\r\n]*\[|{REFERENCE}"}
    if entry["path"] == "hotKeyTable":
        node["items"] = HOT_KEY_TABLE
        return node | {"x-expected": 'a list of {"schema": …, "tableName": …}, or the same as JSON text'}
    return node | {"x-expected": "a list, or the same as JSON text"}


def mapping(entry: Entry) -> Node:
    """An object, likewise."""
    if entry["path"] == "checkpoint":
        return dict(CHECKPOINT)
    if entry["path"] == "rule.attr":
        text = {"type": "string", "x-expected": "text"}
        return {"type": "object", "additionalProperties": text, "x-expected": "an object of texts"}
    pattern = rf"^[ \t\r\n]*\{{|{REFERENCE}"
    return {"type": ["object", "string"], "pattern": pattern, "x-expected": "an object, or the same as JSON text"}


KINDS = {"integer": integer, "boolean": boolean, "string": string, "array": array, "object": mapping}


def node_of(entry: Entry) -> Node:
    """The schema of one parameter, with what is known about it."""
    since = entry.get("since")
    facts = {
        "default": entry.get("default"),
        "x-unit": entry.get("unit"),
        "x-plugin": entry.get("plugin"),
        "x-secret": entry["secret"] or None,
        "x-ownership": entry["ownership"],
        "x-restart": entry["restart_required"],
        "x-danger": entry.get("danger"),
        "x-evidence": entry["evidence"],
        "x-since": since["version"] if since else None,
        "x-source": entry["source"],
    }
    node = {"title": title(entry), "description": description(entry), **KINDS[entry["type"]](entry)}
    return node | {key: value for key, value in facts.items() if value is not None}


def title(entry: Entry) -> str:
    """Name and unit: "throttleRps (records/s)"."""
    name = entry["path"].rpartition(".")[2]
    unit = (entry.get("unit") or "").replace("(INFERRED)", "").strip()
    return f"{name} ({unit})" if unit and not unit.startswith("unknown") else name


def description(entry: Entry) -> str:
    """Meaning, unit, default and note, for people who see it in an editor."""
    parts = [entry["description"]]
    if entry.get("unit"):
        parts.append(f"Unit: {entry['unit']}.")
    if entry.get("default") is not None:
        parts.append(f"Default: {json.dumps(entry['default'], ensure_ascii=False)}.")
    return " ".join([*parts, *([entry["note"]] if entry.get("note") else [])])


def widest(entries: list[Entry]) -> Entry:
    """One entry that allows what any of several plug-ins allows, and asks for the care that any of them asks for."""
    if len(entries) == 1:
        return entries[0]
    wide = dict(entries[0])
    ranges = [entry.get("allowed") or {} for entry in entries]
    for bound, choose in (("minimum", min), ("maximum", max)):
        found = [allowed[bound] for allowed in ranges if allowed.get(bound) is not None]
        wide["allowed"] = {**(wide.get("allowed") or {}), bound: choose(found) if len(found) == len(ranges) else None}
    if any("enum" in allowed for allowed in ranges):
        wide["allowed"]["enum"] = [*dict.fromkeys(value for allowed in ranges for value in allowed.get("enum", ()))]
    for key in ("default", "unit", "note", "since"):
        wide[key] = entries[0].get(key) if all(entry.get(key) == entries[0].get(key) for entry in entries) else None
    wide["ownership"] = max((entry["ownership"] for entry in entries), key=CAREFUL.index)
    dangers = [entry["danger"] for entry in entries if entry.get("danger")]
    wide["danger"] = max(dangers, key=lambda danger: LEVELS.index(danger["level"]), default=None)
    wide["plugin"] = ", ".join(dict.fromkeys(entry["plugin"] for entry in entries))
    meanings = dict.fromkeys(entry["description"] for entry in entries)
    if len(meanings) > 1:
        wide["description"] = " ".join(f"{entry['plugin']}: {entry['description']}" for entry in entries)
    return wide


# --- one file ------------------------------------------------------------------------------------------------------


def properties(entries: list[Entry], prefix: str = "") -> dict[str, Node]:
    """`{key: schema}` for the entries directly below *prefix* (`""`, `"clients[]."`)."""
    nodes: dict[str, Node] = {}
    for entry in entries:
        name = entry["path"].removeprefix(prefix)
        if re.search(r"[.\[]", name) or name in nodes:
            continue
        nodes[name] = node_of(widest([other for other in entries if other["path"] == entry["path"]]))
        below = f"{entry['path']}[]."
        if inner := [other for other in entries if other["path"].startswith(below)]:
            nodes[name]["items"] = {
                "type": "object",
                "properties": properties(inner, below),
                "x-expected": "an object",
            }
    return nodes


def plugin_branch(plugin: Entry, entries: list[Entry], general: dict[str, Node]) -> Node | None:
    """What a known `boosterClass` says more precisely than the schema for all plug-ins; None when nothing."""
    own = [entry for entry in entries if entry["plugin"] == plugin["name"]]
    precise = {name: node for name, node in properties(own).items() if node != general[name]}
    if "booster_class" in plugin:
        test = {"const": plugin["booster_class"]}
    elif "booster_class_prefix" in plugin:
        test = {"pattern": "^" + re.escape(plugin["booster_class_prefix"])}
    else:
        return None
    chosen = {"required": ["boosterClass"], "properties": {"boosterClass": test}}
    return {"title": plugin["name"], "if": chosen, "then": {"properties": precise}} if precise else None


def rule_list(members: dict[str, Node], levels: tuple[str, ...]) -> Node:
    """Rules of one level, with those of the levels below."""
    level, *below = levels
    own = {name: node for name, node in members.items() if name != "sub"}
    if below:
        inner = rule_list(members, tuple(below))
        own["sub"] = {**members["sub"], "type": "array", "items": inner, "x-expected": f"a list of {below[0]} rules"}
        own["sub"].pop("pattern")
    for name in ("name", "map"):
        own[name] = {**own[name], "minLength": 1, "x-expected": "text of at least one character"}
    return {
        "title": f"{level} rule",
        "type": "object",
        "required": ["name"],
        "additionalProperties": False,
        "properties": own,
        "x-expected": f"a {level} rule, an object",
    }


def condition(entries: list[Entry]) -> dict[str, Node]:
    """Rule lists have a grammar of their own: three levels, closed members."""
    rules = [entry for entry in entries if entry["path"].startswith("rule.")]
    nodes = properties([entry for entry in entries if entry not in rules])
    for name in ("whiteCondition", "blackCondition"):
        nodes[name] |= {"type": "array", "x-expected": "a list of database rules"}
        nodes[name]["items"] = {"$ref": "#/$defs/database"}
        nodes[name].pop("pattern")
    return nodes


def schema_of(section: str, data: dict[str, Any]) -> Node:
    """The schema of one of the four files."""
    entries = [entry for entry in data["parameters"] if entry["section"] == section]
    general = condition(entries) if section == "condition" else properties(entries)
    plugins = [plugin for plugin in data["plugins"] if plugin["section"] == section]
    branches = [branch for plugin in plugins if (branch := plugin_branch(plugin, entries, general))]
    editors = {"type": "string", "description": "For editors; never sent.", "x-expected": "text"}
    schema: Node = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:oms-reconciler:schema:{section}",
        "$comment": "Written by scripts/schemas.py from reconciler/data/parameters.json. Do not edit.",
        "title": f"{section}.json of an OMS Incr-Sync component",
        "description": f"{MEANINGS[section]} Sent as config.{section} of UpdateIncrSync, {PAGE} INFERRED marks what no"
        " document says and was concluded from what others say.",
        "type": "object",
        "x-expected": "an object",
        "properties": {"$schema": editors, **general},
    }
    if branches:
        schema["allOf"] = branches
    if section == "condition":
        rules = [entry for entry in entries if entry["path"].startswith("rule.")]
        schema["$defs"] = {"database": rule_list(properties(rules, "rule."), ("database", "table", "column"))}
    return schema


def _listed(values: list[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the schemas of the four configuration files.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when a file would change")
    check = parser.parse_args(arguments).check
    data = json.loads(DATA.read_text(encoding="utf-8"))
    stale = []
    for section in SECTIONS:
        path = ROOT / "schemas" / f"{section}.schema.json"
        text = json.dumps(schema_of(section, data), indent=2, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if not check:
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'run make schemas' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
