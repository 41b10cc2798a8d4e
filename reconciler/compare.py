"""What one commit changes against another, told from their files alone: no state, no secrets, no network.

The older commit stands for what the components have: its content, as if it had just been applied. So the same rules
make the same changes, costs and rails as in a plan, less those that need to know what really was applied. Tasks that
are equal in both commits are not read, but for the addresses in their `task.json`: no two tasks may have the same.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, Self

from reconciler.core import canonical, fleet, resets, review
from reconciler.core import plan as planning
from reconciler.core.catalogue import Catalogue
from reconciler.core.desired import Desired, prepare
from reconciler.core.limits import Standing, Tally, weigh
from reconciler.core.plan import Base
from reconciler.core.policy import NewTasks, Policy, Surroundings
from reconciler.core.validation import taskfile
from reconciler.core.validation.validator import Validator, address_clashes
from reconciler.model import Action, Condition, Item, Plan, Record, Severity, Snapshot, Task, Violation
from reconciler.ports import Source

ID_PREFIX = "rev-"
"""How the id of a comparison begins: it can never be taken for the id of a plan that may be applied."""

_KEY = b"a comparison keeps no fingerprint"
_DIGITS = 7  # of a commit's id, for people


class Tree(Source, Protocol):
    """The tree of one commit."""

    def differences(self, other: Self) -> frozenset[str]:
        """Names of tasks whose files differ in the other tree, or that only one of the two has."""

    def content(self, name: str, file: str) -> bytes | None:
        """One of a task's files; None when it has none that can be read."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What versions of a task are looked at with."""

    validator: Validator
    catalogue: Catalogue
    rules: Policy
    now: datetime  # for suspensions in task.json that end


@dataclass(frozen=True, slots=True)
class _Version:
    """A task as one of the commits has it."""

    name: str
    task: Task | None  # None when something is wrong with it
    errors: tuple[Violation, ...] = ()

    @property
    def address(self) -> str:
        """Address.id; "" when there is none."""
        return self.task.address.id if self.task else ""


def compare(before: Tree | None, after: Tree, judge: Judge, chosen: Callable[[str], bool] = lambda _name: True) -> Plan:
    """Plan for what *after* changes, as if *before* had been applied.

    Args:
        before: what is there now; None: nothing at all.
        after: what is proposed.
        judge: validates, and says what is allowed.
        chosen: whether a task is to be shown; rails that concern the whole fleet look at all of it.

    Returns:
        An item for each task that differs, or that becomes right or wrong because of another one. Its id, and those
        of its items, are of no use to `apply`.

    Raises:
        DesiredStateError: one of the trees cannot be read.
    """
    changed = after.differences(before) if before else frozenset(after.names())
    old = dict(_versions(before, changed, judge.validator)) if before else {}
    new = dict(_versions(after, changed, judge.validator))
    declared = {version.address for version in (*old.values(), *new.values()) if version.task}
    same = dict(_versions(after, _neighbours(after, changed, declared), judge.validator))
    comparison = _Comparison({**old, **same}, {**new, **same}, changed, judge)
    plan = comparison.plan(before, after, chosen)
    remarks = (_title(before, after), *_let_through(comparison.let_through(chosen)), *plan.remarks, *after.remarks)
    return replace(plan, id=f"{ID_PREFIX}{plan.id}", remarks=remarks)


def _title(before: Tree | None, after: Tree) -> str:
    old = before.revision[:_DIGITS] if before else "nothing"
    return (
        f"this is what {after.revision[:_DIGITS]} changes against {old}, by their files alone: what was applied, and"
        " what holds it now, is not looked at"
    )


def _let_through(number: int) -> Iterator[str]:
    if number:
        of = "1 task holds" if number == 1 else f"{number:,} tasks hold"
        yield (
            f"task.json of {of} less back than before: what was held until now is sent as well, and with allowDelete"
            " what stayed on the component is deleted; none of that is shown here, but --with-state shows it"
        )


def _versions(tree: Tree, names: Iterable[str], validator: Validator) -> Iterator[tuple[str, _Version]]:
    for name in sorted(names):
        entry = tree.entry(name)
        if entry is not None:
            examined = validator.examine(entry.read(), warnings=False)
            errors = () if examined.task else tuple(v for v in examined.violations if v.severity is Severity.ERROR)
            yield name, _Version(name, examined.task, errors)


