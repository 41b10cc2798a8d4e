"""Puts what was imported where it belongs: a task's directory that appears at once, files of secrets that nobody reads.

Nothing is overwritten; whatever was written is taken back when a later step fails.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from reconciler import resources
from reconciler.core import layout
from reconciler.core.desired import prepare
from reconciler.core.importing import AWAITED, Imported, Secret
from reconciler.errors import ConfigError
from reconciler.git import checkout
from reconciler.model import Task
from reconciler.ports import StateStore
from reconciler.secret_files import MAX_BYTES

_LONGEST = 255  # bytes of one name
_LARGEST = MAX_BYTES - 2  # bytes of a secret: a line end comes after it


def free_place(desired_state: Path, task: str) -> Path:
    """Where the directory of a new task will be.

    Raises:
        click.UsageError: no task can have that name, or something is there.
    """
    parts = task.split("/")
    for part in parts:
        if part in ("", "..") or layout.is_hidden(part) or layout.is_task_file(part) or not _is_name(part):
            raise click.UsageError(
                f'--task: expected a path below the desired state such as "shop/orders", found "{task}"'
            )
    root, place = desired_state.resolve(), desired_state.joinpath(*parts)
    if not root.is_dir():
        raise click.UsageError(
            f"{desired_state}: expected the directory of the desired state, found none; a bare repository has no files"
            " to write to: import in a clone of it, with a configuration of its own, push, and adopt the task here"
        )
    if place.exists() or place.is_symlink():
        raise click.UsageError(
            f"{place}: is there already, and nothing is overwritten; give --task another name, or move it away;"
            f" reconciler adopt {task} records files that are there"
        )
    if not place.parent.resolve().is_relative_to(root) or any(
        above.exists() and not above.is_dir() for above in place.parents
    ):
        raise click.UsageError(f"{place.parent}: expected a directory inside of {desired_state}, found something else")
    return place


def _is_name(part: str) -> bool:
    return part.isprintable() and len(part.encode("utf-8", "surrogateescape")) <= _LONGEST


def secret_folder(given: Path, desired_state: Path) -> Path:
    """The folder for files of secrets, absolute; it need not be there.

    Raises:
        click.UsageError: others could read what is in it.
    """
    folder, root = given.resolve(), desired_state.resolve()
    for forbidden in filter(None, (root, checkout.top_of(root))):
        if folder.is_relative_to(forbidden):
            raise click.UsageError(
                f"--secret-files {given}: lies in {forbidden}, whose files are committed: name one outside of it"
            )
    if re.search(r"[}\n\0]", str(folder)):
        raise click.UsageError(f'--secret-files {given}: no reference can name a path with "}}" or a line break')
    if folder.exists() and not folder.is_dir():
        raise click.UsageError(f"--secret-files {given}: expected a directory, found a file")
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        raise click.UsageError(f"--secret-files {given}: others may look into it: chmod 700 '{folder}'")
    return folder


def check_secrets(found: tuple[Secret, ...], folder: Path | None) -> None:
    """Refuse secrets that cannot be kept where their references say.

    Args:
        found: the secrets.
        folder: of their files; None: they are environment variables.

    Raises:
        click.UsageError: names the place, or the file.
    """
    for secret in found:
        if folder is None and "\0" in secret.value:
            raise click.UsageError(f"{secret.place}: no environment variable can hold it: give --secret-files")
        if len(secret.value.encode()) > _LARGEST:
            raise click.UsageError(f"{secret.place}: a secret of more than {_LARGEST} bytes cannot be read back")
        if folder is not None and Path(secret.reference.name).exists():
            raise click.UsageError(
                f"{secret.reference.name}: is there already, and nothing is overwritten; remove it if it is left over"
                " from another import, or give --secret-files another directory"
            )


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be written and recorded."""

    place: Path  # of the task's directory
    folder: Path | None  # for files of secrets
    task: Task
    files: Mapping[str, bytes] = field(repr=False)  # {"sink.json": b"..."}
    made: Imported
    reason: str  # for the journal


def carry_out(store: StateStore, wish: Wish) -> None:
    """Write a task and record it as applied, or do nothing.

    The record comes first: a daemon that saw the files before it could send them. Until it sees the files, the mark
    tells it that they are awaited, so that the record is not taken for one whose directory vanished.

    Raises:
        ConfigError: something cannot be written.
        StateStoreError: it cannot be recorded.
    """
    task, address = wish.task, wish.task.address.id
    desired = prepare(task, resources.catalogue(), wish.made.lookup, store.fingerprint_key())
    with ExitStack() as undo:
        try:
            if wish.folder is not None and wish.made.secrets:
                _write_secrets(wish.folder, wish.made.secrets, undo)
            beside = _write_beside(wish.place, wish.files, undo)
            store.set_notified(AWAITED, address, task.name)
            undo.callback(store.set_notified, AWAITED, address, "")
            store.adopt(address, task.name, desired.snapshot, "", wish.reason)
            undo.callback(store.forget, address)
            beside.rename(wish.place)
            undo.pop_all()
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}; nothing was imported") from error


def _write_secrets(folder: Path, found: tuple[Secret, ...], undo: ExitStack) -> None:
    _make_folders(folder, undo, mode=0o700)
    for secret in found:
        place = Path(secret.reference.name)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            undo.callback(_take_back, place.unlink)
            # Readers take one line end off, as an editor leaves it: it must not be one of the secret's own.
            end = "\r\n" if secret.value.endswith("\r") else "\n"
            file.write(f"{secret.value}{end}".encode())
            file.flush()
            os.fsync(file.fileno())
    _sync(folder)


def _write_beside(place: Path, files: Mapping[str, bytes], undo: ExitStack) -> Path:
    """Write a task's files into a hidden directory beside its place: no reader of the desired state looks into it."""
    _make_folders(place.parent, undo)
    beside = place.parent / f".import-{secrets.token_hex(8)}"
    beside.mkdir()
    undo.callback(_take_back, beside.rmdir)
    for name, data in files.items():
        with (beside / name).open("xb") as file:
            undo.callback(_take_back, (beside / name).unlink)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    _sync(beside)
    return beside


def _make_folders(folder: Path, undo: ExitStack, mode: int = 0o777) -> None:
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode)
        undo.callback(_take_back, missing.rmdir)


def _take_back(step: Callable[[], None]) -> None:
    """Undo a step; what somebody else put there or took away meanwhile is theirs."""
    with suppress(OSError):
        step()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
