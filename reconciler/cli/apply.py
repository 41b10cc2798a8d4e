"""`reconciler apply`: plan, ask, do it, say how it ended."""

import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from reconciler.cli import saved
from reconciler.cli.common import (
    Files,
    Session,
    check_tasks,
    format_option,
    open_files,
    pass_session,
    print_json,
    tasks_argument,
    warn,
)
from reconciler.core.policy import FORCIBLE
from reconciler.errors import StoreLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.config import Settings
    from reconciler.core.policy import Mode, Policy
    from reconciler.jobs import Result
    from reconciler.model import Item, JsonObject
    from reconciler.reconcile import Reconciler, Survey
    from reconciler.state.sqlite import SqliteStore

LOCK_WAIT_S = 10.0
_HELD = 3  # exit code
_REVISION = 16  # characters of a revision that are shown


@click.command()
@tasks_argument()
@click.option("--plan", "wanted", metavar="ID|FILE", help="Refuse to do anything but this plan.")
@click.option("--yes", is_flag=True, help="Do not ask; lifts no rail.")
@click.option("--force", multiple=True, metavar="RAIL", help=f"Lift a rail: {', '.join(FORCIBLE)}.")
@click.option("--resend", is_flag=True, help="Send the whole content of the named tasks without a difference.")
@click.option("--reason", default="", metavar="TEXT", help="Why; goes to the journal. Needed by --force and --resend.")
@click.option(
    "--lock-timeout",
    "lock_wait_s",
    default=LOCK_WAIT_S,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait for another process that calls OMS.",
)
@format_option("text", "json")
@pass_session
def apply(
    session: Session,
    task: tuple[str, ...],
    wanted: str | None,
    yes: bool,
    force: tuple[str, ...],
    resend: bool,
    reason: str,
    lock_wait_s: float,
    format_: str,
) -> int:
    """Plan, then do it.

    Prints the plan, asks, calls OMS for what differs, and waits until the components are seen healthy. Without a
    terminal it needs --yes. --plan takes the id that plan printed, or a file that plan --out saved, and refuses when
    the plan would be another one by now.

    Exit code: 1 a task is invalid or failed, or a call failed; 3 something is blocked, or another process holds the
    lock; 0 all was done.
    """
    _check_usage(task, force, resend=resend, reason=reason)
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("without a terminal nobody can be asked: add --yes")
    options = _Options(task, wanted, force, reason, yes, resend, lock_wait_s, format_)
    return _Request(session, options).run()


def _check_usage(task: tuple[str, ...], force: tuple[str, ...], *, resend: bool, reason: str) -> None:
    for rail in force:
        if rail not in FORCIBLE:
            way = "; an approval is given with reconciler approve" if rail == "approval" else ""
            raise click.UsageError(f'"{rail}" is no rail that can be forced; these can: {", ".join(FORCIBLE)}{way}')
    if (force or resend) and not reason.strip():
        raise click.UsageError("--force and --resend need --reason TEXT: it is kept in the journal")
    if resend and not task:
        raise click.UsageError("--resend needs the names of tasks: it restarts each of them")


@dataclass(frozen=True, slots=True)
class _Options:
    """What the command line says."""

    tasks: tuple[str, ...]
    wanted: str | None  # id or file of a plan
    force: tuple[str, ...]
    reason: str
    yes: bool
    resend: bool
    lock_wait_s: float
    format: str


