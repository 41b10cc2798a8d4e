"""One look at everything, or at some tasks: read, validate, compare, plan. Calls nothing; others carry it out."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from reconciler.core import canonical, fleet, importing, ledger, policy, rails, resets, secrets
from reconciler.core import plan as planning
from reconciler.core.catalogue import Catalogue
from reconciler.core.desired import Desired, hollow, overlaid, prepare
from reconciler.core.limits import Standing, Tally, Weight, weigh
from reconciler.core.plan import Base
from reconciler.core.policy import Policy, Surroundings
from reconciler.core.validation import fleetrules
from reconciler.core.validation.fleetfacts import facts_of
from reconciler.core.validation.validator import Validator
from reconciler.errors import ReconcilerError, SecretError
from reconciler.inventory import Gist, Inventory, Known, gist_of
from reconciler.model import (
    Action,
    Address,
    Cap,
    Item,
    Plan,
    Record,
    ResetEntry,
    ResetKey,
    ResetOrder,
    Severity,
    Snapshot,
    Task,
    Violation,
)
from reconciler.ports import Clock, Entry, SecretResolver, Source, StateStore


@dataclass(frozen=True, slots=True)
class Work:
    """What carrying out one item needs and a plan must not hold: it has secrets in it."""

    desired: Desired = field(repr=False)  # of a task whose files are gone: hollow, with its name and address
    base: Base = field(repr=False)
    reset: ResetOrder | None = None  # of an item of action RESET


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to do, and everything needed to do it."""

    plan: Plan
    work: Mapping[str, Work]  # {item id: Work}, for items that send or adopt
    unconfirmed: Mapping[str, Work]  # {item id: Work}, for items accepted earlier and not seen healthy since
    taken_over: Mapping[str, str]  # {Address.id: new task name}: records to follow a renamed folder
    refreshed: Mapping[str, Snapshot]  # {Address.id: content}: fingerprints to record anew
    tasks: Mapping[str, Address]  # every valid task, selected or not
    known: Mapping[str, Known]  # {task: what its files are like}, for those that were looked at
    records: Mapping[str, Record]  # {Address.id: Record}, as they were when the plan was made
    defects: Mapping[str, Exception]  # {task: what went wrong in us}: their items say that they are invalid
    left: frozenset[str]  # tasks with something to do whose work was not kept: look at them again
    tripped: Mapping[str, str] = field(default_factory=dict)  # {limit of the run: what is too much}
    foreseen: Mapping[str, str] = field(default_factory=dict)  # likewise, if what waits for somebody's word went too
    unsettled: frozenset[str] = frozenset()  # others that a limit holds or releases from now on: look at them again
    resets: Mapping[ResetKey, ResetEntry] = field(default_factory=dict)  # the ledger, as it was when the plan was made
    open_resets: tuple[ResetEntry, ...] = ()  # of it: under way, or unknown
    expiries: Mapping[str, datetime] = field(default_factory=dict)  # {task: when its reset is sent no more}
    hidden: frozenset[str] = field(default=frozenset(), repr=False)  # secrets that a server may quote about resets
    arrived: frozenset[str] = frozenset()  # Address.ids whose files were imported, and are there by now
    doubted: tuple[ResetEntry, ...] = ()  # rows to be written before anything is recorded for their addresses


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
    taken_over: dict[str, str] = field(default_factory=dict)
    refreshed: dict[str, Snapshot] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    defects: dict[str, Exception] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    weights: dict[str, Weight] = field(default_factory=dict)
    expiries: dict[str, datetime] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set, repr=False)
    doubted: list[ResetEntry] = field(default_factory=list)


