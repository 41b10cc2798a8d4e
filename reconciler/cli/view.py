"""What state every task is in: as a running daemon said it, or else by the files and records themselves.

Beside a daemon no task is read and no secret is needed, so that a fleet of 10,000 tasks is shown at once.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from reconciler import rail_rows, wiring
from reconciler.cli.common import check_known
from reconciler.config import Settings
from reconciler.core import heads, policy, position
from reconciler.core.heads import HEAD, NOTHING, Followed
from reconciler.core.limits import RAILS, is_of_the_run, lets_one_go, tripped_remarks
from reconciler.core.policy import Policy
from reconciler.core.status import TROUBLED, State, TaskStatus, moment, said, status_of, together
from reconciler.model import Action, Item, Rail, Record, Suspension
from reconciler.ports import CommitSource
from reconciler.reconcile import Reconciler, Survey, is_chosen
from reconciler.state.lock import Holder
from reconciler.state.sqlite import SqliteStore

DAEMON = "run"
"""What the daemon holds the writer lock for."""

_UNREAD = "secrets cannot be read here"
_ROWS = 100
"""Journal rows that belong to no task, among which the beginning of a target's trouble is looked for."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a target from being used."""

    target: str
    kind: str
    message: str
    since: datetime | None  # None when that was too long ago to be found at once


@dataclass(frozen=True, slots=True)
class View:
    """All tasks that were asked for, at one moment."""

    by_daemon: bool
    source: str  # who says so, for people
    tasks: tuple[TaskStatus, ...]  # one a task
    remarks: tuple[str, ...]  # about the whole, for people
    troubles: tuple[Trouble, ...]
    holder: str  # of the writer lock; "" when nobody has it
    followed: Followed = NOTHING  # which commit is read; nothing where files are read as they are
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)  # by command, in force; see ports.StateStore
    rails: tuple[Rail, ...] = ()  # each, counting all tasks

    @property
    def limits(self) -> Mapping[str, str]:
        """What is too much over all tasks, `{limit of the run: "8 of 20 tasks would be ..."}`."""
        return _limits(self.rails)


def daemon_of(store: SqliteStore) -> Holder | None:
    """The daemon that runs on this store; None when none does."""
    holder = store.holder()
    return holder if holder is not None and holder.purpose == DAEMON else None


def check_names(settings: Settings, store: SqliteStore, given: Iterable[str], *, more: Iterable[str] = ()) -> None:
    """Refuse names that nobody knows; the files are listed only for a name that the store does not know.

    Args:
        settings: say where the files are.
        store: knows what the daemon said and what was applied.
        given: names of tasks, or of folders of tasks.
        more: names that are right as well.

    Raises:
        click.UsageError: with a suggestion.
    """
    names = tuple(given)
    known = [*store.states(), *more] if names else []
    if _know(known, names):
        return
    known += [record.task for record in store.records().values()]
    if not _know(known, names):
        check_known(names, [*known, *wiring.source(settings, store).names()])


def _know(known: Iterable[str], names: tuple[str, ...]) -> bool:
    """Whether each name is one of those known, or a folder of some."""
    found = list(known)
    return all(any(is_chosen(one, (name,)) for one in found) for name in names)


def followed_by_daemon(settings: Settings, store: SqliteStore) -> Followed:
    """Which commit the daemon said that it reads; nothing where the desired state is a directory."""
    channel, subject = HEAD
    return heads.from_text(store.notified(channel).get(subject, "")) if settings.git else NOTHING


