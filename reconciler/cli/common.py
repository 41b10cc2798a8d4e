"""What every command shares: the configuration, colours, task names."""

import difflib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.core.render.text import Line
    from reconciler.model import Json
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


def check_tasks(settings: "Settings", store: "SqliteStore", given: Iterable[str]) -> None:
    """Refuse names that neither the files nor the store know.

    Raises:
        click.UsageError: with a suggestion.
    """
    from reconciler import wiring

    if given:
        names = wiring.source(settings).names()
        check_known(given, [*names, *(record.task for record in store.records().values())])


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
