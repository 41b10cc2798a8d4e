"""`adopt`, `forget`, `retry`: short transactions on the store, and no call."""

import json
from contextlib import closing
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, account, check_known, open_files, pass_session, say, tasks_argument, warn
from reconciler.model import Condition

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.model import Record
    from reconciler.state.sqlite import SqliteStore


def need_tasks_or(flag: str, task: tuple[str, ...], *, given: bool) -> None:
    """Refuse a command line that names no tasks, or some beside a flag that means others.

    Raises:
        click.UsageError: with what is expected.
    """
    if bool(task) == given:
        raise click.UsageError(f"name tasks, or give {flag}, and not both")


@click.command()
@tasks_argument()
@click.option("--all", "all_", is_flag=True, help="All tasks seen for the first time.")
@click.option("--reason", default="adopted by command", metavar="TEXT", help="Why; goes to the journal.")
@pass_session
def adopt(session: Session, task: tuple[str, ...], all_: bool, reason: str) -> int:
    """Record files as applied without calling anything.

    For components that already have what the files say. A named task that is known is recorded anew, differences
    included; --all leaves known tasks alone. Exits 1 when a task could not be adopted.
    """
    from reconciler import wiring

    need_tasks_or("--all", task, given=all_)
    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=False)) as store:
        files = open_files(settings, store)
        check_known(task, files.source.names())
        if files.held:
            warn(f"the newest commit is not followed: {files.held}")
        outcome = wiring.reconciler(settings, store, files.source).adopt(task, reason=reason, only_new=all_)
        files.record(store)
    for name, adoption in outcome.items():
        text = f"not adopted: {adoption.problem}" if adoption.problem else "adopted, nothing was called"
        if adoption.passed_over:
            text += f"; differences taken as applied: {', '.join(adoption.passed_over)}"
        say(f"{name}: {text}")
    if not outcome:
        say("nothing to adopt")
    return 1 if any(adoption.problem for adoption in outcome.values()) else 0


@click.command()
@tasks_argument()
@click.option("--vanished", is_flag=True, help="All tasks whose directory is gone.")
@click.option("--reason", default="", metavar="TEXT", help="Why; goes to the journal.")
@pass_session
def forget(session: Session, task: tuple[str, ...], vanished: bool, reason: str) -> int:
    """Drop the records of tasks whose directory is gone.

    Nothing is called: the component keeps what it has. The journal keeps what was done.
    """
    from reconciler import wiring
    from reconciler.core.importing import AWAITED
    from reconciler.core.position import HELD
    from reconciler.model import Action

    need_tasks_or("--vanished", task, given=vanished)
    settings = session.settings()
    store = wiring.open_store(settings, read_only=False)
    try:
        survey = wiring.reconciler(settings, store, lenient=True).survey(settings.policy, (), most=0)
        declared = {address.id for address in survey.tasks.values()}
        awaited = store.notified(AWAITED).keys() - declared
        gone = [item for item in survey.plan.items if item.action is Action.ORPHANED]
        orphans = [*gone, *(item for item in survey.plan.items if item.address in awaited and item not in gone)]
        for name in task:
            if not any(item.task == name for item in orphans):
                raise click.UsageError(
                    f'"{name}" is not orphaned: only a task whose directory is gone can be forgotten'
                )
        chosen = gone if vanished else [item for item in orphans if item.task in task]
        for item in chosen:
            store.forget(item.address, reason=reason, by=account())
            for marks in (AWAITED, HELD):
                store.set_notified(marks, item.address, "")
            say(f"{item.task}: forgotten")
    finally:
        store.close()
    if not chosen:
        say("nothing to forget")
    return 0


@click.command()
@tasks_argument(required=True)
@pass_session
def retry(session: Session, task: tuple[str, ...]) -> int:
    """Clear a failed or unknown outcome, so that it is tried again.

    A running daemon tries again at once, also what it would have tried later; else the next apply does. Lets the
    targets of the tasks be used again, too. Sends nothing itself. What an unanswered update may have done stays in
    doubt until one is answered.
    """
    from reconciler import wiring
    from reconciler.cli.view import check_names, daemon_of

    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=False)) as store:
        check_names(settings, store, task)
        daemon = daemon_of(store) is not None
        chosen = _chosen_records(store, task)
        stuck = [record for record in chosen if record.condition in _CLEARABLE]
        targets = _targets(settings, store, task, chosen) & store.target_trouble().keys()
        for target in sorted(targets):
            store.release_target(target, f"retry of {', '.join(task)}")
            say(f"target {target}: cleared")
        for record in stuck:
            store.retry(record.address)
            say(f"{record.task}: cleared; {_BY_DAEMON if daemon else _BY_APPLY}")
        rest = _waiting(store, task) - {record.task for record in stuck} if daemon else frozenset()
        for name in sorted(rest):
            store.note("retry", name, {"reason": "asked for by command"})
            say(f"{name}: the daemon tries again now")
    if not (stuck or targets or rest):
        say("nothing to clear")
    return 0


_CLEARABLE = (Condition.FAILED, Condition.RETRYING, Condition.UNKNOWN, Condition.APPLYING)
_BY_APPLY = "the next apply sends what differs, else looks at the component"
_BY_DAEMON = "the daemon sends what differs, else looks at the component"


def _chosen_records(store: "SqliteStore", task: tuple[str, ...]) -> "list[Record]":
    from reconciler.reconcile import is_chosen

    return [record for record in store.records().values() if is_chosen(record.task, task)]


def _targets(
    settings: "Settings", store: "SqliteStore", task: tuple[str, ...], records: "list[Record]"
) -> frozenset[str]:
    """Targets of the tasks; the files are read only of those that were never sent."""
    from reconciler import wiring
    from reconciler.reconcile import is_chosen

    if not store.target_trouble():
        return frozenset()
    found = {json.loads(record.address)[0] for record in records}
    known = {record.task for record in records}
    files, validator = wiring.source(settings, store), wiring.validator(settings.literal_secrets)
    for name in files.names():
        entry = files.entry(name) if is_chosen(name, task) and name not in known else None
        valid = validator.examine(entry.read(), warnings=False).task if entry else None
        if valid is not None:
            found.add(valid.address.target)
    return frozenset(found)


def _waiting(store: "SqliteStore", task: tuple[str, ...]) -> frozenset[str]:
    """Tasks that a daemon does something about later: it may wait for another try, or to look at a component again."""
    from reconciler.core.status import State
    from reconciler.reconcile import is_chosen

    later = {State.OUT_OF_SYNC.value, State.BLOCKED.value, State.UNCONFIRMED.value}
    return frozenset(name for name, said in store.states().items() if said.state in later and is_chosen(name, task))