class _Request:
    """One `apply`, as asked for on the command line."""

    def __init__(self, session: Session, options: _Options) -> None:
        self._session = session
        self._options = options
        self._saved = saved.find(options.wanted)
        self._said: set[tuple[str, str]] = set()  # (task, text), by any thread

    def run(self) -> int:
        from reconciler import wiring

        settings = self._session.settings()
        self._check_mode(settings.policy.mode)
        store = wiring.open_store(settings, read_only=False)
        try:
            return self._apply(settings, store, open_files(settings, store))
        except StoreLockedError as error:
            raise _with_a_way_out(error, store) from None
        finally:
            store.close()

    def _apply(self, settings: "Settings", store: "SqliteStore", files: Files) -> int:
        from reconciler import wiring
        from reconciler.core.policy import Mode

        check_tasks(files.source, store, self._options.tasks)
        tasks = self._options.tasks or tuple(sorted(self._saved.tasks if self._saved else ()))
        reconciler = wiring.reconciler(settings, store, files.source, whole=True)
        if files.held:
            warn(f"the newest commit is not followed: {files.held}")
        rules = self._rules(settings, files, tasks)
        survey = reconciler.survey(rules, tasks)
        if stale := self._stale(survey, store):
            return self._refuse(survey, stale)
        self._show(settings, files, survey)
        if settings.policy.mode is Mode.OBSERVE:
            self._write_down_rails(store, survey)
            return self._refuse(survey, 'policy.mode is "observe": nothing is called')
        if not self._is_agreed(survey):
            return self._refuse(survey, "nothing was done")
        if not (survey.work or survey.unconfirmed or survey.taken_over or survey.refreshed or survey.arrived):
            files.record(store)
            self._write_down_rails(store, survey)
            return self._conclude(survey, (), files)
        with store.writer_lock(self._options.lock_wait_s, "apply"):
            again = self._again(reconciler, rules, tasks, files)
            if again.plan.id != survey.plan.id:
                why = "the files or the records changed since the plan was shown; nothing was done, run apply again"
                return self._refuse(survey, why)
            results = self._carry_out(settings, store, again, files)
        return self._conclude(survey, results, files)

    def _again(self, reconciler: "Reconciler", rules: "Policy", tasks: tuple[str, ...], files: Files) -> "Survey":
        """The plan as it is now that nobody else calls; of the commit that is the newest by now."""
        if files.commits is not None:
            files.commits.advance()
        return reconciler.survey(rules, tasks)

    def _carry_out(
        self, settings: "Settings", store: "SqliteStore", survey: "Survey", files: Files
    ) -> "tuple[Result, ...]":
        from reconciler import wiring
        from reconciler.apply import carry_out

        files.record(store)
        self._write_down_rails(store, survey, settings.policy)
        with _interruptible():
            results = carry_out(survey, wiring.tools(settings, store, self._progress), self._options.reason)
        self._write_down_rails(store, survey, settings.policy)  # one may have held something just before a call
        return results

    def _write_down_rails(self, store: "SqliteStore", survey: "Survey", called: "Policy | None" = None) -> None:
        """For the journal: which rails hold something; and how they are set, where calls are made by that."""
        from reconciler import rail_rows
        from reconciler.cli.view import daemon_of
        from reconciler.core.position import HELD

        rows, plan = rail_rows.RailRows(store), survey.plan
        if called is not None:
            rows.write_settings(called)
        elif daemon_of(store) is not None:
            return  # it writes them down itself
        marks = store.notified(HELD)
        held = rail_rows.names(rail_rows.grips(plan.items, marks))
        rows.write(rail_rows.of_plan(plan, marks), held, whole=not (self._options.tasks or self._saved))

    def _check_mode(self, mode: "Mode") -> None:
        """Refuse what nothing could let go: an approval is of a difference, and --resend is for where there is none."""
        from reconciler.core.policy import Mode

        if self._options.resend and mode is Mode.APPROVE:
            raise click.UsageError(
                '--resend under policy.mode "approve": every call needs an approval, and approve knows no resend,'
                ' only differences; set policy.mode = "auto" for it'
            )

    def _rules(self, settings: "Settings", files: Files, tasks: tuple[str, ...]) -> "Policy":
        from reconciler.reconcile import is_chosen

        resend: frozenset[str] = frozenset()
        if self._options.resend:
            resend = frozenset(name for name in files.source.names() if is_chosen(name, tasks))
        return replace(settings.policy, forced=frozenset(self._options.force), resend=resend)

    def _stale(self, survey: "Survey", store: "SqliteStore") -> str:
        """Why the plan is not the wanted one; "" when it is."""
        from reconciler.core.status import moment

        plan, wanted = survey.plan, self._saved.id if self._saved else self._options.wanted
        if wanted is None:
            return ""
        if sent := store.intent_of_plan(wanted):
            return (
                f"plan {wanted[:16]} was carried out before, and a plan runs once: {moment(sent.at)}, {sent.task};"
                " nothing was done. reconciler history says how it ended, reconciler plan what is left"
            )
        if not plan.id.startswith(wanted):
            return (
                f"the plan is not {wanted[:16]} any more but {plan.id[:16]}: files, secrets, records or policy changed"
                " since, or other tasks were named; nothing was done"
            )
        if self._saved:
            self._saved.check(plan)
            if self._saved.revision != plan.revision:
                warn(
                    f"the plan was made of {self._saved.revision[:_REVISION]}, and the files are now those of"
                    f" {plan.revision[:_REVISION]}: they mean the same, it is carried out as it was saved"
                )
        return ""

    def _refuse(self, survey: "Survey", why: str) -> int:
        """End without having done anything."""
        from reconciler.core.fleet import exit_code

        warn(why)
        if self._options.format == "json":
            print_json(self._report(survey, ()) | {"refused": why})
        return 1 if exit_code(survey.plan) == 1 else 3

    def _show(self, settings: "Settings", files: Files, survey: "Survey") -> None:
        from reconciler import wiring
        from reconciler.core.render import text

        if self._options.format == "text":
            items = wiring.with_outlook(settings, survey.plan.items, survey.hidden, survey.resets)
            plan = replace(survey.plan, items=items, selection=self._options.tasks)
            origins = wiring.origins(files.source, plan)
            self._session.print(text.lines(plan, str(settings.desired_state), origins=origins))

    def _is_agreed(self, survey: "Survey") -> bool:
        from reconciler.model import Action

        number = len(survey.plan.to_send)
        records = any(item.action is Action.ADOPT for item in survey.plan.items)
        if self._options.yes or not (number or records):
            return True
        return click.confirm(_question(survey) if number else "Record these tasks as applied?", err=True)

    def _conclude(self, survey: "Survey", results: "tuple[Result, ...]", files: Files) -> int:
        from reconciler.jobs import Status

        if self._options.format == "json":
            print_json(self._report(survey, results))
        else:
            for result in results:
                text = f"{result.status.value}: {result.message}"
                if result.status is Status.PENDING and (result.task, text) not in self._said:
                    self._progress(result.task, text)  # what was never tried was never reported
            counts = _counts(survey, results)
            click.echo(
                "Done: " + (", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing to do") + "."
            )
        return _exit_code(survey, results) or (_HELD if files.held else 0)

    def _progress(self, task: str, text: str) -> None:
        self._said.add((task, text))
        with suppress(OSError):  # a terminal that is gone must not come between a call and its record
            warn(f"{task}: {text}")

    def _report(self, survey: "Survey", results: "tuple[Result, ...]") -> "JsonObject":
        from reconciler.model import Action

        rows = [
            {
                "task": r.task,
                "action": r.action.value,
                "status": r.status.value,
                "message": r.message,
                "ticket": r.ticket,
                "request_id": r.request_id,
            }
            for r in results
        ]
        seen = {(result.task, result.action is Action.RESET) for result in results}
        rows += [
            _untried(item)
            for item in survey.plan.items
            if (item.task, item.intended is Action.RESET) not in seen and _is_of_interest(item)
        ]
        return {
            "version": 1,
            "plan": survey.plan.id,
            "remarks": list(survey.plan.remarks),
            "results": rows,
            "summary": _counts(survey, results),
        }


