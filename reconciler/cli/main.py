"""The `reconciler` command: finds the subcommand, and turns errors into messages and exit codes.

Exit codes of validate, plan and apply, the first that holds: 1 a task is invalid or failed; 3 something is blocked;
2 (plan only) something would be sent; 0. Wrong usage is 64. Reading commands exit 0.
"""

import errno
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from itertools import pairwise

import click

from reconciler import __version__
from reconciler.errors import ConfigError, ReconcilerError, StoreLockedError

USAGE = 64
FAILED = 1
HELD = 3
INTERRUPTED = 130

_OF_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

COMMANDS = {
    "validate": ("validate", "Check the files: no network, no state, no secrets."),
    "plan": ("plan", "Show what would be done, and why."),
    "apply": ("apply", "Plan, then do it."),
    "run": ("run", "Keep the components equal to the files, until a signal ends it."),
    "status": ("look", "Show the state of every task."),
    "explain": ("look", "Say why nothing happens to a task, and what to do."),
    "history": ("history", "Show what was done, newest first."),
    "sync": ("sync", "Ask the running daemon to look now."),
    "adopt": ("tasks", "Record files as applied without calling anything."),
    "forget": ("tasks", "Drop the records of tasks whose directory is gone."),
    "retry": ("tasks", "Clear a failed or unknown outcome, so that it is tried again."),
    "approvals": ("approvals", "Show what waits for an approval, and what was approved."),
    "approve": ("approve", "Say that items of a plan may be carried out."),
    "reset": ("reset", "Show resets, say how one ended, or prepare to undo one."),
    "import": ("import_", "Make a task directory of a component's present configuration."),
    "accept": ("accept", "Follow a commit although the history was rewritten."),
    "suspend": ("holds", "Call nothing for a task until it is resumed."),
    "resume": ("holds", "Take a suspension back, or use a target again."),
    "schema": ("schema", "Print a JSON Schema, or list them."),
    "init": ("init", "Start a configuration repository."),
    "simulate": ("simulate", "Run an OMS simulator to try things on."),
}
"""{command: (module in reconciler.cli, first line of its help)}: so that --help imports none of them."""


class LazyGroup(click.Group):
    """A group that imports a command when it is run, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Commands in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name + "_" * keyword.iskeyword(cmd_name))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - likewise
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", default="reconciler.toml", show_default=True, metavar="FILE", help="The configuration file.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour on standard output."
)
@click.version_option(__version__, prog_name="reconciler")
@click.pass_context
def cli(ctx: click.Context, config: str, color: str) -> None:
    """Declarative configuration of OMS Incr-Sync components.

    Keeps one directory per replication task in git and makes the running components equal to it: validate the files,
    read the plan, apply it. Every update restarts a component, so nothing is sent without a real difference.

    Exit codes of validate, plan and apply: 0 nothing to do, 1 invalid or failed, 2 something would be sent (plan
    only), 3 blocked, 64 wrong usage.

    Completion: eval "$(_RECONCILER_COMPLETE=bash_source reconciler)", likewise zsh_source and fish_source.
    """
    from reconciler.cli.common import Session

    ctx.obj = Session(config, color)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code.

    With `--format json` or `sarif` standard output is that at every exit code, errors included.
    """
    try:
        result = cli.main(args=list(arguments), prog_name="reconciler", standalone_mode=False)
        sys.stdout.flush()
    except (click.UsageError, click.Abort, KeyboardInterrupt, ReconcilerError) as error:
        return _reported(error, _wanted_format(arguments))
    except OSError as error:
        if error.errno in _OF_OUTPUT and error.filename is None:
            return _unwritten(error)
        return _defect(error, _wanted_format(arguments))
    except Exception as error:  # noqa: BLE001 - the one border: what is no message for users is a defect
        return _defect(error, _wanted_format(arguments))
    return result if isinstance(result, int) else 0


def _wanted_format(arguments: Sequence[str]) -> str:
    """Which of the formats for programs the command was to write, "" for none; asked where nothing is parsed."""
    pairs = tuple(pairwise(arguments))
    wanted = (name for name in ("json", "sarif") if f"--format={name}" in arguments or ("--format", name) in pairs)
    return next(wanted, "")


def _reported(error: BaseException, format_: str) -> int:
    """Say what ended a command."""
    from reconciler.cli.common import warn

    if isinstance(error, click.UsageError):
        message, code = error.format_message(), USAGE
        warn(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n" if error.ctx else "")
    elif isinstance(error, ReconcilerError):
        message, code = str(error), exit_code_of(error)
    else:
        message, code = "interrupted", INTERRUPTED
    _print_failure(format_, type(error).__name__, message, code)
    warn(message if code == INTERRUPTED else f"reconciler: {message}")
    return code


def _unwritten(error: OSError) -> int:
    """Standard output is full or closed: nothing can be said there any more."""
    from reconciler.cli.common import warn

    # What is left in the buffer would be tried again when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno != errno.EPIPE:  # a reader that has seen enough is no trouble
        warn(f"reconciler: standard output cannot be written: {error.strerror}")
    return FAILED


def _defect(error: Exception, format_: str) -> int:
    """Where the program broke, without the words of the exception: they may quote a secret."""
    import traceback

    from reconciler.cli.common import warn

    message = f"this is a defect of reconciler, please report it: {type(error).__name__} (its words may hold secrets)"
    _print_failure(format_, "Defect", message, FAILED)
    warn("".join(traceback.format_list(traceback.extract_tb(error.__traceback__))).rstrip())
    warn(f"reconciler: {message}")
    return FAILED


def _print_failure(format_: str, kind: str, message: str, code: int) -> None:
    """Say on standard output what ended a command, in the format that was wanted there."""
    from reconciler.cli.common import print_error, print_json

    if format_ == "json":
        print_error(kind, message)
    elif format_ == "sarif":
        from reconciler.core.render import sarif

        print_json(sarif.failure(kind, message, __version__, code))


def exit_code_of(error: ReconcilerError) -> int:
    """What an error that ended a command exits with."""
    if isinstance(error, StoreLockedError):
        return HELD
    return USAGE if isinstance(error, ConfigError) else FAILED
