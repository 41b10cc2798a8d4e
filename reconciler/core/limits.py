"""How much may change at once: what of a task counts, and when it is too much.

A limit trips above its share *and* above its floor. The gates of `policy` judge one task by itself; a `Tally` judges
all that is to be sent together. It keeps its sums up to date as tasks are looked at one by one, so that a look at one
task of ten thousand costs no walk over the others, and knows what the others would send all the same.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model import Change, ChangeKind, Item, Json, Limits, Task

REMOVED, CHANGED, TASKS = "removed_keys", "changed_keys", "tasks"
RAILS = (REMOVED, CHANGED, TASKS)
"""In the order in which they are asked."""

PATIENT = ("window", "min_update_interval_s")
"""Rails that only put a call off: what they hold counts, so that a limit trips when files change, not at night."""

ASKING = ("approval", "mode")
"""Rails that wait for somebody's word: what they hold does not count, but who gives it should know what then trips."""

_SO = ", so nothing of that is sent"

_DIGITS = 6  # behind the decimal point: 0.29 * 100 is a little less than 29 for a computer


def leaves(value: Json) -> int:
    """How many values a document holds: a list is one, an empty object none."""
    return sum(map(leaves, value.values())) if isinstance(value, dict) and value else int(value != {})


def removed(changes: Iterable[Change]) -> int:
    """Keys that changes take away; a removed object counts its leaves, a key that is left in place nothing."""
    return sum(_size(c.old) for c in changes if c.kind is ChangeKind.REMOVED and not c.left_in_place)


def changed(changes: Iterable[Change]) -> int:
    """Keys that are new, or get another value; where an object comes or goes with it, its leaves."""
    return sum(max(_size(c.old), _size(c.new)) for c in changes if c.kind is ChangeKind.SET)


def _size(value: Json) -> int:
    return max(1, leaves(value))


def exceeded(number: float, of: float, share: float, floor: int) -> bool:
    """Whether *number* of *of* is above the share and above the floor; a share of 1 turns the limit off."""
    return share < 1 and number > floor and number > round(share * of, _DIGITS)


def of_task(rules: Limits, task: Task) -> Limits:
    """The limits that hold for one task by itself: its own, where it has some."""
    return replace(rules, **dict(task.limits)) if task.limits else rules  # type: ignore[arg-type]  # names of fields


def too_many(rail: str, changes: Iterable[Change], unchanged: int, rules: Limits) -> str:
    """Why one task's changes are too much at once; "" when they are not.

    Args:
        rail: REMOVED or CHANGED.
        changes: of the task, those of keys that are left in place among them.
        unchanged: leaves that stay as they are.
        rules: of the task.

    Returns:
        "7 of 40 keys would be removed (17.5 %), ...".
    """
    told = _exceeding(rail, changes, unchanged, rules)
    return f"{told}: take some of that back, --force {rail}, or set limits in task.json" if told else ""


def let_go(changes: Collection[Change], unchanged: int, rules: Limits, task: Task) -> tuple[str, ...]:
    """What the policy's limits would hold, and those that a task has of its own do not: a sentence for each.

    Args:
        changes: of the task.
        unchanged: leaves that stay as they are.
        rules: of the policy.
        task: with its own limits.
    """
    own = of_task(rules, task)
    told = {rail: _exceeding(rail, changes, unchanged, rules) for rail in (REMOVED, CHANGED)}
    return tuple(
        f"{rail}: {text}; limits in task.json let it go"
        for rail, text in told.items()
        if text and not _exceeding(rail, changes, unchanged, own)
    )


def _exceeding(rail: str, changes: Iterable[Change], unchanged: int, rules: Limits) -> str:
    """How much it is and how much it may be; "" when it is not too much."""
    effective = [change for change in changes if not change.left_in_place]
    numbers = {REMOVED: removed(effective), CHANGED: changed(effective)}
    of = unchanged + sum(numbers.values())
    if not exceeded(numbers[rail], of, *_rule(rail, rules)):
        return ""
    return f"{_counted(rail, numbers[rail], of)}, {_above(rail, rules)}"


def _rule(rail: str, rules: Limits) -> tuple[float, int]:
    """Share and floor."""
    if rail == TASKS:
        return rules.tasks, rules.tasks_floor
    return (rules.removed_keys if rail == REMOVED else rules.changed_keys), rules.keys_floor


