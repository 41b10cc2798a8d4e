"""`suspend`, `resume`: what keeps tasks and targets back, by command; short transactions on the store, and no call."""

import difflib
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, check_known, pass_session, say, tasks_argument
from reconciler.cli.tasks import need_tasks_or
from reconciler.core.policy import ALL_TASKS

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.config import Settings
    from reconciler.state.sqlite import SqliteStore

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[mhd])")


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

    need_tasks_or("--all", task, given=all_)
    if not reason.strip():
        raise click.UsageError("--reason must say something: it is what the person at 3 a.m. reads")
    end = _moment(until) if until is not None else None
    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=False)) as store:
        for name in _names(settings, store, task) or (ALL_TASKS,):
            store.suspend(name, Suspension(reason, end))
            shown = "all tasks" if name == ALL_TASKS else name
            until_when = f" until {end.isoformat(timespec='seconds')}" if end else ""
            say(f"{shown}: suspended{until_when}")
    return 0


@click.command()
@tasks_argument()
@click.option("--all", "all_", is_flag=True, help="Take back the suspension of all tasks, not those of single ones.")
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Use this target again; may be given more than once."
)
@pass_session
def resume(session: Session, task: tuple[str, ...], all_: bool, targets: tuple[str, ...]) -> int:
    """Take a suspension back, or use a target again.

    One that stands in task.json is taken back there. --target lifts what keeps a target from being used: that too many
    components did not come back healthy (stop_after_failures; they are counted anew), a wrong password, an action
    that the server did not know.
    """
    from reconciler import wiring

    if not targets or task or all_:
        need_tasks_or("--all", task, given=all_)
    settings = session.settings()
    _check_targets(targets, settings.targets)
    with closing(wiring.open_store(settings, read_only=False)) as store:
        for name in targets:
            _release(store, name)
        if task or all_:
            _resume(settings, store, task)
    return 0


def _check_targets(given: tuple[str, ...], known: "Collection[str]") -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"it has: {', '.join(sorted(known)) or 'none'}"
            raise click.UsageError(f'the configuration has no target "{name}"; {hint}')


def _release(store: "SqliteStore", name: str) -> None:
    kind, message = store.target_trouble().get(name, ("", ""))
    if store.release_target(name, "resumed by command"):
        say(f"target {name}: used again; it was {kind}: {message}")
    else:
        say(f"target {name}: nothing kept it from being used; components that did not come back are counted anew")


def _resume(settings: "Settings", store: "SqliteStore", task: tuple[str, ...]) -> None:
    from reconciler.cli.view import check_names
    from reconciler.reconcile import is_chosen

    held = store.suspensions()
    check_names(settings, store, task, more=held.keys())
    for name in task or (ALL_TASKS,):
        found = [one for one in held if is_chosen(one, (name,))]
        for one in found:
            store.resume(one)
            say(f"{'all tasks' if one == ALL_TASKS else one}: resumed")
        if not found:
            say(f"{'all tasks' if name == ALL_TASKS else name}: was not suspended by command")


def _names(settings: "Settings", store: "SqliteStore", task: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the selected tasks; () when none was given."""
    from reconciler import wiring
    from reconciler.reconcile import is_chosen

    if not task:
        return ()
    known = wiring.source(settings, store).names()
    check_known(task, known)
    return tuple(name for name in known if is_chosen(name, task))


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
