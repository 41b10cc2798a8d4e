"""`reset resolve`: what only a person can say about a reset. It writes a row of the ledger, and makes no call."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, account, check_known, complete_tasks, pass_session, say, warn
from reconciler.errors import DesiredStateError

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.core.verdict import Question
    from reconciler.model import ResetEntry
    from reconciler.ports import Entry, Source
    from reconciler.state.sqlite import SqliteStore


@click.command()
@click.argument("task", shell_complete=complete_tasks)
@click.option("--sent/--not-sent", "sent", default=None, help="What you know of the call.")
@click.option("--reason", required=True, metavar="TEXT", help="How you know; goes to the ledger and to the journal.")
@click.option("--request", metavar="NAME", help="Which request, where a task has more than one.")
@pass_session
def resolve(session: Session, task: str, sent: bool | None, reason: str, request: str | None) -> int:
    """Say whether a reset was sent, where only a person can know.

    For a reset that got no clear answer: the link's position and the ticket list of the console tell. And for one that
    may have been sent before this store knew of it. What was sent is looked at, and is never sent again. What was not
    sent is given up when it was under way (a project that was stopped for it is told to go on), and else may be sent
    once it is approved; said of one that was refused, it may be tried again. Calls nothing itself.

    Exits 1 when there is nothing to say.
    """
    from reconciler import wiring
    from reconciler.core.verdict import judge

    if sent is None:
        raise click.UsageError("say --sent or --not-sent")
    if not reason.strip():
        raise click.UsageError("--reason: expected a text that says how you know, found none")
    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=False)) as store:
        files = _files(settings, store, task)
        question = _question(store, files, task, request)
        if question is None:
            return _refuse(f"{task} declares no reset, and the ledger has none of it: there is nothing to say")
        who = account()
        verdict = judge(question, sent=sent, who=who, reason=reason.strip(), now=datetime.now(UTC))
        if isinstance(verdict, str):
            return _refuse(verdict)
        if files is not None:
            _remember_doubts(store, files, question)
        if not store.move_reset(verdict.entry, verdict.known):
            return _refuse("the reset went on meanwhile: see reconciler reset list, then say it again if it is true")
        _say_verdict(store, verdict.entry, verdict.follows)
    return 0


class _Files:
    """What the files declare."""

    def __init__(self, settings: "Settings", source: "Source") -> None:
        from reconciler import wiring

        self.source = source
        self._validator = wiring.validator(settings.literal_secrets)

    def declared(self, entry: "Entry") -> "ResetEntry | None":
        """The reset that a task declares, as a row that is still to be made; None when it declares none."""
        from reconciler.core.ledger import digest_of, key_of, wanted
        from reconciler.model import ResetEntry, Stage

        raw = entry.read()
        if "reset.json" not in raw.files:
            return None
        task = self._validator.examine(raw, warnings=False).task
        if task is None:
            warn(f"{entry.name}: its files are not valid, so its reset.json is not looked at: reconciler validate")
            return None
        start, now = wanted(task).start_timestamp, datetime.now(UTC)
        return ResetEntry(key_of(task), digest_of(task), task.name, task.address.id, start, Stage.PENDING, now)


def _files(settings: "Settings", store: "SqliteStore", task: str) -> _Files | None:
    """What the files declare; None when they cannot be read: what the ledger asks is answered all the same."""
    from reconciler import wiring

    try:
        source = wiring.source(settings, store)
        source.entry(task)
        return _Files(settings, source)
    except DesiredStateError as error:
        warn(f"{error}; only the ledger is looked at")
        return None


def _question(store: "SqliteStore", files: _Files | None, task: str, request: str | None) -> "Question | None":
    """The reset that is meant; None when the task has none.

    Raises:
        click.UsageError: there is no such task or request, or more than one may be meant.
    """
    from reconciler.core.verdict import meant

    every = list(_questions(store, files, task))
    if not every:
        _check_task(store, files, task)
        return None
    named = [question for question in every if request in (None, question.entry.key.request)]
    if not named:
        raise click.UsageError(f'--request: {task} has no request "{request}"; it has: {_names(every)}')
    chosen = meant(named)
    if len(chosen) > 1:
        raise click.UsageError(
            f"{task} has more than one that may be meant, say which with --request: {_names(chosen)}"
        )
    return chosen[0]


def _questions(store: "SqliteStore", files: _Files | None, task: str) -> "Iterator[Question]":
    """Every reset of a task: those of the ledger, and the one that it declares."""
    from reconciler.core.verdict import Question

    ledger = store.resets()
    entry = files.source.entry(task) if files else None
    declared = files.declared(entry) if files and entry else None
    if declared is not None:
        row = ledger.get(declared.key)
        if row is not None and row.address == declared.address:
            row = replace(row, task=task)  # its directory may have another name by now: that is the one to look at
        yield Question(row or declared, row.stage if row else None, declared=True)
    for row in ledger.values():
        if row.task == task and (declared is None or row.key != declared.key):
            yield Question(row, row.stage, declared=False)


def _check_task(store: "SqliteStore", files: _Files | None, task: str) -> None:
    """Refuse a name that neither the files nor the store know."""
    known = [record.task for record in store.records().values()]
    known += [entry.task for entry in store.resets().values()]
    check_known((task,), [*known, *(files.source.names() if files else ())])


def _names(questions: "Iterable[Question]") -> str:
    return ", ".join(sorted({question.entry.key.request for question in questions}))


def _remember_doubts(store: "SqliteStore", files: _Files, question: "Question") -> None:
    """Before the first row of a ledger that may have been lost: what else is declared may have been sent as well.

    With that row the ledger no longer looks lost, and nobody would be asked about the others.
    """
    from reconciler.model import Stage

    ledger = store.resets()
    if any(row.stage is not Stage.PERHAPS_SENT for row in ledger.values()):
        return
    for entry in files.source.entries():
        declared = files.declared(entry) if entry.name != question.entry.task else None
        if declared is not None and declared.key not in (*ledger, question.entry.key):
            why = "it was declared when the ledger of this store was empty"
            store.move_reset(replace(declared, stage=Stage.PERHAPS_SENT, reason=why), None)


def _say_verdict(store: "SqliteStore", entry: "ResetEntry", follows: str) -> None:
    from reconciler.cli.view import daemon_of
    from reconciler.core.ledger import title

    say(f"{entry.task}: {title(entry.key)}: {entry.stage.value}: {follows}")
    if entry.stage.is_under_way:
        say("the daemon goes on with it now" if daemon_of(store) is not None else "the next apply goes on with it")


def _refuse(text: str) -> int:
    warn(f"reconciler: {text}")
    return 1
