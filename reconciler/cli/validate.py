"""`reconciler validate`: every problem of every file, at once; and what a rule means."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, format_option, pass_session, print_json, say, warn

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.core.validation.fleetfacts import Facts
    from reconciler.core.validation.validator import Validator
    from reconciler.model import Address, Cap, RawTask, Severity, Task, Violation
    from reconciler.ports import Source


def complete_rules(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Ids of rules for the shell's completion."""
    from reconciler.core.validation.findings import RULES

    return [name for name in sorted(RULES) if name.startswith(incomplete)]


@click.command()
@click.argument("path", nargs=-1, type=click.Path(exists=True, path_type=Path))
@format_option("text", "json", "sarif")
@click.option("--explain", metavar="RULE", shell_complete=complete_rules, help="Say what a rule means, and stop.")
@pass_session
def validate(session: Session, path: tuple[Path, ...], format_: str, explain: str | None) -> int:
    """Check the files: no network, no state, no secrets.

    PATH is a desired-state directory, or the directory of one task; without it the one that the configuration names,
    as it is on disk. With source = "git" that is the working tree with its uncommitted edits; a bare repository has
    none, so there the commit is checked. Rules about several tasks are asked where a whole directory is checked.
    Where there is a configuration it says, also with PATH, how much a literal secret matters and which caps there are.
    Each problem is one line: file:line:column, where in the document, what was expected, what was found, what to do.
    --format sarif is for code hosts, which show problems at their lines.

    Exit code: 1 when there is an error, 0 else; warnings alone are 0.
    """
    from reconciler.cli.main import USAGE

    if explain is not None:
        if path or format_ == "sarif":
            raise click.UsageError("--explain takes no PATH, and text or json as its format")
        return _explain(explain, format_)
    checked = _check(session, path)
    code = 1 if checked.errors else USAGE if checked.nothing_there else 0
    _REPORTS[format_](checked, code)
    return code


# --- one rule --------------------------------------------------------------------------------------------------------


def _explain(name: str, format_: str) -> int:
    """Print what a rule means.

    Raises:
        click.UsageError: there is no such rule; with a suggestion.
    """
    from reconciler import resources
    from reconciler.core.validation import rulebook

    rules = resources.rules()
    if name not in rules:
        close = difflib.get_close_matches(name, rules, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(rules)}"
        raise click.UsageError(f'no rule is named "{name}"; {hint}')
    if format_ == "json":
        print_json({"version": 1, "rule": rulebook.data(rules[name])})
    else:
        say(rulebook.text(rules[name]))
    return 0


# --- checking --------------------------------------------------------------------------------------------------------


@dataclass
class _Root:
    """A desired-state directory to check."""

    source: "Source"
    inside: str  # the directory below the root of its repository, else absolute
    only: str | None = None  # the one task that is meant
    caps: "tuple[Cap, ...] | None" = None  # None: rules about several tasks are not asked

    @property
    def shown(self) -> str:
        return self.source.root


@dataclass
class _Checked:
    """What was found, in the order of the directories."""

    found: "list[tuple[_Root, Violation]]" = field(default_factory=list)
    tasks: int = 0
    nothing_there: bool = False  # a path was named that holds nothing to check

    @property
    def errors(self) -> int:
        from reconciler.model import Severity

        return sum(violation.severity is Severity.ERROR for _, violation in self.found)


def _check(session: Session, path: tuple[Path, ...]) -> _Checked:
    from reconciler.model import Severity

    checked = _Checked()
    settings = session.settings() if not path or session.config.exists() else None
    for text in settings.warnings() if settings else ():
        warn(text)
    literal_secrets = settings.literal_secrets if settings else Severity.ERROR
    for root in _roots(settings, path):
        number, violations = _examine(root, literal_secrets)
        if not number:
            warn(f"{root.shown}: no tasks found; a task is a folder with task.json and four files")
            checked.nothing_there = bool(path)
        checked.tasks += number
        checked.found += [(root, violation) for violation in violations]
    return checked


def _roots(settings: "Settings | None", path: tuple[Path, ...]) -> "list[_Root]":
    """What is to be checked; without PATH there are settings."""
    if settings is not None and not path:
        return [replace(_configured(settings), caps=settings.caps)]
    roots = [_on_disk(folder, only) for folder, only in dict.fromkeys(map(_root_of, path))]
    return [replace(root, caps=_caps(root, settings)) for root in roots]


def _caps(root: _Root, settings: "Settings | None") -> "tuple[Cap, ...] | None":
    """Caps for a directory that was named; of a part of the configured one there is nothing to say about the whole."""
    folder = Path(root.source.root).resolve()
    if root.only is not None or (settings and settings.desired_state.resolve() in folder.parents):
        return None
    return settings.caps if settings else ()