_VERBS = {REMOVED: "would be removed", CHANGED: "would be changed", TASKS: "would be restarted at once"}


def _counted(rail: str, number: int, of: int) -> str:
    noun = "tasks" if rail == TASKS else "keys"
    part = math.ceil(round(1000 * number / of, _DIGITS)) / 10  # up: never "10 % is more than 10 %"
    return f"{number:,} of {of:,} {noun} {_VERBS[rail]} ({part:g} %)"


def _above(rail: str, rules: Limits) -> str:
    share, floor = _rule(rail, rules)
    return f"more than {round(100 * share, _DIGITS):g} % and more than {floor}"


# --- all tasks together ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weight:
    """What one task adds to the sums."""

    keys: int  # leaves that it has, or would have
    removed: int = 0
    changed: int = 0
    tasks: int = 0  # 1 when something is to be sent
    lifted: frozenset[str] = frozenset()  # rails that somebody lifted for it: it counts towards none of them
    awaits: str = ""  # the rail of ASKING that holds it: it counts once that lets it go

    def number(self, rail: str) -> int:
        """What it adds to the sum of a rail."""
        return {REMOVED: self.removed, CHANGED: self.changed, TASKS: self.tasks}[rail]

    def counts_towards(self, rails: Collection[str]) -> bool:
        """Whether it adds something to any of these sums."""
        return not self.awaits and self._adds_to(rails)

    def would_count_towards(self, rails: Collection[str]) -> bool:
        """Whether it would, did it not wait for somebody's word."""
        return bool(self.awaits) and self._adds_to(rails)

    def _adds_to(self, rails: Collection[str]) -> bool:
        return any(self.number(rail) and rail not in self.lifted for rail in rails)


def weigh(item: Item, forced: frozenset[str], *, counts: bool) -> Weight:
    """What an item of a task adds to the sums.

    Args:
        item: what would be done about its files.
        forced: rails that are lifted for the whole run.
        counts: whether it is neither a first send nor something that was begun before: those count towards nothing.
    """
    gone, new = removed(item.changes), changed(item.changes)
    keys = item.unchanged + gone + new
    is_due = item.action.sends or (item.intended.sends and item.rail in PATIENT)
    awaits = _awaits(item)
    if not (counts and (is_due or awaits)):
        return Weight(keys)
    approved = item.approval.forced if item.approval else ()
    return Weight(keys, gone, new, 1, forced.union(approved), awaits)


def _awaits(item: Item) -> str:
    """The rail of ASKING that holds an item, where nothing else does but for a while; else ""."""
    waits = item.intended.sends and item.rail in ASKING and {*item.behind} <= {*ASKING, *PATIENT}
    return item.rail if waits else ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the limits of a run stand."""

    tripped: Mapping[str, str] = field(default_factory=dict)  # {rail: what is too much, with numbers}
    overridden: frozenset[str] = frozenset()  # rails that would have tripped, had nobody lifted them
    reasons: Mapping[str, str] = field(default_factory=dict)  # {tripped rail: why an item is held, without numbers}
    foreseen: Mapping[str, str] = field(default_factory=dict)  # {rail: what would be too much if what waits went too}
    awaits: str = ""  # the rail of ASKING by which that waits

    @property
    def remarks(self) -> tuple[str, ...]:
        """For the plan as a whole."""
        return (*tripped_remarks(self.tripped), *(self._foretold(*one) for one in self.foreseen.items()))

    def _foretold(self, rail: str, text: str) -> str:
        if self.awaits == "mode":
            return f'limit {rail} would hold this if policy.mode were "auto": {text}'
        way = f"approve it with --force {rail}, or fewer tasks at once"
        return f"limit {rail} would hold this once it is approved: {text}; {way}"


def tripped_remarks(tripped: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of `{limit of the run: what is too much}`."""
    return tuple(
        f"limit {rail}: {text}: nothing of that is sent; take it back, or --force {rail}"
        for rail, text in tripped.items()
    )


def is_of_the_run(reason: str) -> bool:
    """Whether something is held because of all that is to be sent together, by the words of its reason."""
    return _SO in reason


