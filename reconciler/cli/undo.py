"""`reset undo`: writes the `reset.json` that takes a link back to where it was before a reset. No call is made."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import (
    Session,
    check_known,
    complete_tasks,
    pass_session,
    print_json,
    say,
    warn,
)

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.model import Json, JsonObject, RawTask, ResetEntry, ResetKey
    from reconciler.ports import Source
    from reconciler.state.sqlite import SqliteStore

_FILE = "reset.json"


@dataclass(frozen=True, slots=True)
class _Declared:
    """A task's directory, as far as it is there."""

    raw: "RawTask | None"
    reset: "Mapping[str, Json] | None"  # what its reset.json says, {} when that cannot be read; None: there is none

    def key(self) -> "ResetKey | None":
        """What its reset.json asks for, valid or not."""
        from reconciler.core.decode import decode
        from reconciler.model import ResetKey

        if self.raw is None or self.reset is None:
            return None
        target = (decode(self.raw.files.get("task.json", b"{}")).value or {}).get("target", "default")
        asked = self.reset.get("id"), self.reset.get("reverse", False), self.reset.get("request")
        return ResetKey(str(target), str(asked[0]), asked[1] is True, str(asked[2]))


@click.command()
@click.argument("task", shell_complete=complete_tasks)
@click.option("--request", metavar="NAME", help='Name of the new request; else "undo-" and that of the old one.')
@click.option("--print", "printing", is_flag=True, help="Print it on standard output, and write no file.")
@pass_session
def undo(session: Session, task: str, request: str | None, printing: bool) -> int:
    """Write the reset.json that takes a link back to where it was.

    In place of the reset.json that asked for the reset that is undone, or where there is none any more: then the last
    one of the task is undone. It is a reset like every other: plan shows how far it goes, it needs an approval, and it
    is carried out once.

    After a reset back, undoing skips what was not read a second time by then: rows that were written again with an
    older value may keep it. After one forward, it reads what was skipped. Exits 1 when there is nothing to undo, or
    where the old position is not known.
    """
    from reconciler import wiring

    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=True)) as store:
        source = wiring.source(settings, store) if printing else _working_tree(settings)
        declared = _read(source, task)
        entry = _entry(store, source, task, declared)
        if isinstance(entry, str):
            return _refuse(entry)
        made = _made(store, entry, request, declared)
    _check(declared, task, made)
    if printing:
        print_json(made)
    else:
        problem = _write(settings, source, task, declared, made)
        if problem:
            return _refuse(problem)
    _explain(entry, printing=printing, committed=settings.git is not None)
    return 0


def _working_tree(settings: "Settings") -> "Source":
    """Where a file can be written.

    Raises:
        click.UsageError: in a bare repository there is no such place.
    """
    from reconciler.source import DirectorySource

    if settings.git is not None:
        from reconciler.git.repository import Repository

        if Repository.discover(settings.desired_state).workdir is None:
            raise click.UsageError(
                f"{settings.desired_state} is in a bare repository: expected a working tree to write {_FILE} into; "
                "give --print, and commit what it prints from a clone"
            )
    return DirectorySource(settings.desired_state)


def _read(source: "Source", task: str) -> _Declared:
    from reconciler.core.decode import decode

    entry = source.entry(task)
    if entry is None:
        return _Declared(None, None)
    raw = entry.read()
    data = raw.files.get(_FILE)
    return _Declared(raw, None if data is None else decode(data).value or {})


def _entry(store: "SqliteStore", source: "Source", task: str, declared: _Declared) -> "ResetEntry | str":
    """The reset that is undone; or why none is.

    Raises:
        click.UsageError: there is no such task.
    """
    from reconciler.core.undo import objection

    ledger = store.resets()
    rows = [row for row in ledger.values() if row.task == task]
    if declared.raw is None and not rows:
        check_known((task,), [*source.names(), *(row.task for row in ledger.values())])
    key = declared.key()
    if key is not None:
        found = ledger.get(key)
        if found is None:
            return f'{task}/{_FILE} asks for "{key.request}", which was not carried out: there is nothing to undo'
        return objection(found) or found
    ended = [row for row in rows if row.stage.is_over] or rows
    if not ended:
        return f"{task} has no reset that was carried out: there is nothing to undo"
    last = max(ended, key=lambda row: (row.since, row.key.request))
    return objection(last) or last


def _made(store: "SqliteStore", entry: "ResetEntry", request: str | None, declared: _Declared) -> "JsonObject":
    """The new reset.json.

    Raises:
        click.UsageError: the name was used before.
    """
    from dataclasses import replace

    from reconciler.core import undo as undoing

    ledger = store.resets()
    if request is not None and replace(entry.key, request=request) in ledger:
        raise click.UsageError(f'--request: expected a name that was not used before, found "{request}"')
    name = undoing.new_request(entry, ledger) if request is None else request
    return undoing.document(entry, name, declared.reset or {})


def _check(declared: _Declared, task: str, made: "JsonObject") -> None:
    """Refuse a file that would be an error: a name may be wrong, and the task's address may be another by now.

    Raises:
        click.UsageError: with what is wrong.
    """
    from reconciler import wiring
    from reconciler.model import RawTask, Severity

    files = dict(declared.raw.files) if declared.raw else {}
    examined = wiring.validator().examine(RawTask(task, files | {_FILE: _text(made)}), warnings=False)
    for found in examined.violations:
        if found.severity is Severity.ERROR and found.file.endswith(_FILE):
            raise click.UsageError(f"{_FILE}: {found.pointer}: expected {found.expected}, found {found.found}")


def _text(made: "JsonObject") -> bytes:
    return (json.dumps(made, indent=2, ensure_ascii=False) + "\n").encode()


def _write(settings: "Settings", source: "Source", task: str, declared: _Declared, made: "JsonObject") -> str:
    """Write the file; returns why not."""
    from reconciler.cli.saved import replace_file

    if declared.raw is None:
        return f"{settings.desired_state} has no task {task} any more: give --print, and put the file where it belongs"
    path = Path(source.root, task, _FILE)
    try:
        replace_file(path, _text(made))
    except OSError as error:
        return f"{path}: {error.strerror}: nothing was written"
    say(f"{path}: written")
    return ""


def _explain(entry: "ResetEntry", *, printing: bool, committed: bool) -> None:
    from reconciler.core.undo import meaning

    tell = warn if printing else say
    for sentence in meaning(entry):
        tell(sentence)
    tell(f"{'commit it; ' if committed else ''}reconciler plan shows how far it goes now; it needs an approval")


def _refuse(text: str) -> int:
    warn(f"reconciler: {text}")
    return 1
