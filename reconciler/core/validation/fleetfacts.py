"""What the rules over all tasks have to know of one: a few numbers, no documents.

Names of tables are kept as hashes that mean something in this process only; `tables` tells again what they stand for.
"""

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.core import canonical
from reconciler.core.catalogue import RULE_LISTS, Catalogue, Path
from reconciler.model import Json, JsonObject, Task

_NUMBER = re.compile(r"[0-9]{1,18}")
SOURCE_ID = "source_id"
_NAMES = frozenset(("name", "map", "func"))  # members of a rule that are about the table itself
_OPTIONS = re.compile(r"[?;]")
HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:\[\]()=]+)(?P<port>:[0-9]+)?(?::[^:]*)?")
"""A host of a JDBC address; Oracle may write the name of a database behind the port."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What these rules have to know of one task."""

    task: str
    clients: tuple[str, ...]  # clientIds that it declares
    sources: tuple[str, ...]  # clientIds that its condition refers to
    hosts: tuple[str, ...]  # of a database that it writes to: "10.0.0.41:2883", lower case; () when not known
    sink: int  # hash of the database it writes to; 0 when not known
    tables: Sequence[int]  # hash of a target table, hash of where it comes from; one after another
    throttle_rps: int | None  # records a second; None: no limit, or none that can be read
    workers: int | None  # writers; None when neither the files nor the catalogue tell


def facts_of(task: Task, catalogue: Catalogue) -> Facts:
    """What is worth keeping of a valid task.

    Args:
        task: with its documents.
        catalogue: knows how many workers there are when the files say nothing.
    """
    sections = task.sections
    hosts = hosts_of(sections["sink"].get("jdbcUrl"))
    sink = _sink(hosts, sections["sink"])
    pairs = {} if not sink else _pairs(sections["condition"])
    workers = catalogue.find("sink", ("workerNum",), task.sink_plugin)
    return Facts(
        task=task.name,
        clients=tuple(_client_ids(sections["source"])),
        sources=tuple(text for _, text in source_ids(sections["condition"])),
        hosts=hosts,
        sink=sink,
        tables=array("q", [number for pair in pairs.items() for number in pair]),
        throttle_rps=_integer(sections["coordinator"].get("throttleRps")),
        workers=_integer(sections["sink"].get("workerNum", workers.default if workers else None)),
    )


def _integer(value: Json) -> int | None:
    """A number that a limit is; None for what is none, such as a reference."""
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if _NUMBER.fullmatch(text) else None


# --- source_id and clientId ------------------------------------------------------------------------------------------


def _client_ids(source: JsonObject) -> Iterator[str]:
    clients = source.get("clients")
    for client in clients if isinstance(clients, list) else ():
        name = client.get("clientId") if isinstance(client, dict) else None
        if isinstance(name, str):
            yield name


def source_ids(condition: JsonObject) -> Iterator[tuple[Path, str]]:
    """Ids that a condition refers to, and where: at which depth the key belongs is not documented.

    Source:
        https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862039 (clientId)
    """
    for key, value in condition.items():
        yield from _in_rules(value, (key,)) if key in RULE_LISTS else _in_value(value, (key,), named=key == SOURCE_ID)


def _in_rules(rules: Json, path: Path) -> Iterator[tuple[Path, str]]:
    """Of a rule only `attr` can hold other keys than the documented ones, and most rules have none."""
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if "attr" in rule:
            yield from _in_value(rule["attr"], (*path, str(index), "attr"))
        if "sub" in rule:
            yield from _in_rules(rule["sub"], (*path, str(index), "sub"))


def _in_value(value: Json, path: Path, *, named: bool = False) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _in_value(member, (*path, key), named=key == SOURCE_ID)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _in_value(element, (*path, str(index)), named=named)
    elif named and not isinstance(value, bool) and "${" not in str(value):
        yield path, str(value)


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """A table that a condition names exactly."""

    path: Path  # of its rule
    source: str  # "shop.orders"
    target: str