def _neighbours(tree: Tree, changed: Collection[str], addresses: Collection[str]) -> Iterator[str]:
    """Tasks that are equal in both commits and say that they have one of these addresses."""
    return (
        name for name in tree.names() if name not in changed and _declared(tree.content(name, "task.json")) in addresses
    )


def _declared(data: bytes | None) -> str:
    """The Address.id that a `task.json` declares, right or wrong; "" for none."""
    try:
        return taskfile.address_of(json.loads(data or b"")).id
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _settled(versions: Mapping[str, _Version]) -> dict[str, _Version]:
    """Two tasks with one address are both wrong."""
    clashes = address_clashes((name, version.task.address) for name, version in versions.items() if version.task)
    wrong = {name: _Version(name, None, (violation,)) for name, violation in clashes.items()}
    return dict(sorted({**versions, **wrong}.items()))


class _Comparison:
    """The versions that matter of both commits.

    Args:
        old: of the older one, by name.
        new: of the newer one.
        changed: names of tasks whose files differ.
        judge: what they are looked at with.
    """

    def __init__(
        self, old: Mapping[str, _Version], new: Mapping[str, _Version], changed: Collection[str], judge: Judge
    ) -> None:
        self._declared = {version.address for version in new.values()}
        self._old, self._new = _settled(old), _settled(new)
        self._before = {version.address: version.task for version in self._old.values() if version.task}
        self._changed = changed
        self._judge = judge
        self._rules = replace(judge.rules, forced=frozenset(), resend=frozenset(), paced=False, windows=())

    def plan(self, before: Tree | None, after: Tree, chosen: Callable[[str], bool]) -> Plan:
        """The whole."""
        items = [item for version in self._new.values() for item in self._items(version)]
        lost, around = list(self._lost()), self._around(NewTasks.APPLY)
        known, vanished = len(before.names()) if before else 0, sum(item.task not in self._new for item in lost)
        frozen = _frozen(known, vanished, len(after.names()))
        if frozen:
            items = list(fleet.freeze(items, frozen, around))
        items, limited = self._limited(items, len(after.names()))
        shown = [_identified(item) for item in (*items, *lost, *self._lost_and_wrong()) if chosen(item.task)]
        plan = fleet.assemble(shown, after.revision, around.policy, frozen)
        return replace(plan, remarks=(*plan.remarks, *limited.remarks))

    def _limited(self, items: Iterable[Item], tasks: int) -> tuple[list[Item], Standing]:
        """Hold what would be too many tasks at once; how many keys all of them have is not known here."""
        updates = [item for item in items if item.intended is not Action.RESET]
        weights = {i.task: weigh(i, frozenset(), counts=i.address in self._before) for i in updates}
        tally = Tally()
        for name, weight in weights.items():
            tally.put(name, weight)
        standing = tally.standing(replace(self._rules.limits, removed_keys=1, changed_keys=1), tasks)
        return list(fleet.limit(items, weights, standing)), standing

    def let_through(self, chosen: Callable[[str], bool]) -> int:
        """How many tasks hold less back than before, so that more may be sent than what differs."""
        pairs = ((version.task, self._before.get(version.address)) for version in self._new.values())
        return sum(bool(task and was and chosen(task.name) and review.lets_through(was, task)) for task, was in pairs)

    # --- tasks that are there --------------------------------------------------------------------------------------

    def _items(self, version: _Version) -> Iterator[Item]:
        name, task, was = version.name, version.task, self._old.get(version.name)
        was_valid = was is not None and was.task is not None
        if task is None:
            if name in self._changed or was_valid:
                yield planning.invalid(name, version.errors)
            return
        previous = self._before.get(task.address.id)
        if task.reset is not None and (previous is None or previous.reset != task.reset):
            yield resets.proposed(task, self._base(previous).record, self._around(NewTasks.APPLY))
        yield self._first(task, was) if previous is None else self._next(task, previous)

    def _first(self, task: Task, was: _Version | None) -> Item:
        """A task of which nothing is known that its component might have."""
        is_wrong = was is not None and was.task is None
        hold = NewTasks.APPLY if is_wrong or self._rules.new_tasks is NewTasks.HOLD else self._rules.new_tasks
        item = self._planned(task, Base(), self._around(hold))
        if is_wrong:
            why = "its files were wrong before, so what the component has is not known: shown is all that they hold"
            why += "; keys that it has besides are deleted" if task.allow_delete else ""
        else:
            what = "new task" if was is None else "another address than before, so a new task"
            why = f"{what}: shown is all that its files hold; {_AT_FIRST_SIGHT[self._rules.new_tasks]}"
        if item.rail:
            return replace(item, remarks=(*item.remarks, why))
        is_held = not is_wrong and self._rules.new_tasks is NewTasks.HOLD
        return replace(item, reason=why, cost=() if is_held else item.cost)  # nothing restarts by merging it

    def _next(self, task: Task, previous: Task) -> Item:
        """Another version of a task."""
        item = self._planned(task, self._base(previous), self._around(NewTasks.APPLY))
        remarks = [*item.remarks, *review.remarks(previous, task, item.changes)]
        reason = item.reason
        if previous.name != task.name:
            what = "takes over the address of" if previous.name in self._new else "renamed from"
            remarks.insert(0, f"{what} {previous.name}: its record is taken over, and the change of name sends nothing")
        if item.action is Action.NOOP and not item.changes:
            reason = "nothing to send: the content is the same"
        return replace(item, reason=reason, remarks=tuple(remarks))

    def _planned(self, task: Task, base: Base, around: Surroundings) -> Item:
        return planning.plan_task(self._prepared(task), base, around, self._judge.catalogue, _KEY)

    def _prepared(self, task: Task) -> Desired:
        always = replace(task, windows=())  # the same two commits make the same report by day and by night
        return prepare(always, self._judge.catalogue, _reference, _KEY)

    def _base(self, previous: Task | None) -> Base:
        """A task as if it had been applied."""
        if previous is None:
            return Base()
        snapshot = self._prepared(previous).snapshot
        return Base(_record(previous, snapshot, self._judge.now), snapshot)

    def _around(self, new_tasks: NewTasks) -> Surroundings:
        return Surroundings(self._judge.now, replace(self._rules, new_tasks=new_tasks))

    # --- tasks that are gone ---------------------------------------------------------------------------------------

    def _lost(self) -> Iterator[Item]:
        """Addresses that no task declares any more."""
        for address, task in self._before.items():
            if address not in self._declared and not self._is_wrong(task.name):
                record = _record(task, self._prepared(task).snapshot, self._judge.now)
                yield planning.orphaned(record, moved=task.name in self._new)

    def _is_wrong(self, name: str) -> bool:
        """Whether a task, or a folder above it, is there and wrong: it still holds its own address."""
        parts = name.split("/")
        above = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
        return any(found in self._new and self._new[found].task is None for found in above)

    def _lost_and_wrong(self) -> Iterator[Item]:
        for name, version in self._old.items():
            if version.task is None and name not in self._new:
                yield Item(
                    "", name, Action.ORPHANED, "its directory is gone, and its files were wrong: nothing is called"
                )


