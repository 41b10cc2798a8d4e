"""Rules across keys and files that a schema cannot express.

Each function looks at decoded documents that may not fit their schemas, takes from them what has the expected type,
and is silent about the rest: the schema speaks about that.
"""

import re
from collections.abc import Iterator
from itertools import islice

from reconciler.core.catalogue import RULE_LISTS, Path
from reconciler.core.validation.findings import Finding, shown
from reconciler.model import SECTIONS, Json, JsonObject, Sections

MAX_FINDINGS = 200  # of one rule
ADVISED_SPLIT_THRESHOLD = 512

_LEVELS = ("database", "table", "column")
_HEAP = re.compile(r"-Xm(?P<which>[sx])(?P<size>[0-9]{1,9})(?P<unit>[kKmMgGtT]?)(?=\s|$)")
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_INTEGER = re.compile(r"[0-9]{1,9}")
_LONG_PATTERN = 1000  # characters; compiling a longer one costs more than the warning is worth
_DIALECT = re.compile(r"\[\[|&&|--|~~|\|\|")  # Python reads these in a set differently than Java, or warns
_JAVA = ((re.compile(r"\\[pP](?:\{\w+\}|\w)"), r"\\w"), (re.compile(r"\(\?<(?![=!])"), "(?P<"))


def check(sections: Sections) -> Iterator[Finding]:
    """Everything these rules find in the four files of one task.

    Args:
        sections: decoded, without files that could not be read.
    """
    coordinator, condition, source, sink = (sections.get(name, {}) for name in SECTIONS)
    yield from _timezones(sections)
    yield from _source_type(coordinator, source)
    yield from _heap(coordinator, sink)
    if "sink" in sections:
        yield from _hot_keys(coordinator, sink)
    yield from _split_threshold(source)
    yield from islice(_clients(source), MAX_FINDINGS)
    for name in RULE_LISTS:
        yield from islice(_rules(condition.get(name), (name,)), MAX_FINDINGS)


def _timezones(sections: Sections) -> Iterator[Finding]:
    values = {name: content["timezone"] for name, content in sections.items() if _text(content, "timezone")}
    first = next(iter(values), "")
    for name, value in values.items():
        if value != values[first]:
            expected = f"{shown(values[first])} as in {first}.json"
            yield Finding(name, ("timezone",), "timezone", expected, shown(value))


def _source_type(coordinator: JsonObject, source: JsonObject) -> Iterator[Finding]:
    ours, wins = _text(coordinator, "sourceType"), _text(source, "dbType")
    if ours and wins and ours != wins:
        expected = f"{shown(wins)} as dbType in source.json"
        yield Finding("coordinator", ("sourceType",), "source-type", expected, shown(ours))


def _heap(coordinator: JsonObject, sink: JsonObject) -> Iterator[Finding]:
    sizes = {
        match["which"]: int(match["size"]) * _UNITS[match["unit"].lower()]
        for match in _HEAP.finditer(_text(coordinator, "connectorJvmParam"))
    }
    path, maximum, workers = ("connectorJvmParam",), sizes.get("x"), _integer(sink.get("workerNum"))
    if maximum is not None and workers is not None and maximum < workers * _UNITS["g"]:
        expected = f"-Xmx of at least {workers}g for workerNum {workers} in sink.json"
        yield Finding("coordinator", path, "heap", expected, f"-Xmx of {maximum / _UNITS['g']:g}g")
    if maximum is not None and sizes.get("s", maximum) != maximum:
        yield Finding("coordinator", path, "heap-initial", "-Xms equal to -Xmx", "different sizes")


def _hot_keys(coordinator: JsonObject, sink: JsonObject) -> Iterator[Finding]:
    if coordinator.get("hotKeyMerge") in (True, "true") and not sink.get("hotKeyTable"):
        yield Finding("coordinator", ("hotKeyMerge",), "hot-keys", "hotKeyTable in sink.json", "none")


def _split_threshold(source: JsonObject) -> Iterator[Finding]:
    value = _integer(source.get("splitThreshold"))
    if value is not None and value > ADVISED_SPLIT_THRESHOLD:
        expected = f"at most {ADVISED_SPLIT_THRESHOLD}"
        yield Finding("source", ("splitThreshold",), "split-threshold", expected, str(value))


def _clients(source: JsonObject) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    clients = source.get("clients")
    for index, client in enumerate(clients if isinstance(clients, list) else ()):
        name = _text(client, "clientId")
        if name in seen:
            path = ("clients", str(index), "clientId")
            found = f"{shown(name)} again, as in client {seen[name]}"
            yield Finding("source", path, "duplicate-client", "another clientId for each client", found)
        elif name:
            seen[name] = index


# --- condition rules -----------------------------------------------------------------------------------------------


def _rules(rules: Json, path: Path) -> Iterator[Finding]:
    """What is wrong with the rules of one list and those below them."""
    if not isinstance(rules, list):
        return
    level = len(path) // 2
    if not rules and not level:
        yield Finding("condition", path, "selects-nothing", "at least one rule", "an empty list")
    seen: dict[tuple[str, str], int] = {}
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict):
            continue
        name, mode = rule.get("name"), rule.get("func", "exact")
        if isinstance(name, str) and isinstance(mode, str):
            first = seen.setdefault((mode, name), index)
            if first != index:
                found = f"{shown(name)} ({shown(mode)}) again, as in rule {first}"
                here, expected = (*path, str(index), "name"), "one rule for each name and func"
                yield Finding("condition", here, "duplicate-rule", expected, found)
            if mode == "reg" and not _compiles(name):
                hint = "Java's dialect differs from the one it was tried with, so it may be right."
                here = (*path, str(index), "name")
                yield Finding("condition", here, "regex", "a regular expression", shown(name), hint)
        if rule.get("all") is False and level < len(_LEVELS) - 1 and not rule.get("sub"):
            yield _nothing((*path, str(index)), _LEVELS[level + 1])
        if "sub" in rule:
            yield from _rules(rule["sub"], (*path, str(index), "sub"))


def _nothing(path: Path, below: str) -> Finding:
    expected, found = f'{below} rules in "sub", or "all" true', f'"all" is false and no {below} is listed'
    return Finding("condition", path, "selects-nothing", expected, found)


def _compiles(pattern: str) -> bool:
    if len(pattern) > _LONG_PATTERN or _DIALECT.search(pattern):
        return True
    for java, python in _JAVA:
        pattern = java.sub(python, pattern)
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


# --- reading what may have any type --------------------------------------------------------------------------------


def _text(content: Json, key: str) -> str:
    """The text at *key*; empty when it is something else, or stands for something not known yet."""
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, str) and "${" not in value else ""


def _integer(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value)
    return int(text) if _INTEGER.fullmatch(text) else None