class Viewer:
    """Looks at the tasks, again and again if need be. Changes nothing and calls nothing.

    Args:
        settings: the configuration.
        tasks: names of tasks or folders to show; all when empty.
    """

    def __init__(self, settings: Settings, tasks: tuple[str, ...]) -> None:
        self._settings = settings
        self._tasks = tasks
        self._store = wiring.open_store(settings, read_only=True)
        self._commits: CommitSource | None = None
        self._reconciler: Reconciler | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._store.close()

    def check_names(self) -> None:
        """Refuse names that nobody knows.

        Raises:
            click.UsageError: with a suggestion.
        """
        check_names(self._settings, self._store, self._tasks)

    def look(self) -> View:
        """All tasks as they are now.

        Raises:
            DesiredStateError: no daemon runs, and the directory cannot be read.
            StateStoreError: the store cannot be read.
        """
        if not self._store.exists:  # somebody may have made it since
            self._store.close()
            self._store, self._reconciler = wiring.open_store(self._settings, read_only=True), None
        holder, now = self._store.holder(), datetime.now(UTC)
        view = self._as_said(holder) if holder and holder.purpose == DAEMON else self._surveyed(holder)
        held = {key: one for key, one in self._store.suspensions().items() if policy.is_in_force(one, now)}
        return replace(view, suspensions=held, remarks=(*_wide(held), *view.remarks))

    def _as_said(self, daemon: Holder) -> View:
        states = self._store.states()
        tasks = tuple(said(state) for name, state in states.items() if is_chosen(name, self._tasks))
        source = f"as the daemon sees it (process {daemon.pid} on {daemon.host}, since {moment(daemon.since)})"
        followed = followed_by_daemon(self._settings, self._store)
        channel, subject = TROUBLED
        trouble = self._store.notified(channel).get(subject)
        edits = wiring.edits(self._settings, followed.head.commit.id) if followed.head else ()
        rails = rail_rows.said(self._store)
        frozen = (f"nothing is sent at all: {trouble}",) if trouble else ()
        remarks = (*heads.remarks(followed), *edits, *frozen, *tripped_remarks(_limits(rails)))
        if not states:
            remarks = (*remarks, "the daemon has said nothing of any task yet")
        return View(True, source, tasks, remarks, self._troubles(), str(daemon), followed, rails=rails)

    def _surveyed(self, holder: Holder | None) -> View:
        if self._reconciler is None:
            self._reconciler = self._opened()
        elif self._commits is not None:
            self._commits.advance()
        survey = self._reconciler.survey(self._settings.policy, most=0)  # of all: limits judge them together
        items = [item for item in survey.plan.items if is_chosen(item.task, self._tasks)]
        troubles, marks = self._troubles(), self._store.notified(position.HELD)
        messages = {one.target: one.message for one in troubles}
        tasks = tuple(_statuses(items, survey.records, messages, marks, calling=holder is not None))
        if self._tasks and holder is None:
            tasks = tuple(_with_way_alone(tasks, items, survey, self._settings.policy, {*messages}, marks))
        followed = Followed(self._commits.head) if self._commits else NOTHING
        remarks = (*heads.remarks(followed), *survey.plan.remarks, *_unread(items))
        source = "no daemon runs: from the files and records"
        rails = rail_rows.of_plan(survey.plan, marks)
        return View(False, source, tasks, remarks, troubles, str(holder) if holder else "", followed, rails=rails)

    def _opened(self) -> Reconciler:
        """Look at the files; where commits are followed, at the newest one that is here: nothing is fetched."""
        settings, store = self._settings, self._store
        self._commits = wiring.commits(settings, store, edits=True) if settings.git else None
        return wiring.reconciler(settings, store, self._commits, lenient=True)

    def _troubles(self) -> tuple[Trouble, ...]:
        found = self._store.target_trouble()
        rows = self._store.history("", _ROWS) if found else ()
        began: dict[tuple[object, object], datetime] = {}
        for row in rows:
            if row.kind == "target":
                began.setdefault((row.detail.get("target"), row.detail.get("kind")), row.at)
        return tuple(Trouble(name, kind, text, began.get((name, kind))) for name, (kind, text) in found.items())


def _limits(rails: Iterable[Rail]) -> Mapping[str, str]:
    return {rail.name: rail.found for rail in rails if rail.name in RAILS and rail.found}


def _statuses(
    items: Iterable[Item],
    records: Mapping[str, Record],
    troubles: Mapping[str, str],
    marks: Mapping[str, str],
    *,
    calling: bool,
) -> Iterator[TaskStatus]:
    """One status a task: what its other items say, of a reset that waits or of an address it left, is added."""
    found: dict[str, TaskStatus] = {}
    for item in sorted(items, key=lambda item: (item.outlook is not None, _is_orphan(item))):
        if item.task in found:
            main = found[item.task]
            found[item.task] = together(main, item, status_of(item, None, calling=False))
            continue
        record = records.get(item.address)
        trouble, met = troubles.get(item.target, ""), position.held(marks, item)
        found[item.task] = status_of(item, record, calling=calling, trouble=trouble, met=met)
    yield from (found[name] for name in sorted(found))


def _with_way_alone(
    tasks: Iterable[TaskStatus],
    items: Iterable[Item],
    survey: Survey,
    rules: Policy,
    troubled: AbstractSet[str],
    marks: Mapping[str, str],
) -> Iterator[TaskStatus]:
    """Statuses of tasks that were named, saying of those that only a limit of the run holds that one of them may go.

    `apply TASK` judges the tasks that it names; what holds the task besides, or may, keeps that from being said.
    """
    others = len({item.task for item in survey.plan.items if is_of_the_run(item.reason)}) - 1
    told = f"{others:,} other{'' if others == 1 else 's'}"
    free = {
        item.task
        for item in items
        if is_of_the_run(item.reason)
        and {item.rail, *item.behind} <= survey.tripped.keys()
        and not (item.target in troubled or position.held(marks, item) or _unread((item,)))
    }
    for one in tasks:
        way = f"; it is held together with {told}: reconciler apply {one.task} would send it alone"
        goes = one.task in free and one.state is State.BLOCKED and lets_one_go(rules.limits)
        yield replace(one, next_step=f"{one.next_step}{way}") if goes else one


def _wide(held: Mapping[str, Suspension]) -> Iterator[str]:
    """Suspensions that hold more than one task: the others stand in the rows of their tasks."""
    for key, one in held.items():
        if key.startswith(policy.ALL_TASKS):
            label = policy.label_of(key)
            until = f" until {moment(one.until)}" if one.until else ""
            flag = f"--label {shlex.quote(label)}" if label else "--all"
            yield f"{policy.shown_key(key)}: suspended{until}: {one.reason}; reconciler resume {flag} takes it back"


def _is_orphan(item: Item) -> bool:
    return item.action is Action.ORPHANED


def _unread(items: Iterable[Item]) -> tuple[str, ...]:
    """That secrets cannot be read in this shell: once, whatever number of tasks it concerns."""
    found = [remark for item in items for remark in item.remarks if remark.startswith(_UNREAD)]
    return (f"{found[0]} ({len(found):,} task{'' if len(found) == 1 else 's'})",) if found else ()