def tables(condition: JsonObject) -> Iterator[tuple[int, Table]]:
    """(hash of the target, table) for what `Facts.tables` is about, in the order of the file."""
    for written in _written(condition):
        index, database, number, rule = written
        source, target = (f"{_name(database, by)}.{_name(rule, by)}" for by in ("name", "map"))
        path = ("whiteCondition", str(index), "sub", str(number))
        yield _hashes(database, rule)[0], Table(path, source, target)


def _pairs(condition: JsonObject) -> dict[int, int]:
    """`{hash of a target table: hash of all that one task writes into it}`."""
    found: dict[int, int] = {}
    for _, database, _, rule in _written(condition):
        target, mapping = _hashes(database, rule)
        found[target] = hash((found[target], mapping)) if target in found else mapping
    return found


def _hashes(database: JsonObject, rule: JsonObject) -> tuple[int, int]:
    """Of the table that is written, and of where its rows come from and which columns are taken."""
    from_, name = database["name"], rule["name"]
    columns = "" if rule.keys() <= _NAMES else _columns(rule)
    return hash((database.get("map", from_), rule.get("map", name))), hash((from_, name, columns))


def _written(condition: JsonObject) -> Iterator[tuple[int, JsonObject, int, JsonObject]]:
    """(index, database rule, index, table rule) of the whitelist without patterns, less what the blacklist names."""
    black = frozenset(_blacklisted(condition.get("blackCondition")))
    for index, database in _exact(condition.get("whiteCondition")):
        name = database["name"]
        for number, rule in _exact(database.get("sub")):
            if not black or black.isdisjoint(((name, rule["name"]), (name, ""))):
                yield index, database, number, rule


def _blacklisted(rules: Json) -> Iterator[tuple[str, str]]:
    """(database, table) of what is excluded as a whole; the table is "" where that is the database."""
    for _, database in _exact(rules):
        if not database.get("sub") and database.get("all") is not False:
            yield database["name"], ""
        for _, table in _exact(database.get("sub")):
            if not table.get("sub") and table.get("all") is not False:
                yield database["name"], table["name"]


def _exact(rules: Json) -> Iterator[tuple[int, JsonObject]]:
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if rule.get("func", "exact") == "exact":
            yield index, rule


def _name(rule: JsonObject, member: str) -> str:
    return str(rule.get(member, rule["name"]))


def _columns(rule: JsonObject) -> str:
    """What a table's rule says of its columns and rows, one text for one meaning; "" for all of them as they are."""
    told = {key: value for key, value in rule.items() if key not in _NAMES}
    (folded,) = canonical.rules([told])
    return json.dumps(folded, sort_keys=True) if folded else ""


def _sink(hosts: tuple[str, ...], sink: JsonObject) -> int:
    """Hash of the database: address, and tenant and cluster where the user name has them ("user@tenant#cluster")."""
    user = str(sink.get("username", ""))
    if not hosts or "${" in user:
        return 0
    return hash((hosts, user.partition("@")[2].casefold())) or 1


# --- hosts -----------------------------------------------------------------------------------------------------------


def hosts_of(jdbc_url: Json) -> tuple[str, ...]:
    """Hosts of a JDBC address, lower case, with their ports: ("10.0.0.41:2883",); () when they cannot be told."""
    head = _OPTIONS.split(jdbc_url, maxsplit=1)[0].casefold() if isinstance(jdbc_url, str) else ""
    _, slashes, rest = head.partition("//")
    if "${" in head or not (slashes or "@" in head):
        return ()
    authority = (rest if slashes else head.rpartition("@")[2]).partition("/")[0].rpartition("@")[2]
    found = [HOST.fullmatch(text.strip()) for text in authority.split(",")]
    return tuple(f"{host['name']}{host['port'] or ''}" for host in found if host) if all(found) else ()
