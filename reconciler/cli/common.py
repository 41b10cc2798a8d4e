"""What every command shares: the configuration, colours, task names."""

import difflib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.errors import DesiredStateError, ReconcilerError

if TYPE_CHECKING:
    from reconciler.config import GitConfig, Settings
    from reconciler.core.render.text import Line
    from reconciler.model import Json
    from reconciler.ports import CommitSource, Source
    from reconciler.state.sqlite import SqliteStore

_COLORS: dict[str, dict[str, Any]] = {
    "bold": {"bold": True},
    "added": {"fg": "green"},
    "removed": {"fg": "red"},
    "changed": {"fg": "yellow"},
    "danger": {"fg": "red", "bold": True},
    "dim": {"dim": True},
}


class Session:
    """One run of the program.

    Args:
        config: path of the configuration file.
        color: "auto", "always" or "never".
    """

    def __init__(self, config: str, color: str) -> None:
        self.config = Path(config)
        self._color = {"auto": None, "always": True, "never": False}[color]

    def settings(self) -> "Settings":
        """The configuration.

        Raises:
            ConfigError: it is wrong or not there.
        """
        from reconciler.config import load

        return load(self.config)

    @property
    def colored(self) -> bool:
        """Whether standard output gets colour: `--color`, else a terminal without NO_COLOR."""
        import os

        if self._color is not None:
            return self._color
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def print(self, lines: "Iterable[Line]") -> None:
        """Print styled lines on standard output."""
        for line in lines:
            styled = "".join(click.style(s.text, **_COLORS[s.style]) if s.style else s.text for s in line)
            click.echo(styled, color=self.colored)


pass_session = click.make_pass_decorator(Session)


def print_json(value: "Json") -> None:
    """Print JSON on standard output."""
    click.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=False)))


def printable_json(text: str) -> str:
    """The same JSON with everything escaped that a terminal would obey or an encoding refuse."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)


def print_error(kind: str, message: str) -> None:
    """Print an error as JSON on standard output."""
    print_json({"version": 1, "error": {"kind": kind, "message": message}})


def say(text: str, *, err: bool = False) -> None:
    """Print lines on standard output, with nothing in them that a terminal would obey."""
    from reconciler.core.render.words import safe

    click.echo("\n".join(safe(line) for line in text.split("\n")), err=err)


def warn(text: str) -> None:
    """Print lines on standard error, with nothing in them that a terminal would obey."""
    say(text, err=True)


def account() -> str:
    """Who runs the command, for the record: the account's name, or its number where it has none.

    Under sudo also whose it was before. Both are hints, as honest as whoever may write to the store.
    """
    import os
    import pwd

    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # in a container
        name = str(number)
    before = os.environ.get("SUDO_USER", "")
    return name if before in ("", name) else f"{before} as {name}"


def complete_tasks(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of tasks for the shell's completion; none when the configuration cannot be read."""
    from reconciler import wiring

    root = ctx.find_root()
    try:
        settings = Session(root.params.get("config") or "reconciler.toml", "never").settings()
        names = wiring.source(settings).names()
    except ReconcilerError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def tasks_argument(*, required: bool = False) -> "Callable[[Any], Any]":
    """The TASK... argument."""
    return click.argument("task", nargs=-1, required=required, shell_complete=complete_tasks)


def format_option(*choices: str) -> "Callable[[Any], Any]":
    """The --format option; its value arrives as `format_`."""
    help_ = "How to write it on standard output."
    return click.option(
        "--format", "format_", type=click.Choice(choices), default="text", show_default=True, help=help_
    )


def check_tasks(source: "Source", store: "SqliteStore", given: Iterable[str]) -> None:
    """Refuse names that neither the files nor the store know.

    Raises:
        click.UsageError: with a suggestion.
    """
    if given:
        check_known(given, [*source.names(), *(record.task for record in store.records().values())])


@dataclass(frozen=True, slots=True)
class Files:
    """Where the desired state is."""

    source: "Source"
    commits: "CommitSource | None"  # the same, where it is a commit of a repository

    @property
    def held(self) -> str:
        """Why the newest commit is not the one that is read; "" when it is."""
        return self.commits.head.problem if self.commits else ""

    def record(self, store: "SqliteStore") -> None:
        """Write down which commit is followed: from now on the next one has to descend from it."""
        if self.commits is not None:
            store.set_head(self.commits.head.ref, self.commits.head.commit.id)


def open_files(settings: "Settings", store: "SqliteStore") -> Files:
    """Where the desired state is; of a repository the newest commit that may be followed.

    A remote is asked for it first, unless a daemon runs, which does so all the time. One that does not answer is no
    reason to stop.

    Args:
        settings: the configuration.
        store: knows which commit was followed last, and whether a daemon runs.

    Raises:
        DesiredStateError: there is no such repository or commit.
    """
    from reconciler import wiring

    if settings.git is None:
        return Files(wiring.source(settings, store), None)
    if settings.git.remote:
        _fetch(settings, settings.git, store)
    commits = wiring.commits(settings, store, edits=True)
    return Files(commits, commits)


def _fetch(settings: "Settings", git: "GitConfig", store: "SqliteStore") -> None:
    from reconciler import wiring
    from reconciler.cli.view import daemon_of
    from reconciler.git.remote import Remote

    if daemon_of(store) is not None:
        return
    try:
        Remote(settings.desired_state, wiring.git_settings(git)).fetch()
    except DesiredStateError as error:
        warn(f"{error}; what was fetched before is read")


def check_known(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are neither a task nor a folder of tasks.

    Raises:
        click.UsageError: with a suggestion.
    """
    names = sorted(set(known))
    for name in given:
        if any(one == name or one.startswith(f"{name.rstrip('/')}/") for one in names):
            continue
        close = difflib.get_close_matches(name, names, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        raise click.UsageError(f'no task or folder of tasks is named "{name}"{hint}')
