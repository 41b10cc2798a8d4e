"""One look at everything: read, validate, compare, plan. Calls nothing; `apply` carries the result out."""

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.core import canonical, fleet, policy, secrets
from reconciler.core import plan as planning
from reconciler.core.catalogue import Catalogue
from reconciler.core.desired import Desired, overlaid, prepare
from reconciler.core.plan import Base
from reconciler.core.policy import Policy, Surroundings
from reconciler.core.validation.validator import Validator, address_clashes
from reconciler.errors import SecretError
from reconciler.model import (
    Action,
    Address,
    Item,
    Plan,
    RawTask,
    Record,
    Severity,
    Snapshot,
    Task,
    Violation,
)
from reconciler.ports import Clock, SecretResolver, Source, StateStore


@dataclass(frozen=True, slots=True)
class Work:
    """What carrying out one item needs and a plan must not hold: it has secrets in it."""

    desired: Desired = field(repr=False)
    base: Base = field(repr=False)


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to do, and everything needed to do it."""

    plan: Plan
    work: Mapping[str, Work]  # {item id: Work}, for items that send or adopt
    unconfirmed: Mapping[str, Work]  # {item id: Work}, for items accepted earlier and not seen healthy since
    taken_over: Mapping[str, str]  # {Address.id: new task name}: records to follow a renamed folder
    refreshed: Mapping[str, Snapshot]  # {Address.id: content}: fingerprints to record anew
    tasks: Mapping[str, Address]  # every valid task, selected or not


@dataclass(frozen=True, slots=True)
class Adoption:
    """What came of adopting one task."""

    problem: str = ""  # why it was not adopted; "" when it was
    passed_over: tuple[str, ...] = ()  # pointers of differences that now count as applied, without a call


@dataclass(slots=True)
class _Findings:
    """What a walk over the fleet gathers."""

    items: list[Item] = field(default_factory=list)
    work: dict[str, Work] = field(default_factory=dict)
    unconfirmed: dict[str, Work] = field(default_factory=dict)
    invalid: dict[str, tuple[Violation, ...]] = field(default_factory=dict)
    taken_over: dict[str, str] = field(default_factory=dict)
    refreshed: dict[str, Snapshot] = field(default_factory=dict)
    tasks: dict[str, Address] = field(default_factory=dict)
    revision: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class Reconciler:
    """Looks at desired and last-applied state and says what to do.

    Args:
        source: where the files are.
        validator: judges them.
        catalogue: what is known of parameters.
        store: last-applied state.
        lookup: finds the value of a secret reference.
        clock: the time, for suspensions that expire.
    """

    def __init__(
        self,
        source: Source,
        validator: Validator,
        catalogue: Catalogue,
        store: StateStore,
        lookup: SecretResolver,
        clock: Clock,
    ) -> None:
        self._source = source
        self._validator = validator
        self._catalogue = catalogue
        self._store = store
        self._lookup = lookup
        self._clock = clock

    def survey(self, rules: Policy, selection: Iterable[str] = ()) -> Survey:
        """Plan for the selected tasks; rails that concern the whole fleet look at all of it.

        Args:
            rules: what is allowed.
            selection: names of tasks, or of folders of tasks; all when empty.

        Raises:
            DesiredStateError: the directory cannot be read.
            StateStoreError: the store cannot be read.
        """
        chosen = tuple(selection)
        records = self._store.records()
        around = self._surroundings(rules, records)
        found = _Findings()
        key = self._store.fingerprint_key()
        for raw in self._source.tasks():
            self._look_at(raw, chosen, records, around, key, found)
        declared = frozenset(address.id for address in found.tasks.values())  # clashing ones too
        self._settle_clashes(found, chosen)
        orphans = _orphans(records, declared, found)
        found.items += [item for item in orphans if is_chosen(item.task, chosen)]
        known, seen = len(records), len(found.tasks) + len(found.invalid)
        frozen = ""
        vanished = sum(item.task not in found.tasks for item in orphans)  # a changed address vanished from nowhere
        if fleet.has_vanished(known, vanished, seen):
            frozen = (
                f"{vanished} of {known} known tasks are gone: nothing is called until that is meant;"
                " reconciler forget --vanished, or --force vanished"
            )
            found.items = list(fleet.freeze(found.items, frozen, around))
        plan = fleet.assemble(found.items, _revision(found), rules, frozen)
        return Survey(plan, found.work, found.unconfirmed, found.taken_over, found.refreshed, found.tasks)

    def adopt(self, selection: Iterable[str], *, reason: str, only_new: bool) -> Mapping[str, Adoption]:
        """Record the files of tasks as applied, without calling anything.

        Args:
            selection: names of tasks or folders; all when empty.
            reason: for the journal.
            only_new: leave tasks alone that the store knows already.

        Returns:
            `{task: what came of it}`.
        """
        chosen = tuple(selection)
        records, key = self._store.records(), self._store.fingerprint_key()
        around = Surroundings(self._clock.now())
        found = _Findings()
        ready: dict[str, tuple[Snapshot, Adoption]] = {}  # what is kept of a task must be small: there may be 10,000
        outcome: dict[str, Adoption] = {}
        for raw in self._source.tasks():
            _count_in(found, raw)
            examined = self._validator.examine(raw, warnings=False)
            task = examined.task
            if task is not None:
                found.tasks[raw.name] = task.address
            if not is_chosen(raw.name, chosen):
                continue
            if task is None:
                outcome[raw.name] = Adoption(planning.invalid(raw.name, _errors(examined.violations)).reason)
            elif not (only_new and task.address.id in records):
                try:
                    desired = prepare(task, self._catalogue, self._lookup, key)
                except SecretError as error:
                    outcome[raw.name] = Adoption(str(error))
                    continue
                base = self._base(desired, records.get(task.address.id), around)
                changes = planning.compare(desired, base, self._catalogue, key).changes if base.snapshots else ()
                ready[raw.name] = desired.snapshot, Adoption(passed_over=tuple(change.path for change in changes))
        for name, violation in address_clashes(found.tasks.items()).items():
            ready.pop(name, None)
            if is_chosen(name, chosen):
                outcome[name] = Adoption(planning.invalid(name, (violation,)).reason)
        for name, (snapshot, adoption) in ready.items():
            passed_over = ", ".join(adoption.passed_over)
            why = f"{reason}; differences taken as applied: {passed_over}" if passed_over else reason
            self._store.adopt(found.tasks[name].id, name, snapshot, _revision(found), why)
            outcome[name] = adoption
        return dict(sorted(outcome.items()))

    def _surroundings(self, rules: Policy, records: Mapping[str, Record]) -> Surroundings:
        first_run = not records and len(self._source.names()) > policy.FIRST_RUN_TASKS
        return Surroundings(
            now=self._clock.now(),
            policy=rules,
            suspensions=self._store.suspensions(),
            troubles=self._store.target_trouble(),
            first_run=first_run,
        )

    def _look_at(
        self,
        raw: RawTask,
        chosen: tuple[str, ...],
        records: Mapping[str, Record],
        around: Surroundings,
        key: bytes,
        found: _Findings,
    ) -> None:
        _count_in(found, raw)
        examined = self._validator.examine(raw, warnings=False)
        if examined.task is None:
            errors = _errors(examined.violations)
            found.invalid[raw.name] = errors
            if is_chosen(raw.name, chosen):
                found.items.append(planning.invalid(raw.name, errors))
            return
        found.tasks[raw.name] = examined.task.address
        if is_chosen(raw.name, chosen):
            self._plan(examined.task, records.get(examined.task.address.id), around, key, found)

    def _plan(self, task: Task, record: Record | None, around: Surroundings, key: bytes, found: _Findings) -> None:
        waiting = planning.reset(task, record)
        if waiting is not None:
            found.items.append(waiting)
        try:
            desired = prepare(task, self._catalogue, self._lookup, key)
        except SecretError as error:
            found.items.append(planning.unresolved(task, record, str(error), around))
            return
        base = self._base(desired, record, around)
        item = planning.plan_task(desired, base, around, self._catalogue, key)
        found.items.append(item)
        if item.action.sends or item.action is Action.ADOPT:
            found.work[item.id] = Work(desired, base)
        if item.intended is Action.NOOP and record is not None:
            if record.task != task.name:
                found.taken_over[task.address.id] = task.name
            if base.applied is not None and self._is_outdated(record, base.applied, desired, key):
                stored = secrets.resealed(base.applied, self._catalogue, key)
                found.refreshed[task.address.id] = overlaid(stored, desired.snapshot)
            known = around.policy.targets is None or task.address.target in around.policy.targets
            if known and item.action is Action.NOOP and policy.is_unconfirmed(desired, record):
                found.unconfirmed[item.id] = Work(desired, base)

    def _base(self, desired: Desired, record: Record | None, around: Surroundings) -> Base:
        """Contents are read from the store only where digests do not settle the matter."""
        if record is None:
            return Base()
        if planning.is_unchanged(desired, record) and desired.task.name not in around.policy.resend:
            return Base(record)
        candidates = self._store.candidates(record.address) if record.open_intents else ()
        applied = self._store.applied(record.address)
        return Base(
            record,
            secrets.renewed(applied, self._catalogue) if applied else None,
            tuple(secrets.renewed(candidate, self._catalogue) for candidate in candidates),
        )

    def _is_outdated(self, record: Record, applied: Snapshot, desired: Desired, key: bytes) -> bool:
        """Whether content is stored in an older form, with fingerprints of another key, or with secrets in clear."""
        return (
            record.digest_version != canonical.VERSION
            or applied.key_id != desired.snapshot.key_id
            or not secrets.resealed(applied, self._catalogue, key).fingerprints.keys() <= applied.fingerprints.keys()
            or not desired.snapshot.fingerprints.keys() <= applied.fingerprints.keys()
        )

    def _settle_clashes(self, found: _Findings, chosen: tuple[str, ...]) -> None:
        """Two tasks with one address are both invalid."""
        clashes = address_clashes(found.tasks.items())
        for name, violation in clashes.items():
            found.invalid[name] = (violation,)
            del found.tasks[name]
        found.items = [item for item in found.items if item.task not in clashes]
        found.items += [planning.invalid(name, (v,)) for name, v in clashes.items() if is_chosen(name, chosen)]
        settled = {item.id for item in found.items}
        found.work = {number: work for number, work in found.work.items() if number in settled}
        found.unconfirmed = {number: work for number, work in found.unconfirmed.items() if number in settled}
        found.taken_over = {a: name for a, name in found.taken_over.items() if name in found.tasks}


def _count_in(found: _Findings, raw: RawTask) -> None:
    """Make the files part of the revision."""
    for name in sorted(raw.files):
        head = f"{raw.name}/{name}\0{len(raw.files[name])}\0"
        found.revision.update(head.encode("utf-8", "surrogateescape"))
        found.revision.update(raw.files[name])


def _revision(found: _Findings) -> str:
    return f"sha256:{found.revision.hexdigest()[:12]}"


def _errors(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    return tuple(violation for violation in violations if violation.severity is Severity.ERROR)


def _orphans(records: Mapping[str, Record], declared: frozenset[str], found: _Findings) -> list[Item]:
    """Known addresses that no directory declares.

    A task whose files are wrong still holds its own; below a folder that cannot be read nothing is known to be gone.
    """
    lost = [r for r in records.values() if r.address not in declared and not _is_unreadable(r.task, found.invalid)]
    return [planning.orphaned(record, moved=record.task in found.tasks) for record in lost]


def _is_unreadable(task: str, invalid: Container[str]) -> bool:
    parts = task.split("/")
    return any("/".join(parts[:length]) in invalid for length in range(1, len(parts) + 1))


def is_chosen(name: str, chosen: tuple[str, ...]) -> bool:
    """Whether a task is selected, by its name or by a folder it lies in; everything is when nothing was named."""
    return not chosen or any(name == one or name.startswith(f"{one.rstrip('/')}/") for one in chosen)