def with_numbers(reason: str, tripped: Mapping[str, str]) -> str:
    """The reason of a task's state, "tasks: more than 30 % ...", with the numbers of the limit that it names first.

    Args:
        reason: which has no numbers where a limit of the run holds the task: they are others with every edit.
        tripped: `{limit of the run: what is too much}`.
    """
    rail, _, told = reason.partition(": ")
    _, so, more = told.partition(_SO)
    return f"{rail}: {tripped[rail]}{so}{more}" if so and rail in tripped else reason


def lets_one_go(rules: Limits) -> bool:
    """Whether one task alone is never too much for a limit of the run; the keys of one never are."""
    return not exceeded(1, 0, *_rule(TASKS, rules))


@dataclass(slots=True)
class _Sum:
    """What tasks add up to, for one rail."""

    number: int = 0
    tasks: int = 0  # that add something

    def plus(self, number: int, tasks: int) -> "_Sum":
        """With so much more, from so many tasks."""
        return _Sum(self.number + number, self.tasks + tasks)


class Tally:
    """What all tasks would send, as they were seen last, and its sums."""

    def __init__(self) -> None:
        self._weights: dict[str, Weight] = {}
        self._keys = 0
        self._counted = {rail: _Sum() for rail in RAILS}
        self._lifted = {rail: _Sum() for rail in RAILS}
        self._waiting = {rail: _Sum() for rail in RAILS}  # for somebody's word
        self._awaits = dict.fromkeys(ASKING, 0)  # {rail: tasks that wait for it}

    def put(self, task: str, weight: Weight | None) -> None:
        """Take note of how a task is now; None: it is gone, or nothing is known of its content."""
        before = self._weights.pop(task, None)
        if before is not None:
            self._add(before, -1)
        if weight is not None:
            self._weights[task] = weight
            self._add(weight, 1)

    def _add(self, weight: Weight, sign: int) -> None:
        self._keys += sign * weight.keys
        if weight.awaits:
            self._awaits[weight.awaits] += sign
        for rail in RAILS if weight.tasks else ():
            if (number := weight.number(rail)) and not (weight.awaits and rail in weight.lifted):
                sums = self._waiting if weight.awaits else self._lifted if rail in weight.lifted else self._counted
                sums[rail] = sums[rail].plus(sign * number, sign)

    def standing(self, rules: Limits, tasks: int) -> Standing:
        """What is too much at once.

        Args:
            rules: of the policy.
            tasks: how many there are.
        """
        wholes = {REMOVED: self._keys, CHANGED: self._keys, TASKS: tasks}
        tripped, foreseen, overridden = {}, {}, set()
        for rail, whole in wholes.items():
            counted, lifted, waiting = self._counted[rail], self._lifted[rail], self._waiting[rail]
            later = counted.plus(waiting.number, waiting.tasks)
            if _is_too_much(rail, counted, whole, rules):
                tripped[rail] = f"{_counted(rail, counted.number, whole)}, {_above(rail, rules)}"
            elif waiting.tasks and _is_too_much(rail, later, whole, rules):
                foreseen[rail] = f"{_counted(rail, later.number, whole)}, {_above(rail, rules)}"
            if lifted.tasks and _is_too_much(rail, counted.plus(lifted.number, lifted.tasks), whole, rules):
                overridden.add(rail)
        reasons = {rail: _why(rail, rules) for rail in tripped}
        awaits = max(self._awaits, key=self._awaits.__getitem__) if foreseen else ""
        return Standing(tripped, frozenset(overridden), reasons, foreseen, awaits)

    def counting(self, rails: Collection[str], foretold: Collection[str] = ()) -> frozenset[str]:
        """Tasks that count towards any of these rails; walks over all.

        Args:
            rails: that hold what counts.
            foretold: likewise, of tasks that wait for somebody's word.
        """
        due = ((task, weight) for task, weight in self._weights.items() if weight.tasks)
        return frozenset(
            task for task, weight in due if weight.counts_towards(rails) or weight.would_count_towards(foretold)
        )


def _is_too_much(rail: str, total: _Sum, of: int, rules: Limits) -> bool:
    """Whether a sum trips; the keys of one task alone were judged by that task's own limits."""
    return exceeded(total.number, of, *_rule(rail, rules)) and (rail == TASKS or total.tasks > 1)


def _why(rail: str, rules: Limits) -> str:
    """What a held item says: no numbers, which are others with every edit."""
    what = "all tasks" if rail == TASKS else "the keys of all tasks"
    return f"{_above(rail, rules)} of {what} {_VERBS[rail]}{_SO}"
