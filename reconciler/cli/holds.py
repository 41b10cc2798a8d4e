"""`suspend`, `resume`: what keeps tasks and targets back, by command; short transactions on the store, and no call."""

import difflib
import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, account, check_known, pass_session, say, tasks_argument, warn
from reconciler.core.policy import ALL_TASKS, label_key, shown_key
from reconciler.core.status import moment

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.config import Settings
    from reconciler.state.sqlite import SqliteStore

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[mhd])")
_LABEL = re.compile(r"[^=]+=.*", re.DOTALL)


def _label(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the suspensions of tasks with these labels."""
    for text in given:
        if not _LABEL.fullmatch(text):
            raise click.UsageError(f'--label: expected NAME=TEXT as in task.json, such as team=shop, found "{text}"')
    return tuple(label_key(text) for text in given)


_labels_option = click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_label,
    metavar="NAME=TEXT",
    help="Every task with this label, present and future; may be given more than once.",
)


def _need_one(tasks: tuple[str, ...], labels: tuple[str, ...], *, all_: bool) -> None:
    if bool(tasks) + bool(labels) + all_ != 1:
        raise click.UsageError("name tasks, or give --label, or --all: one of the three")


@click.command()
@tasks_argument()
@_labels_option
@click.option("--all", "all_", is_flag=True, help="Every task, present and future.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown wherever it holds something.")
@click.option("--until", metavar="TIME", help="When it ends: 2026-12-24T18:00:00Z, or 90m, 2h, 3d from now.")
@pass_session
def suspend(
    session: Session, task: tuple[str, ...], labels: tuple[str, ...], all_: bool, reason: str, until: str | None
) -> int:
    """Call nothing for a task until it is resumed.

    Says how many tasks that holds. A call that is under way is ended and looked at, not stopped.
    """
    from reconciler import wiring
    from reconciler.cli import held
    from reconciler.model import Suspension

    _need_one(task, labels, all_=all_)
    if not reason.strip():
        raise click.UsageError("--reason must say something: it is what the person at 3 a.m. reads")
    end = _moment(until) if until is not None else None
    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=False)) as store:
        keys = _names(settings, store, task) or labels or (ALL_TASKS,)
        for key in keys:
            store.suspend(key, Suspension(reason, end), by=account())
            until_when = f" until {moment(end)}" if end else ""
            say(f"{shown_key(key)}: suspended{until_when}")
        held.tell(settings, store, keys)
    return 0


@click.command()
@tasks_argument()
@_labels_option
@click.option("--all", "all_", is_flag=True, help="Take back the suspension of all tasks, not those of single ones.")
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Use this target again; may be given more than once."
)
@click.option("--dry-run", "dry", is_flag=True, help="Change nothing; show the plan as it would be without it.")
@pass_session
def resume(
    session: Session, task: tuple[str, ...], labels: tuple[str, ...], all_: bool, targets: tuple[str, ...], dry: bool
) -> int:
    """Take a suspension back, or use a target again.

    One that stands in task.json is taken back there. --target lifts what keeps a target from being used: that too many
    components did not come back healthy (stop_after_failures; they are counted anew), a wrong password, an action
    that the server did not know.

    --dry-run shows what would run, and exits 0 whatever that is.
    """
    from reconciler import wiring

    if dry and targets:
        raise click.UsageError("--dry-run is for suspensions: --target is none")
    if not targets or task or labels or all_:
        _need_one(task, labels, all_=all_)
    settings = session.settings()
    _check_targets(targets, settings.targets)
    with closing(wiring.open_store(settings, read_only=dry)) as store:
        for name in targets:
            _release(store, name)
        wanted = _find(settings, store, task or labels or ((ALL_TASKS,) if all_ else ()))
        if dry:
            return _foresee(session, settings, store, wanted)
        _take_back(store, wanted)
        if wanted:
            _tell_what_stays(settings, store, wanted)
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One thing that is to be resumed."""

    given: str  # a task, a folder of tasks, or the name of a suspension of several
    found: tuple[str, ...]  # names of suspensions by command that are meant


def _find(settings: "Settings", store: "SqliteStore", given: tuple[str, ...]) -> tuple[_Wanted, ...]:
    from reconciler.cli.view import check_names
    from reconciler.reconcile import is_chosen

    held = store.suspensions()
    check_names(settings, store, [name for name in given if not name.startswith(ALL_TASKS)], more=held.keys())
    return tuple(_Wanted(name, tuple(one for one in held if is_chosen(one, (name,)))) for name in given)


def _take_back(store: "SqliteStore", wanted: tuple[_Wanted, ...]) -> None:
    for one in wanted:
        for key in one.found:
            store.resume(key, by=account())
            say(f"{shown_key(key)}: resumed")
        if not one.found:
            say(f"{shown_key(one.given)}: was not suspended by command")


def _tell_what_stays(settings: "Settings", store: "SqliteStore", wanted: tuple[_Wanted, ...]) -> None:
    """What is suspended all the same, and how that is taken back."""
    from reconciler.cli import held

    given, found = [one.given for one in wanted], [key for one in wanted for key in one.found]
    for line in held.still(settings, store, given, without=found):
        warn(line)


def _foresee(session: Session, settings: "Settings", store: "SqliteStore", wanted: tuple[_Wanted, ...]) -> int:
    from reconciler.cli import held

    for one in wanted:
        if not one.found:
            warn(f"{shown_key(one.given)}: was not suspended by command")
    keys = frozenset(key for one in wanted for key in one.found)
    session.print(held.plan_without(settings, store, keys, [one.given for one in wanted]))
    _tell_what_stays(settings, store, wanted)
    warn("nothing was changed: this is what would be done without it")
    return 0


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
