"""`reconciler validate`: every problem of every file, at once."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, format_option, pass_session, print_json, warn

if TYPE_CHECKING:
    from reconciler.model import Address, Severity, Violation


@click.command()
@click.argument("path", nargs=-1, type=click.Path(exists=True, path_type=Path))
@format_option("text", "json")
@pass_session
def validate(session: Session, path: tuple[Path, ...], format_: str) -> int:
    """Check the files: no network, no state, no secrets.

    PATH is a desired-state directory, or the directory of one task; without it the one that the configuration names.
    Each problem is one line: file:line:column, where in the document, what was expected, what was found, what to do.

    Exit code: 1 when there is an error, 0 else; warnings alone are 0.
    """
    from reconciler.cli.main import USAGE
    from reconciler.core.render import data, words
    from reconciler.model import Severity

    found: list[tuple[str, Violation]] = []
    tasks = 0
    empty = False  # a path was named that holds nothing to check
    literal_secrets = Severity.ERROR
    roots = dict.fromkeys(map(_root_of, path))
    if not path:
        settings = session.settings()
        roots, literal_secrets = {(settings.desired_state, None): None}, settings.literal_secrets
    for folder, only in roots:
        number, violations = _examine(folder, only, literal_secrets)
        if not number:
            warn(f"{folder}: no tasks found; a task is a folder with task.json and four files")
            empty = bool(path)
        tasks += number
        found += [(str(folder), violation) for violation in violations]
    errors = sum(violation.severity is Severity.ERROR for _, violation in found)
    counts = {"tasks": tasks, "errors": errors, "warnings": len(found) - errors}
    if format_ == "json":
        rows = [{"root": root, **data.violation(violation)} for root, violation in found]
        print_json({"version": 1, "violations": rows, "summary": counts})
    else:
        for root, violation in found:
            click.echo(words.violation(violation, root))
        named = (("task", tasks), ("error", errors), ("warning", counts["warnings"]))
        checked, *wrong = (f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in named)
        click.echo(f"{checked} checked: {', '.join(wrong)}")
    if errors:
        return 1
    return USAGE if empty else 0


def _root_of(path: Path) -> tuple[Path, str | None]:
    """The directory to read, and the one task in it that is meant."""
    from reconciler.model import TASK_FILES

    folder = path if path.is_dir() else path.parent
    if any((folder / name).exists() for name in TASK_FILES):
        if folder.name in ("", "..") or folder.is_symlink():
            folder = folder.resolve()
        return folder.parent, folder.name
    return folder, None


def _examine(root: Path, only: str | None, literal_secrets: "Severity") -> "tuple[int, list[Violation]]":
    from reconciler import wiring
    from reconciler.core.validation.validator import address_clashes
    from reconciler.source import DirectorySource

    validator = wiring.validator(literal_secrets)
    violations: list[Violation] = []
    addresses: list[tuple[str, Address]] = []
    number = 0
    for raw in DirectorySource(root).tasks():
        if only is not None and raw.name != only:
            continue
        number += 1
        examined = validator.examine(raw)
        violations += examined.violations
        if examined.task is not None:
            addresses.append((raw.name, examined.task.address))
    violations += address_clashes(addresses).values()
    return number, violations