@dataclass(slots=True)
class _Look:
    """One walk: what it starts from and what it finds."""

    records: Mapping[str, Record]
    around: Surroundings
    key: bytes
    chosen: Callable[[str], bool]
    most: int | None
    awaited: frozenset[str] = frozenset()  # Address.ids whose files were imported, and may not be there yet
    found: _Findings = field(default_factory=_Findings)
    open_resets: Mapping[str, ResetEntry] = field(init=False)  # {Address.id: it}: under way, or unknown; seldom any

    def __post_init__(self) -> None:
        self.open_resets = {entry.address: entry for entry in self.around.open_resets}

    def keep(self, item: Item, work: Work) -> None:
        """Keep what carrying an item out needs, unless there is enough of that already."""
        if self.most is not None and len(self.found.work) >= self.most:
            self.found.left.add(item.task)
        else:
            self.found.work[item.id] = work


class Reconciler:
    """Looks at desired and last-applied state and says what to do.

    Between two looks it remembers digests of every task, so that what did not change costs a few `stat`s. One thread
    uses it.

    Args:
        source: where the files are.
        validator: judges them.
        catalogue: what is known of parameters.
        store: last-applied state.
        lookup: finds the value of a secret reference.
        clock: the time, for suspensions that expire.
        lenient: for commands that only show: a secret that cannot be found here counts as unchanged.
        caps: what hosts may be asked for by all tasks that write to them; None: rules over all tasks are not asked.
        tick: called for every task, so that somebody can see progress.
    """

    def __init__(  # noqa: PLR0913 - its parts; wiring puts them together
        self,
        source: Source,
        validator: Validator,
        catalogue: Catalogue,
        store: StateStore,
        lookup: SecretResolver,
        clock: Clock,
        *,
        lenient: bool = False,
        caps: Sequence[Cap] | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._validator = validator
        self._catalogue = catalogue
        self._store = store
        self._lookup = lookup
        self._clock = clock
        self._lenient = lenient
        self._tick = tick
        self._caps = caps
        self._inventory = Inventory(validator, None if caps is None else partial(facts_of, catalogue=catalogue))
        self._tally = Tally()  # what every task would send, as it was seen last
        self._tripped: frozenset[str] = frozenset()  # limits of the run, as of the last look
        self._foretold: frozenset[str] = frozenset()  # likewise, and those that would hold what waits for a word

    def survey(self, rules: Policy, selection: Iterable[str] = (), *, most: int | None = None) -> Survey:
        """Plan for the selected tasks; rails that concern the whole fleet look at all of it.

        Args:
            rules: what is allowed.
            selection: names of tasks, or of folders of tasks; all when empty.
            most: keep at most so many pieces of work, which have documents in them; None: all.

        Raises:
            DesiredStateError: the directory cannot be read.
            StateStoreError: the store cannot be read.
        """
        chosen = tuple(selection)
        look = self._begin(rules, lambda name: is_chosen(name, chosen), most)
        seen = set()
        for entry in self._source.entries():
            seen.add(entry.name)
            self._look_at(entry, look)
        self._inventory.keep_only(seen)
        self._inventory.settle(seen)
        self._tally = Tally()
        return self._with_fleet_rules(self._conclude(look, look.found.weights), look)

    def _with_fleet_rules(self, survey: Survey, look: "_Look") -> Survey:
        """The same with remarks on what is wrong with several tasks together: it is shown and holds nothing."""
        if self._caps is None:
            return survey
        found = fleetrules.check(self._inventory.facts(), self._caps, self._reread)
        remarks = (*survey.plan.remarks, *fleetrules.remarks(found, look.chosen))
        return replace(survey, plan=replace(survey.plan, remarks=remarks))

    def _reread(self, name: str) -> Task | None:
        entry = self._source.entry(name)
        return self._validator.examine(entry.read(), warnings=False).task if entry else None

    def look(self, rules: Policy, names: Collection[str], *, most: int | None = None) -> Survey:
        """Plan for these tasks alone, by what the last `survey` saw of the others; it must have been made.

        Args:
            rules: what is allowed.
            names: exact names of tasks; one that is gone has no item, unless it is an orphan now.
            most: keep at most so many pieces of work.

        Raises:
            DesiredStateError: the directory cannot be read.
            StateStoreError: the store cannot be read.
        """
        wanted = {*names, *self._inventory.disturbed()}
        look = self._begin(rules, wanted.__contains__, most)
        waiting = sorted(wanted)
        while waiting:
            for name in waiting:
                entry = self._source.entry(name)
                if entry is None:
                    self._inventory.drop(name)
                else:
                    self._look_at(entry, look)
            waiting = sorted(self._inventory.disturbed() - wanted)  # others at an address that came or went
            wanted.update(waiting)
        self._inventory.settle(wanted)
        return self._conclude(look, wanted)

    def names_below(self, folder: str) -> frozenset[str]:
        """Tasks at or below a folder, as they were at the last look and as they are now."""
        now = (entry.name for entry in self._source.entries(folder))
        return frozenset(now) | self._inventory.names_below(folder)

    def begun(self, rules: Policy) -> Survey:
        """Resets that were begun, where the desired state cannot be read: nobody knows whether they are still meant.

        Raises:
            StateStoreError: the state cannot be read either.
        """
        records = self._store.records()
        look = _Look(records, self._surroundings(rules), self._store.fingerprint_key(), lambda _task: True, None)
        self._go_on_with_resets(look, ())
        plan = fleet.assemble(look.found.items, "", rules)
        survey = Survey(plan, look.found.work, {}, {}, {}, {}, {}, look.records, {}, frozenset())
        return replace(survey, resets=look.around.resets, open_resets=look.around.open_resets)

    def _begin(self, rules: Policy, chosen: Callable[[str], bool], most: int | None) -> "_Look":
        records = self._store.records()
        first_run = not records and len(self._source.names()) > policy.FIRST_RUN_TASKS
        around = self._surroundings(rules, first_run=first_run)
        awaited = frozenset(self._store.notified(importing.AWAITED))  # after the records: the mark is written first
        return _Look(records, around, self._store.fingerprint_key(), chosen, most, awaited)

    def _conclude(self, look: "_Look", names: Collection[str]) -> Survey:
        """The plan of what was found, *names* being the tasks whose weight may be another one than before."""
        found, inventory = look.found, self._inventory
        self._settle_clashes(look)
        self._go_on_with_resets(look, inventory.valid().values())
        undeclared = (look.records[address] for address in inventory.undeclared(look.records))
        lost = [record for record in undeclared if not inventory.is_unreadable(record.task)]
        awaited = [one for one in lost if one.address in look.awaited and not inventory.is_valid(one.task)]
        found.items += [importing.awaited(one) for one in awaited if look.chosen(one.task)]
        orphans = [
            planning.orphaned(record, moved=inventory.is_valid(record.task)) for record in lost if record not in awaited
        ]
        found.items += [item for item in orphans if look.chosen(item.task)]
        frozen = self._frozen(len(look.records) - len(awaited), orphans)
        if frozen:
            found.items = list(fleet.freeze(found.items, frozen, look.around))
            self._end_resets(look)
        limited, unsettled = self._limit(look, names)
        plan = fleet.assemble(found.items, self._revision(inventory), look.around.policy, frozen)
        stand = rails.of_plan(plan.items, look.around, frozen=frozen, limits=limited.tripped)
        plan = replace(plan, remarks=(*plan.remarks, *limited.remarks, *self._source.remarks), rails=stand)
        return Survey(
            plan,
            found.work,
            found.unconfirmed,
            found.taken_over,
            found.refreshed,
            inventory.valid(),
            found.known,
            look.records,
            found.defects,
            frozenset(found.left),
            resets=look.around.resets,
            open_resets=look.around.open_resets,
            expiries=found.expiries,
            hidden=frozenset(found.hidden),
            tripped=limited.tripped,
            foreseen=limited.foreseen,
            unsettled=unsettled,
            arrived=look.awaited.difference(inventory.undeclared(look.awaited)),
            doubted=tuple(found.doubted),
        )

    def _limit(self, look: "_Look", names: Collection[str]) -> tuple[Standing, frozenset[str]]:
        """Hold what is too much at once, counted over all tasks.

        Returns:
            How the limits stand; and other tasks that one of them holds or releases from now on, or would.
        """
        found = look.found
        for name in names:
            self._tally.put(name, found.weights.get(name))
        standing = self._tally.standing(look.around.policy.limits, self._inventory.count())
        found.items = list(fleet.limit(found.items, found.weights, standing))
        if standing.tripped:
            held = {item.id for item in found.items if item.rail in standing.tripped}
            found.work = {number: work for number, work in found.work.items() if number not in held}
            found.left &= {item.task for item in found.items if item.action.sends or item.action is Action.ADOPT}
        foretold = frozenset((*standing.tripped, *standing.foreseen))
        turned, turned_for_waiting = self._tripped ^ standing.tripped.keys(), self._foretold ^ foretold
        self._tripped, self._foretold = frozenset(standing.tripped), foretold
        if not (turned or turned_for_waiting):
            return standing, frozenset()
        return standing, self._tally.counting(turned, turned_for_waiting) - {*names}

    def _revision(self, inventory: Inventory) -> str:
        return self._source.revision or inventory.revision()

    def _frozen(self, known: int, orphans: Sequence[Item]) -> str:
        """Why nothing is done at all; "" when that is not so."""
        vanished = sum(not self._inventory.is_valid(item.task) for item in orphans)  # a changed address did not vanish
        if not fleet.has_vanished(known, vanished, self._inventory.count()):
            return ""
        return (
            f"{vanished} of {known} known tasks are gone: nothing is called until that is meant; restore the"
            " directories, or reconciler forget --vanished; to go on without either, apply --force vanished --reason"
            " TEXT (with the daemon stopped)"
        )

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
        around = Surroundings(self._clock.now(), resets=self._store.resets())
        inventory = Inventory(self._validator)
        ready: dict[str, tuple[Snapshot, Adoption]] = {}  # what is kept of a task must be small: there may be 10,000
        doubted: dict[str, ResetEntry | None] = {}
        outcome: dict[str, Adoption] = {}
        for entry in self._source.entries():
            known, task = inventory.see(entry)
            name = entry.name
            if not is_chosen(name, chosen):
                continue
            if task is None:
                outcome[name] = Adoption(planning.invalid(name, known.errors).reason)
            elif not (only_new and known.address_id in records):
                try:
                    desired = prepare(task, self._catalogue, self._lookup, key)
                except SecretError as error:
                    outcome[name] = Adoption(str(error))
                    continue
                base = self._base(desired, records.get(known.address_id), around)
                changes = planning.compare(desired, base, self._catalogue, key).changes if base.snapshots else ()
                ready[name] = desired.snapshot, Adoption(passed_over=tuple(change.path for change in changes))
                doubted[name] = resets.doubted(task, base.record, around.resets, around.now)
        for name, violation in inventory.clashes().items():
            ready.pop(name, None)
            if is_chosen(name, chosen):
                outcome[name] = Adoption(planning.invalid(name, (violation,)).reason)
        addresses, revision = inventory.valid(), self._revision(inventory)
        for name, (snapshot, adoption) in ready.items():
            passed_over = ", ".join(adoption.passed_over)
            why = f"{reason}; differences taken as applied: {passed_over}" if passed_over else reason
            if (row := doubted[name]) is not None:
                self._store.move_reset(row, None)
            self._store.adopt(addresses[name].id, name, snapshot, revision, why)
            outcome[name] = adoption
        return dict(sorted(outcome.items()))

    def _surroundings(self, rules: Policy, *, first_run: bool = False) -> Surroundings:
        return Surroundings(
            now=self._clock.now(),
            policy=rules,
            suspensions=self._store.suspensions(),
            troubles=self._store.target_trouble(),
            first_run=first_run,
            approvals=self._store.approvals(),
            resets=self._store.resets(),
        )

    def _look_at(self, entry: Entry, look: "_Look") -> None:
        """Look at one task; whatever is wrong with it, or with us because of it, never touches another."""
        self._tick()
        try:
            known, task = self._inventory.see(entry)
        except (OSError, ReconcilerError):
            raise
        except Exception as error:  # noqa: BLE001 - the border
            known, task = self._inventory.see_defect(entry.name, _defect(entry.name, error)), None
            look.found.defects[entry.name] = error
        if not look.chosen(entry.name):
            return
        try:
            self._settle(entry, known, task, look)
        except (OSError, ReconcilerError):
            raise
        except Exception as error:  # noqa: BLE001 - likewise
            look.found.defects[entry.name] = error
            look.found.items.append(planning.invalid(entry.name, (_defect(entry.name, error),)))

    def _settle(self, entry: Entry, known: Known, task: Task | None, look: "_Look") -> None:
        look.found.known[entry.name] = known
        if known.address is None:
            look.found.items.append(planning.invalid(entry.name, known.errors))
            return
        record = look.records.get(known.address_id)
        gist = self._gist_of_settled(known, record, look) if task is None else None
        if gist is not None:
            item = planning.plan_task(gist.desired, Base(record), look.around, self._catalogue, look.key)
            look.found.items.append(replace(item, unchanged=gist.unchanged))
            look.found.weights[entry.name] = Weight(gist.unchanged)
            over = resets.plan(gist.desired.task, record, look.around) if gist.desired.task.reset else None
            look.found.items += [over] if over else []
            return
        if task is None:
            known, task = self._inventory.see(entry, anew=True)
            look.found.known[entry.name] = known
        if task is None:
            look.found.items.append(planning.invalid(entry.name, known.errors))
        else:
            self._plan(task, known, record, look)

    def _gist_of_settled(self, known: Known, record: Record | None, look: "_Look") -> Gist | None:
        """The gist of a task of which digests alone say that there is nothing to do; None when one has to read it."""
        gist = known.gist
        settled = (
            gist is not None
            and record is not None
            and record.task == known.name
            and known.name not in look.around.policy.resend
            and planning.is_unchanged(gist.desired, record)
            and not policy.is_unconfirmed(gist.desired, record)
            and known.address_id not in look.open_resets
            and resets.is_settled(gist.desired.task, look.around)
            and gist.has_same_secrets(self._lookup, look.key)
        )
        return gist if settled else None

    def _plan(self, task: Task, known: Known, record: Record | None, look: "_Look") -> None:
        found, around, key = look.found, look.around, look.key
        used: dict[tuple[str, str], str] = {}
        try:
            desired, missing = self._prepare(task, record, key, used)
        except SecretError as error:
            found.items.append(planning.unresolved(task, record, str(error), around))
            self._plan_reset(task, Work(hollow(task), Base(record)), look, str(error))
            return
        base = self._base(desired, record, around)
        item = planning.plan_task(desired, base, around, self._catalogue, key)
        counts = record is not None and record.digest is not None and not policy.was_begun(desired, record)
        found.weights[task.name] = weigh(item, around.policy.forced, counts=counts)
        settled = not missing and resets.is_settled(task, around)
        known.gist = gist_of(desired, planning.leaves(desired), used, key) if settled else None
        self._plan_reset(task, Work(desired, base), look)
        found.items.append(replace(item, remarks=(*item.remarks, *missing)))
        if item.action.sends or item.action is Action.ADOPT:
            look.keep(item, Work(desired, base))
            doubted = resets.doubted(task, record, around.resets, around.now)
            found.doubted += [doubted] if doubted else []
        if item.intended is Action.NOOP and record is not None:
            if record.task != task.name:
                found.taken_over[task.address.id] = task.name
            if base.applied is not None and self._is_outdated(record, base.applied, desired, key):
                stored = secrets.resealed(base.applied, self._catalogue, key)
                found.refreshed[task.address.id] = overlaid(stored, desired.snapshot)
            usable = around.policy.targets is None or task.address.target in around.policy.targets
            if usable and item.action is Action.NOOP and policy.is_unconfirmed(desired, record):
                found.unconfirmed[item.id] = Work(desired, base)

    def _plan_reset(self, task: Task, work: Work, look: "_Look", unresolved: str = "") -> None:
        """The reset that a task declares, or that was begun for it; *unresolved* says which secrets are missing."""
        concerned = task.reset is not None or task.address.id in look.open_resets
        item = resets.plan(task, work.base.record, look.around) if concerned else None
        if item is None:
            return
        item = resets.without_secrets(item, unresolved) if unresolved else item
        look.found.items.append(item)
        look.found.hidden |= work.desired.secret_values
        if item.action is Action.RESET:
            look.keep(item, replace(work, reset=resets.order(task, item, look.around)))
        if task.reset is not None and task.reset.expires is not None and not resets.is_settled(task, look.around):
            look.found.expiries[task.name] = task.reset.expires

    def _go_on_with_resets(self, look: "_Look", taken: Iterable[Address]) -> None:
        """Those that were begun for an address that no valid task has any more: their projects may be stopped."""
        valid = {address.id for address in taken} if look.open_resets else set()
        for entry in look.open_resets.values():
            if entry.address not in valid and look.chosen(entry.task):
                item, order = resets.gone(entry, look.around)
                look.found.items.append(item)
                record = look.records.get(entry.address)
                if item.action is Action.RESET:
                    look.keep(item, Work(hollow(ledger.task_of(entry)), Base(record), order))

    def _end_resets(self, look: "_Look") -> None:
        """Where all is frozen, those that were begun send nothing further, and their projects go on."""
        entries = {entry.key: entry for entry in look.around.open_resets}
        frozen = "vanished" not in look.around.policy.forced
        for index, item in enumerate(look.found.items):
            if frozen and item.action is Action.RESET and item.outlook is not None and item.is_begun_reset:
                ended, order = resets.gone(entries[item.outlook.key], look.around)
                look.found.items[index] = replace(item, reason=ended.reason)
                if (work := look.found.work.get(item.id)) is not None:  # else there was enough, or none is wanted
                    look.found.work[item.id] = replace(work, reset=order)

    def _prepare(
        self, task: Task, record: Record | None, key: bytes, used: dict[tuple[str, str], str]
    ) -> tuple[Desired, tuple[str, ...]]:
        """The task with its secrets; and a remark when some are missing and that does not matter.

        Raises:
            SecretError: secrets are missing, and it matters.
        """

        def noting(scheme: str, name: str) -> str:
            return used.setdefault((scheme, name), self._lookup(scheme, name))

        try:
            return prepare(task, self._catalogue, noting, key), ()
        except SecretError:
            if not self._lenient or record is None:
                raise
        desired = prepare(task, self._catalogue, lambda _scheme, _name: "unknown here", key)
        same = replace(desired.snapshot, fingerprints=record.fingerprints, key_id=record.key_id)
        return replace(desired, snapshot=same), ("secrets cannot be read here and are taken as unchanged",)

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

    def _settle_clashes(self, look: "_Look") -> None:
        """Two tasks with one address are both invalid."""
        found = look.found
        clashes = {name: violation for name, violation in self._inventory.clashes().items() if look.chosen(name)}
        if not clashes:
            return
        found.items = [item for item in found.items if item.task not in clashes]
        found.items += [planning.invalid(name, (violation,)) for name, violation in clashes.items()]
        settled = {item.id for item in found.items}
        found.work = {number: work for number, work in found.work.items() if number in settled}
        found.unconfirmed = {number: work for number, work in found.unconfirmed.items() if number in settled}
        found.taken_over = {a: name for a, name in found.taken_over.items() if name not in clashes}
        found.weights = {name: weight for name, weight in found.weights.items() if name not in clashes}


def _defect(name: str, error: Exception) -> Violation:
    """What is said of a task that we fail to look at, without the words of the exception: they may quote a secret."""
    found = f"a defect of reconciler: {type(error).__name__}"
    hint = "Please report it, with the traceback of the log."
    return Violation(name, name, None, "", "defect", Severity.ERROR, "a task that can be looked at", found, hint)


def is_chosen(name: str, chosen: tuple[str, ...]) -> bool:
    """Whether a task is selected, by its name or by a folder it lies in; everything is when nothing was named."""
    return not chosen or any(name == one or name.startswith(f"{one.rstrip('/')}/") for one in chosen)
