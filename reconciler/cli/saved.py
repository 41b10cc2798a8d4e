"""Saved plans: written whole or not at all, and believed only as far as the plan made afresh says the same."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import warn

if TYPE_CHECKING:
    from reconciler.model import Json, JsonObject, Plan

_ID = re.compile(r"[0-9a-f]{8,64}")
_MOST_BYTES = 512 << 20  # of 10,000 tasks that are all new: some 100 MiB
_TOLD = ("id", "task", "intended", "target", "address", "serial")
_MOVING = ("commit", "text", "parameter")  # of a change: what another release may word otherwise
_LONGEST = 200  # characters of a message about somebody's file


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What a saved plan says."""

    option: str  # where its path stands on the command line
    path: str
    id: str
    revision: str
    tasks: frozenset[str]
    items: "tuple[JsonObject, ...]" = field(repr=False)

    def check(self, fresh: "Plan") -> None:
        """Refuse a file that shows something else than what its id stands for.

        Args:
            fresh: the plan made just now, of the same id.

        Raises:
            click.UsageError: names the task.
        """
        from reconciler.core.render import data

        told = {str(item["id"]): _told(item) for item in self.items if item["intended"] != "noop"}
        meant = {str(item["id"]): _told(item) for item in data.plan(fresh)["items"] if item["intended"] != "noop"}
        for number in sorted(told.keys() | meant.keys()):
            if told.get(number) != meant.get(number):
                task = (told.get(number) or meant.get(number) or {}).get("task")
                raise click.UsageError(
                    f"{self.option} {self.path}: was edited, or saved by another release: what it says of task"
                    f" {task} is not what would be sent; nothing was done, save the plan again"
                )


def _told(item: "JsonObject") -> "JsonObject":
    """What an item says that neither time nor wording moves."""
    changes = [{key: value for key, value in change.items() if key not in _MOVING} for change in item["changes"]]
    return {key: item[key] for key in _TOLD} | {"changes": changes}


def find(wanted: str | None, option: str = "--plan") -> SavedPlan | None:
    """The plan that somebody names, when that is a file; None when it is an id, or nothing is wanted.

    Args:
        wanted: what stands on the command line.
        option: where it stands there.

    Raises:
        click.UsageError: it is neither a saved plan nor an id.
    """
    if wanted is None:
        return None
    if Path(wanted).exists():
        try:
            return _read(wanted, option)
        except (OSError, ValueError) as error:
            raise click.UsageError(f"{option} {wanted}: {_words(error)}") from None
    if wanted.startswith("rev-"):
        raise click.UsageError(f"{option} {wanted}: {_COMPARISON}")
    if not _ID.fullmatch(wanted):
        raise click.UsageError(f"{option} {wanted}: neither a file nor a plan's id (8 to 64 hexadecimal digits)")
    return None


_COMPARISON = (
    "a comparison of two commits (plan --rev) says what a branch changes, not what would be sent, and cannot be"
    " applied; plan --out, also with --rev A..B --with-state, saves a plan that can"
)


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _read(path: str, option: str) -> SavedPlan:
    place = Path(path)
    if not place.is_file():
        raise ValueError("not a file")
    if place.stat().st_size > _MOST_BYTES:
        raise ValueError(f"too large for a plan: more than {_MOST_BYTES} bytes")
    try:
        found = json.loads(place.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON, or cut off: {str(error)[:_LONGEST]}") from None
    _check_kind(found)
    _check_form(found)
    _check_id(found)
    items = tuple(found["items"])
    return SavedPlan(option, path, found["id"], found["revision"], frozenset(item["task"] for item in items), items)


def _check_kind(found: "Json") -> None:
    from reconciler.core.render.data import VERSION

    version = found.get("version") if isinstance(found, dict) else None
    if version != VERSION:
        raise ValueError(f"not a plan of version {VERSION} (version: {json.dumps(version)[:_LONGEST]})")
    if "rev" in found:
        raise ValueError(_COMPARISON)
    if "error" in found:
        raise ValueError("holds the error that kept a plan from being made")


def _check_form(found: "JsonObject") -> None:
    """By the schema that is published for plans."""
    import jsonschema_rs

    from reconciler import resources

    validator = jsonschema_rs.Draft202012Validator(resources.schema("plan"))
    error = next(iter(validator.iter_errors(found)), None)
    if error is not None:
        place = "".join(f"/{part}" for part in error.instance_path)
        raise ValueError(f"not a whole plan of this release: {place or 'the whole'}: {error.message[:_LONGEST]}")


def _check_id(found: "JsonObject") -> None:
    """Whether the plan's id is one that these items give, under some policy."""
    from reconciler.core.fleet import number_of
    from reconciler.core.policy import Mode, NewTasks

    ids = [item["id"] for item in found["items"] if item["intended"] != "noop" or item["action"] == "invalid"]
    if all(number_of(ids, mode, new_tasks) != found["id"] for mode in Mode for new_tasks in NewTasks):
        raise ValueError("was edited, or saved by another release: its id is not that of its items")


def save(text: str, out: Path) -> None:
    """Write a plan so that nobody ever reads half of it; what is no ordinary file is written as it is.

    Raises:
        click.UsageError: it cannot be written.
    """
    place = Path(os.path.realpath(out))  # a link stays a link
    try:
        if place.exists() and not place.is_file():
            place.write_text(text, encoding="utf-8")
        else:
            replace_file(place, text.encode())
    except OSError as error:
        raise click.UsageError(f"--out {out}: {error.strerror}") from error
    warn(f"saved: reconciler apply --plan {out}")


def replace_file(place: Path, data: bytes) -> None:
    """Write a file so that nobody ever reads half of it.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    part = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except OSError:
        part.unlink(missing_ok=True)
        raise
