"""What suspensions hold: how many tasks, which of them all the same, and what would be done without them."""

import difflib
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reconciler import wiring
from reconciler.cli.common import open_files, warn
from reconciler.config import Settings
from reconciler.core import policy
from reconciler.core.plural import counted
from reconciler.core.policy import ALL_TASKS, Policy, Surroundings, label_key, label_of
from reconciler.errors import DesiredStateError
from reconciler.model import Condition, Task
from reconciler.reconcile import is_chosen
from reconciler.state.sqlite import SqliteStore

if TYPE_CHECKING:
    from reconciler.core.render.text import Line

_UNDER_WAY = (Condition.APPLYING, Condition.VERIFYING)
_NAMED = 5
"""Tasks that are named where there may be thousands."""


def tell(settings: Settings, store: SqliteStore, keys: Collection[str]) -> None:
    """Say how many tasks suspensions hold, and which calls they do not stop.

    Args:
        settings: say where the files are.
        store: knows which calls are under way.
        keys: names of the suspensions, see `ports.StateStore.suspensions`.
    """
    try:
        names = _names(settings, store, keys)
    except DesiredStateError as error:
        warn(f"how many tasks that holds cannot be told: {error}")
        return
    records = store.records().values()
    under_way = sorted(record.task for record in records if record.task in names and record.condition in _UNDER_WAY)
    calls = f"not stopped, because it is under way: {_few(under_way)}" if under_way else "no call is under way"
    warn(f"holds {counted(len(names))}; {calls}")


def _names(settings: Settings, store: SqliteStore, keys: Collection[str]) -> frozenset[str]:
    if ALL_TASKS in keys:
        return frozenset(wiring.source(settings, store).names())
    labels = {key for key in keys if label_of(key)}
    if not labels:
        return frozenset(keys)
    tasks = {task.name: _keys_of(task) for task in _tasks(settings, store, ())}
    known = set[str]().union(*tasks.values())
    for key in sorted(labels - known):
        close = difflib.get_close_matches(key, known, n=1)
        hint = f'; did you mean "{label_of(close[0])}"?' if close else ""
        warn(f'no task has the label "{label_of(key)}" now{hint}')
    return frozenset(name for name, worn in tasks.items() if worn & labels)


def _keys_of(task: Task) -> set[str]:
    """Names of the suspensions that its labels belong to."""
    return {label_key(f"{name}={text}") for name, text in task.labels}


def _tasks(settings: Settings, store: SqliteStore, chosen: tuple[str, ...]) -> Iterator[Task]:
    """Valid tasks, by their names or folders; all when none is named."""
    validator = wiring.validator(settings.literal_secrets)
    for entry in wiring.source(settings, store).entries():
        found = validator.examine(entry.read(), warnings=False).task if is_chosen(entry.name, chosen) else None
        if found is not None:
            yield found


def _meant(settings: Settings, store: SqliteStore, given: Collection[str]) -> Iterator[Task]:
    """Valid tasks that are meant by names of tasks, of folders, or of suspensions of several tasks."""
    several = {one for one in given if one.startswith(ALL_TASKS)}
    for task in _tasks(settings, store, () if several else tuple(given)):
        if not several or ALL_TASKS in several or _keys_of(task) & several:
            yield task


def still(settings: Settings, store: SqliteStore, given: Collection[str], without: Iterable[str]) -> Iterator[str]:
    """Which tasks are suspended all the same: a line for each reason, with what takes it back.

    Args:
        settings: say where the files are; nothing is said when they cannot be read.
        store: knows what is suspended by command.
        given: names of tasks, of folders, or of suspensions of several tasks.
        without: names of suspensions that are left aside.
    """
    rules = Policy(resumed=frozenset(without))
    around = Surroundings(datetime.now(UTC), rules, suspensions=store.suspensions())
    records, found = store.records(), dict[str, list[str]]()
    try:
        for task in _meant(settings, store, given):
            held = policy.suspended(task, records.get(task.address.id), around)
            for rail in (held.rail, *held.also) if held is not None else ():
                found.setdefault(rail, []).append(task.name)
    except DesiredStateError:
        return
    for rail, names in found.items():
        yield f"still suspended, {_step(rail, names)}: {_few(names)}"


def _step(rail: str, names: list[str]) -> str:
    """What takes a suspension back, by its rail."""
    if rail == "suspend in task.json":
        return "by task.json, where it has to be taken out"
    _, _, label = rail.partition(" --label ")
    one = f"--label {shlex.quote(label)}" if label else "--all" if rail == "suspend --all" else names[0]
    return f"reconciler resume {one} takes that back"


def plan_without(settings: Settings, store: SqliteStore, keys: Collection[str], given: Collection[str]) -> "list[Line]":
    """The plan as it would be without some suspensions: for the tasks that they are for.

    Args:
        settings: the configuration.
        store: the state; nothing is written.
        keys: names of the suspensions.
        given: names of tasks, of folders, or of suspensions of several tasks.

    Raises:
        DesiredStateError: the files cannot be read.
    """
    from reconciler.core.render import text

    names = () if ALL_TASKS in given else tuple(task.name for task in _meant(settings, store, given))
    if not names and ALL_TASKS not in given:
        warn("no task is meant by that now")
        return []
    files = open_files(settings, store)
    engine = wiring.reconciler(settings, store, files.source)
    plan = engine.survey(replace(settings.policy, resumed=frozenset(keys)), names, most=0).plan
    return list(text.lines(plan, str(settings.desired_state), origins=wiring.origins(files.source, plan)))


def _few(names: list[str]) -> str:
    rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