_AT_FIRST_SIGHT = {
    NewTasks.HOLD: 'policy.new_tasks is "hold", so it is held until somebody adopts or sends it',
    NewTasks.ADOPT: 'policy.new_tasks is "adopt", so it is recorded as applied and nothing is called',
    NewTasks.APPLY: 'policy.new_tasks is "apply", so it is sent',
}


def _frozen(known: int, vanished: int, found: int) -> str:
    """Why nothing will be done at all; "" when that is not so."""
    if not fleet.has_vanished(known, vanished, found):
        return ""
    gone = f"{vanished} of {known} tasks" if found else "all tasks"
    return f"{gone} are gone: nothing would be called until that is meant; reconciler forget --vanished"


def _record(task: Task, snapshot: Snapshot, now: datetime) -> Record:
    """What the store would hold of a task that was applied."""
    return Record(
        address=task.address.id,
        task=task.name,
        serial=0,
        digest=snapshot.digest,
        digest_version=canonical.VERSION,
        fingerprints=snapshot.fingerprints,
        key_id=snapshot.key_id,
        revision="",
        applied_at=None,
        condition=Condition.SYNCED,
        reason="",
        since=now,
        attempted=None,
        attempts=0,
        open_intents=0,
        ticket=None,
        request_id=None,
    )


def _reference(scheme: str, name: str) -> str:
    """Stands for the value of a secret: the same for the same reference, and fit to stand inside any text."""
    return canonical.digest([scheme, name])


def _identified(item: Item) -> Item:
    """An id from what is shown alone: fingerprints are left out, for their key is no secret here."""
    changes = [[c.path, c.kind.value, c.old, c.new, c.left_in_place] for c in item.changes]
    told = [ascii(text) for text in (item.task, item.reason, *map(str, item.violations))]  # a name may be no UTF-8
    return replace(item, id=canonical.digest([ID_PREFIX, *told, item.address, item.intended.value, changes]))
