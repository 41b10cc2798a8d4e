"""`adopt`, `forget`, `retry`, `suspend`, `resume`: one short transaction on the store each, and no call."""

import re
from datetime import UTC, datetime, timedelta

import click

from reconciler.cli.common import Session, check_known, check_tasks, pass_session, say, tasks_argument
from reconciler.core.policy import ALL_TASKS

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[mhd])")


def _need_tasks_or(flag: str, task: tuple[str, ...], *, given: bool) -> None:
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

    _need_tasks_or("--all", task, given=all_)
    settings = session.settings()
    check_known(task, wiring.source(settings).names())
    store = wiring.open_store(settings, read_only=False)
    try:
        outcome = wiring.reconciler(settings, store).adopt(task, reason=reason, only_new=all_)
    finally:
        store.close()
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
@pass_session
def forget(session: Session, task: tuple[str, ...], vanished: bool) -> int:
    """Drop the records of tasks whose directory is gone.

    Nothing is called: the component keeps what it has. The journal keeps what was done.
    """
    from reconciler import wiring
    from reconciler.model import Action

    _need_tasks_or("--vanished", task, given=vanished)
    settings = session.settings()
    store = wiring.open_store(settings, read_only=False)
    try:
        survey = wiring.reconciler(settings, store).survey(settings.policy, ())
        orphans = [item for item in survey.plan.items if item.action is Action.ORPHANED]
        for name in task:
            if not any(item.task == name for item in orphans):
                raise click.UsageError(
                    f'"{name}" is not orphaned: only a task whose directory is gone can be forgotten'
                )
        chosen = [item for item in orphans if vanished or item.task in task]
        for item in chosen:
            store.forget(item.address)
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
    """Clear a failed or unknown outcome, so that the next apply tries again.

    Sends nothing itself. What an unanswered update may have done stays in doubt until one is answered.
    """
    from reconciler import wiring
    from reconciler.model import Condition
    from reconciler.reconcile import is_chosen

    clearable = (Condition.FAILED, Condition.RETRYING, Condition.UNKNOWN, Condition.APPLYING)
    settings = session.settings()
    store = wiring.open_store(settings, read_only=False)
    try:
        records = store.records().values()
        check_tasks(settings, store, task)
        chosen = [record for record in records if is_chosen(record.task, task)]
        stuck = [record for record in chosen if record.condition in clearable]
        survey = wiring.reconciler(settings, store).survey(settings.policy, task)
        targets = {item.target for item in survey.plan.items} & store.target_trouble().keys()
        for record in stuck:
            store.retry(record.address)
            say(f"{record.task}: cleared; the next apply sends what differs, else looks at the component")
        for target in sorted(targets):
            store.set_target_trouble(target, "", "")
            say(f"target {target}: cleared")
        if not (stuck or targets):
            say("nothing to clear")
    finally:
        store.close()
    return 0


@click.command()
@tasks_argument()
@click.option("--all", "all_", is_flag=True, help="Every task, present and future.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown wherever it holds something.")
@click.option("--until", metavar="TIME", help="When it ends: 2026-12-24T18:00:00Z, or 90m, 2h, 3d from now.")
@pass_session
def suspend(session: Session, task: tuple[str, ...], all_: bool, reason: str, until: str | None) -> int:
    """Call nothing for a task until it is resumed."""
    from reconciler import wiring
    from reconciler.model import Suspension

    _need_tasks_or("--all", task, given=all_)
    if not reason.strip():
        raise click.UsageError("--reason must say something: it is what the person at 3 a.m. reads")
    end = _moment(until) if until is not None else None
    settings = session.settings()
    names = _names(session, task)
    store = wiring.open_store(settings, read_only=False)
    try:
        for name in names or (ALL_TASKS,):
            store.suspend(name, Suspension(reason, end))
            shown = "all tasks" if name == ALL_TASKS else name
            until_when = f" until {end.isoformat(timespec='seconds')}" if end else ""
            say(f"{shown}: suspended{until_when}")
    finally:
        store.close()
    return 0


@click.command()
@tasks_argument()
@click.option("--all", "all_", is_flag=True, help="Take back the suspension of all tasks, not those of single ones.")
@pass_session
def resume(session: Session, task: tuple[str, ...], all_: bool) -> int:
    """Take a suspension back.

    One that stands in task.json is taken back there.
    """
    from reconciler import wiring

    _need_tasks_or("--all", task, given=all_)
    settings = session.settings()
    store = wiring.open_store(settings, read_only=False)
    try:
        held = store.suspensions()
        for name in task or (ALL_TASKS,):
            below = [one for one in held if one == name or one.startswith(f"{name.rstrip('/')}/")]
            for one in below:
                store.resume(one)
                say(f"{'all tasks' if one == ALL_TASKS else one}: resumed")
            if not below:
                say(f"{'all tasks' if name == ALL_TASKS else name}: was not suspended by command")
    finally:
        store.close()
    return 0


def _names(session: Session, task: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the selected tasks."""
    from reconciler import wiring
    from reconciler.reconcile import is_chosen

    known = wiring.source(session.settings()).names()
    check_known(task, known)
    return tuple(name for name in known if is_chosen(name, task)) if task else ()


def _moment(text: str) -> datetime:
    """An end: a time with a zone, or a duration from now."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        if found := _DURATION.fullmatch(text):
            end = now + timedelta(**{_UNITS[found["unit"]]: int(found["number"])})
        else:
            end = datetime.fromisoformat(text)
            if end.tzinfo is None:
                raise click.UsageError(f'--until: expected a time with a zone ("Z" or "+08:00"), found "{text}"')
            end = end.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(f'--until: expected a time like 2026-12-24T18:00:00Z, or 2h, found "{text}"') from None
    if end <= now:
        raise click.UsageError(f'--until: expected a time to come, found "{text}"')
    return end