def _with_a_way_out(error: StoreLockedError, store: "SqliteStore") -> StoreLockedError:
    """The same error; beside a daemon, which never lets go, with what to do instead."""
    from reconciler.cli.view import daemon_of

    if daemon_of(store) is None:
        return error
    return StoreLockedError(
        f"{error}. The daemon sends by itself what the plan shows: reconciler sync --wait asks it to do so now, and"
        " plan, status and history work beside it. reconciler approve PLAN --force RAIL lifts a rail for it. Stop it"
        " only for what it never does: --resend, and to force first_run or vanished"
    )


def _is_of_interest(item: "Item") -> bool:
    from reconciler.model import Action

    return item.rail == "failed" or item.action in (
        Action.BLOCKED,
        Action.INVALID,
        Action.ORPHANED,
        Action.SUSPENDED,
    )


def _untried(item: "Item") -> "JsonObject":
    """A row for what nothing was tried for: blocked, invalid, suspended, orphaned, failed before."""
    status = "failed" if item.rail == "failed" else item.action.value
    ids = {"ticket": None, "request_id": None}
    return {"task": item.task, "action": item.intended.value, "status": status, "message": item.reason, **ids}


def _question(survey: "Survey") -> str:
    from reconciler.model import Action

    resets = sum(item.action is Action.RESET for item in survey.plan.to_send)
    number = len(survey.plan.to_send) - resets
    deleting = sum(item.action is Action.UPDATE_DELETE for item in survey.plan.to_send)
    deletion = f", {deleting} of them with deletion" if deleting else ""
    if resets:
        also = f", and send {number} update{'' if number == 1 else 's'}{deletion}" if number else ""
        return f"Reset {resets} link{'' if resets == 1 else 's'}{also}? A reset cannot be taken back."
    if number == 1:
        return f"Send 1 update{' with deletion' if deleting else ''}? It restarts the component."
    return f"Send {number} updates{deletion}? They restart {number} components."


@contextmanager
def _interruptible() -> "Iterator[None]":
    """Let SIGTERM end a run as Ctrl-C does: calls under way end and are written down, no other one starts."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        warn("no further call is made; reconciler status shows where things stand")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_code(survey: "Survey", results: "tuple[Result, ...]") -> int:
    from reconciler.core.fleet import exit_code
    from reconciler.jobs import Status

    planned = exit_code(survey.plan)
    ends = {result.status for result in results}
    if planned == 1 or ends & {Status.FAILED, Status.UNKNOWN, Status.PENDING}:
        return 1
    return 3 if planned == 3 or Status.BLOCKED in ends else 0  # noqa: PLR2004 - an exit code of the contract


def _counts(survey: "Survey", results: "tuple[Result, ...]") -> dict[str, int]:
    """How the run ended, by word; unchanged tasks included."""
    from collections import Counter

    from reconciler.core.fleet import summary
    from reconciler.core.render import text

    planned = summary(survey.plan)
    ended = Counter(result.status.value for result in results)
    words = ("applied", "confirmed", "adopted", "not-verified", "unconfirmed", "failed", "unknown", "pending")
    counts = {word: ended[word] for word in words}
    counts["blocked"] = ended["blocked"] + planned["blocked"]
    counts["failed"] += planned["failed"]
    counts["unchanged"] = len(text.untouched(survey.plan) - {result.task for result in results})
    return {**counts, **{word: planned[word] for word in _UNTOUCHED}}


_UNTOUCHED = ("invalid", "orphaned", "suspended")