def _root_of(path: Path) -> tuple[Path, str | None]:
    """The directory to read, and the one task in it that is meant."""
    from reconciler.model import TASK_FILES

    folder = path if path.is_dir() else path.parent
    if any((folder / name).exists() for name in TASK_FILES):
        if folder.name in ("", "..") or folder.is_symlink():
            folder = folder.resolve()
        return folder.parent, folder.name
    return folder, None


def _on_disk(folder: Path, only: str | None = None) -> _Root:
    from reconciler.git import checkout
    from reconciler.source import DirectorySource

    real = folder.resolve()
    top = checkout.top_of(real) or Path.cwd()
    inside = real.relative_to(top).as_posix() if real.is_relative_to(top) else str(real)
    return _Root(DirectorySource(folder), inside, only)


def _configured(settings: "Settings") -> _Root:
    """The configured directory; of a repository without a working tree the commit, without fetching."""
    if settings.git is None or settings.desired_state.exists():
        return _on_disk(settings.desired_state)
    from reconciler.git.repository import Repository
    from reconciler.git.tree import CommitTree

    repository = Repository.discover(settings.desired_state)
    commit_id = repository.resolve(settings.git.ref)
    shown = str(settings.desired_state)
    warn(f"{shown}: not on disk, so commit {commit_id[:12]} is checked ({settings.git.ref})")
    return _Root(CommitTree(repository, commit_id, shown), repository.folder)


def _examine(root: _Root, literal_secrets: "Severity") -> "tuple[int, list[Violation]]":
    from reconciler import resources, wiring
    from reconciler.core.validation.fleetfacts import facts_of
    from reconciler.core.validation.validator import address_clashes

    validator, catalogue = wiring.validator(literal_secrets), resources.catalogue()
    violations: list[Violation] = []
    addresses: list[tuple[str, Address]] = []
    facts: list[Facts] = []
    number = 0
    for raw in root.source.tasks():
        if root.only is not None and raw.name != root.only:
            continue
        number += 1
        examined = validator.examine(raw)
        violations += examined.violations
        if examined.task is not None:
            addresses.append((raw.name, examined.task.address))
            facts += [facts_of(examined.task, catalogue)] if root.caps is not None else []
    clashes = address_clashes(addresses)
    violations += clashes.values()
    violations += _of_several(root, [found for found in facts if found.task not in clashes], validator)
    return number, violations


def _of_several(root: _Root, facts: "list[Facts]", validator: "Validator") -> "Iterator[Violation]":
    """What is wrong with several tasks together, at its places: the files that it concerns are read once more."""
    from reconciler.core.validation import fleetrules

    seen: dict[str, RawTask] = {}

    def read(name: str) -> "RawTask | None":
        if name not in seen and (entry := root.source.entry(name)):
            seen[name] = entry.read()
        return seen.get(name)

    def reread(name: str) -> "Task | None":
        raw = read(name)
        return validator.examine(raw, warnings=False).task if raw else None

    for each in fleetrules.check(facts, root.caps or (), reread):
        raw = read(each.task)
        if raw is not None and f"{each.finding.document}.json" in raw.files:  # else it is gone since
            yield validator.violation(raw, each.finding)


# --- reports ---------------------------------------------------------------------------------------------------------


def _text(checked: _Checked, _code: int) -> None:
    from reconciler.core.render import words
    from reconciler.model import Severity

    for root, violation in sorted(checked.found, key=lambda one: one[1].severity is Severity.ERROR):  # errors last
        click.echo(words.violation(violation, root.shown))
    tasks, *wrong = _counted(checked)
    click.echo(f"{tasks} checked: {', '.join(wrong)}")


def _counted(checked: _Checked) -> Iterator[str]:
    warnings = len(checked.found) - checked.errors
    for number, noun in ((checked.tasks, "task"), (checked.errors, "error"), (warnings, "warning")):
        yield f"{number} {noun}{'' if number == 1 else 's'}"


def _json(checked: _Checked, _code: int) -> None:
    from reconciler.core.render import data

    rows = [{"root": root.shown, **data.violation(violation)} for root, violation in checked.found]
    counts = {"tasks": checked.tasks, "errors": checked.errors, "warnings": len(rows) - checked.errors}
    print_json({"version": 1, "violations": rows, "summary": counts})


def _sarif(checked: _Checked, code: int) -> None:
    from reconciler import __version__, resources
    from reconciler.core.render import sarif

    found = [(root.inside, violation) for root, violation in checked.found]
    print_json(sarif.log(found, resources.rules(), __version__, code))


_REPORTS = {"text": _text, "json": _json, "sarif": _sarif}
