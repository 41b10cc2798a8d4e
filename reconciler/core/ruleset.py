"""Differences between two lists of condition rules, told by the names of databases, tables and columns.

Source:
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000001395838 (structure, defaults, matching order)
"""

import json
from collections.abc import Iterable, Iterator

from reconciler.core import secrets
from reconciler.model import Danger, DangerLevel, Json, JsonObject, Part

_LEVELS = ("database", "table", "column")
_MOST_NAMES = 10  # of what an added rule holds

_GONE = Danger(
    DangerLevel.CONFIRM,
    "stops being synchronised without an error; adding it again later leaves a gap, because the changes in between"
    " are not repeated",
)
_NEW = Danger(
    DangerLevel.CONFIRM,
    "changes from now on only: rows that existed before are not loaded, and the store may not carry it",
)
_RENAMED = Danger(DangerLevel.CONFIRM, "the same object continues under another target name")

Key = tuple[str, str]


def joined(dangers: Iterable[Danger]) -> Danger | None:
    """The dangers of the parts of one change as one danger, with every reason; None when there are none."""
    reasons = "; ".join(dict.fromkeys(danger.reason for danger in dangers))
    return Danger(DangerLevel.CONFIRM, reasons) if reasons else None


def diff(list_name: str, old: list[Json], new: list[Json]) -> tuple[Part, ...]:
    """Parts of a change of one rule list; rules are paired by (`func`, `name`).

    Args:
        list_name: "whiteCondition" or "blackCondition": on a blacklist, joining and leaving swap their meaning.
        old: canonical rules before.
        new: canonical rules after.
    """
    black = list_name == "blackCondition"
    return tuple(_rules(old, new, (), joined=_GONE if black else _NEW, left=_NEW if black else _GONE))


def _rules(
    old: list[Json], new: list[Json], parents: tuple[str, ...], *, joined: Danger, left: Danger
) -> Iterator[Part]:
    before, after = _by_key(old), _by_key(new)
    for key, rule in after.items():
        subject = _subject(parents, rule)
        if key not in before:
            yield Part("added", subject, _inside(rule, parents), joined)
        elif before[key] != rule:
            yield from _members(before[key], rule, subject, joined, left)
            names = (*parents, str(rule.get("name")))
            yield from _rules(_sub(before[key]), _sub(rule), names, joined=joined, left=left)
    for key, rule in before.items():
        if key not in after:
            yield Part("removed", _subject(parents, rule), "", left)
    kept = [key for key in before if key in after]
    if kept != [key for key in after if key in before]:
        yield Part(
            "moved", f"the order of {_level(parents)} rules", "which of two matching rules wins is not documented"
        )


def _members(old: JsonObject, new: JsonObject, subject: str, joined: Danger, left: Danger) -> Iterator[Part]:
    if old.get("map") != new.get("map"):
        text = f'map "{old.get("map", old.get("name"))}" -> "{new.get("map", new.get("name"))}"'
        yield Part("changed", subject, text, _RENAMED)
    if old.get("all") != new.get("all"):
        narrower = "all" in new
        yield Part(
            "changed", subject, "all true -> false" if narrower else "all false -> true", left if narrower else joined
        )
    if old.get("attr") != new.get("attr"):
        yield Part("changed", subject, f"attr {_attributes(old.get('attr'), new.get('attr'))}")


def _attributes(old: Json, new: Json) -> str:
    """Both sides of what filters rows or columns; of secrets that they differ."""
    before, after = (
        "none" if side is None else json.dumps(secrets.shown(side), ensure_ascii=False) for side in (old, new)
    )
    return f"{before} -> {after}" if before != after else f"{before}: «secret changed»"


def _by_key(rules: list[Json]) -> dict[Key, JsonObject]:
    return {(rule.get("func", "exact"), str(rule.get("name"))): rule for rule in rules if isinstance(rule, dict)}


def _sub(rule: JsonObject) -> list[Json]:
    sub = rule.get("sub")
    return sub if isinstance(sub, list) else []


def _level(parents: tuple[str, ...]) -> str:
    return _LEVELS[min(len(parents), len(_LEVELS) - 1)]


def _subject(parents: tuple[str, ...], rule: JsonObject) -> str:
    """`table shop.orders`, `table shop.order_* (fn)`."""
    return f"{_level(parents)} {_name(rule, parents)}"


def _name(rule: JsonObject, parents: tuple[str, ...] = ()) -> str:
    func = f" ({rule['func']})" if "func" in rule else ""
    return f"{'.'.join((*parents, str(rule.get('name'))))}{func}"


def _inside(rule: JsonObject, parents: tuple[str, ...]) -> str:
    """What is to be said of a new rule beyond its name: `map "y"; tables orders, order_* (fn)`."""
    told = [f'map "{rule["map"]}"'] if "map" in rule else []
    if "attr" in rule:
        told.append(f"attr {json.dumps(rule['attr'], ensure_ascii=False)}")
    names = [_name(sub) for sub in _sub(rule) if isinstance(sub, dict)]
    if names:
        more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        only = "only " if "all" in rule else ""
        level = _level((*parents, ""))
        told.append(f"{only}{level}{'' if len(names) == 1 else 's'} {', '.join(names[:_MOST_NAMES])}{more}")
    elif "all" in rule:
        told.append("all false")
    return "; ".join(told)
