"""The fault plan: which calls go wrong, how, and how often.

A rule waits for calls that match it. The first rule that matches is used and counted down; when it is used up, calls
are normal again. `damage.py` and `actions.py` carry the kinds out.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any


class Family(Enum):
    """What a kind of fault touches."""

    ANSWER = "another answer instead of the right one"
    DAMAGE = "the right answer, damaged"
    TICKET = "how the ticket of the call ends"
    WORLD = "the components change beside the call"
    LISTS = "the lists of DescribeProjectComponents"
    POISON = "components with a certain configuration do not start; no call is waited for"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: when it strikes by default, and its parameters with their defaults."""

    family: Family
    effect: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


LISTS = (
    "storeList",
    "reverseStoreList",
    "incrSyncComponents",
    "reverseIncrSyncComponents",
    "fullImportComponents",
    "fullVerifyComponents",
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        # HTTP 200 and success: false
        "param_error": Kind(Family.ANSWER, "before", {"message": "invalid parameter"}),
        "inner_error": Kind(Family.ANSWER, "before"),
        "cm_unavailable": Kind(Family.ANSWER, "before"),
        "wrapped_error": Kind(Family.ANSWER, "before", {"reason": "the instance is still being created"}),
        "no_such_project": Kind(Family.ANSWER, "before"),
        "unsupported_action": Kind(Family.ANSWER, "before"),
        "error": Kind(Family.ANSWER, "before", {"code": "CM-UNHEARD9999", "message": "not known", "context": {}}),
        "echo": Kind(Family.ANSWER, "before", {"success": False}),  # the request's body stands in the message
        # other statuses, and answers that are no envelope
        "http": Kind(Family.ANSWER, "before", {"status": 503, "retry_after": None, "html": None, "location": None}),
        "not_json": Kind(Family.ANSWER, "before", {"body": "<!DOCTYPE html><title>Login</title>"}),
        # the connection
        "hang": Kind(Family.ANSWER, "before", {"seconds": 3600.0}),  # real seconds of silence, then closed
        "close": Kind(Family.ANSWER, "before"),
        "reset": Kind(Family.ANSWER, "before"),
        # damaged answers
        "slow": Kind(Family.DAMAGE, "after", {"seconds": 1.0}),  # real seconds until the right answer
        "truncated": Kind(Family.DAMAGE, "after", {"bytes": 20}),  # Content-Length promises more
        "cut_json": Kind(Family.DAMAGE, "after", {"bytes": 20}),  # Content-Length fits
        "oversized": Kind(Family.DAMAGE, "after", {"bytes": 32 * 1024 * 1024}),
        "success_text": Kind(Family.DAMAGE, "after", {"value": "true"}),
        "success_missing": Kind(Family.DAMAGE, "after"),
        "data": Kind(Family.DAMAGE, "after", {"value": None}),  # something else as `data`
        # what becomes of an accepted update
        "no_effect": Kind(Family.TICKET, "before"),
        "exception": Kind(Family.TICKET, "before"),
        "ticket_failed": Kind(Family.TICKET, "before"),
        "ticket_stuck": Kind(Family.TICKET, "before"),
        # what happens around the call: before it or after it
        "host_move": Kind(Family.WORLD, "before", {"ip": None, "number": None}),
        "vanish": Kind(Family.WORLD, "before"),
        # a configuration that makes a component end in EXCEPTION when it starts; value None: any
        "poison": Kind(Family.POISON, "after", {"section": "sink", "key": "", "value": None}),
        # DescribeProjectComponents
        "empty_lists": Kind(Family.LISTS, "after", {"lists": LISTS}),
        "missing_lists": Kind(Family.LISTS, "after", {"lists": LISTS}),
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a fault plan.

    Args:
        kind: a key of `KINDS`.
        action: name of the action; None: any.
        project: pattern (fnmatch) for the project's id; None: any.
        component: pattern (fnmatch) for the request's `key`; None: any.
        times: how many calls it strikes; None: all.
        skip: how many matching calls pass before.
        effect: "before" the call has its effect (so it has none), or "after"; empty: as usual for the kind.
        parameters: of the kind; what is left out has its default.

    Raises:
        ValueError: an unknown kind, effect or parameter.
    """

    kind: str
    action: str | None = None
    project: str | None = None
    component: str | None = None
    times: int | None = 1
    skip: int = 0
    effect: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.effect not in ("", "before", "after"):
            raise ValueError(f"effect: expected before or after, got {self.effect!r}")
        if self.skip < 0 or (self.times is not None and self.times < 1):
            raise ValueError(f"expected times from 1 and skip from 0, got {self.times!r} and {self.skip!r}")
        if unknown := sorted(set(self.parameters) - set(kind.parameters)):
            raise ValueError(f"{self.kind} has no parameter {', '.join(unknown)}; it has {', '.join(kind.parameters)}")

    @property
    def family(self) -> Family:
        """What the rule touches."""
        return KINDS[self.kind].family

    @property
    def strikes_before(self) -> bool:
        """Whether it strikes before the call has its effect."""
        return (self.effect or KINDS[self.kind].effect) == "before"

    def parameter(self, name: str) -> Any:
        """A parameter's value, or its default."""
        return self.parameters.get(name, KINDS[self.kind].parameters[name])

    def matches(self, action: str, project: str, component: str) -> bool:
        """Whether the rule is meant for a call; "" stands for what the call does not name."""
        return (
            self.action in (None, action)
            and (self.project is None or fnmatchcase(project, self.project))
            and (self.component is None or fnmatchcase(component, self.component))
        )


class FaultPlan:
    """Rules in their order, counted down as calls arrive."""

    def __init__(self) -> None:
        self._waiting: list[_Counted] = []

    def add(self, rule: Rule) -> None:
        """Put a rule behind the others."""
        self._waiting.append(_Counted(rule, rule.times, rule.skip))

    def clear(self) -> None:
        """Let every call be normal."""
        self._waiting.clear()

    def take(self, action: str, project: str, component: str) -> Rule | None:
        """The rule that strikes a call, if one does; counts it down."""
        for counted in self._waiting:
            if not counted.rule.matches(action, project, component):
                continue
            if counted.skip:
                counted.skip -= 1
                continue
            if counted.left is not None:
                counted.left -= 1
                if counted.left <= 0:
                    self._waiting.remove(counted)
            return counted.rule
        return None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Rules that are not used up."""
        return tuple(counted.rule for counted in self._waiting)


@dataclass(slots=True, eq=False)
class _Counted:
    rule: Rule
    left: int | None
    skip: int


def rules_from_json(document: Any) -> tuple[Rule, ...]:
    """Rules of a fault plan: one object, a list of them, or `{"rules": [...]}`.

    Raises:
        ValueError: something else, or an unknown kind, member or parameter.
    """
    if isinstance(document, Mapping) and "rules" in document:
        document = document["rules"]
    elements: Iterable[Any] = [document] if isinstance(document, Mapping) else document
    try:
        return tuple(Rule(**element) for element in elements)
    except TypeError as error:
        raise ValueError(f"expected fault rules: {error}") from error


def rules_from_file(path: Path) -> tuple[Rule, ...]:
    """Read a fault plan.

    Raises:
        ValueError: the file is no such JSON.
        OSError: the file cannot be read.
    """
    return rules_from_json(json.loads(path.read_text(encoding="utf-8")))
