"""`reconciler init`: a directory to begin with."""

import shlex
from collections.abc import Collection
from pathlib import Path

import click

from reconciler.cli.common import say, warn


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--ci",
    "host",
    type=click.Choice(["github", "gitlab", "none"]),
    default="github",
    show_default=True,
    help="Whose pipeline to write.",
)
def init(folder: Path, host: str) -> int:
    """Start a configuration repository.

    Writes into DIR the configuration file, a sample task (suspended, so that nothing is ever sent for it), JSON Schemas
    and settings for editors, a pre-commit hook and a pipeline that validates and comments on reviews. DIR becomes a git
    repository unless it lies in one. Nothing is overwritten: when one of the files is there already, none is written.
    """
    from reconciler import scaffold
    from reconciler.git import checkout

    top = checkout.top_of(folder)
    at_top = top in (None, folder.resolve())
    branch = (checkout.branch_of(top) if top else "") or scaffold.BRANCH
    texts = scaffold.contents(host, branch, at_top=at_top)
    scaffold.write(folder, texts)
    say(f"made in {folder}:")
    say("\n".join(f"  {line}" for line in _listed(texts)))
    if not at_top:
        say(f"no pipeline and no commit hook: they count at the top of a repository only, which is {top}")
    problem = "" if top else checkout.start(folder, branch)
    if problem:
        warn(f"{folder}: is no git repository yet: {problem}")
    elif not top:
        say(f"a git repository, with the branch {branch}")
    say("\nnext:")
    say("\n".join(f"  {command}" for command in _next(folder, hooks=at_top)))
    say("README.md tells how to go on.")
    return 0


def _listed(paths: Collection[str]) -> list[str]:
    """The paths, with the schemas as one."""
    schemas = [path for path in paths if path.startswith("schemas/")]
    return [*(path for path in paths if path not in schemas), f"schemas/ ({len(schemas)} schemas)"]


def _next(folder: Path, *, hooks: bool) -> list[str]:
    commands = ["reconciler validate", 'git add --all . && git commit --message "Start"']
    if hooks:
        commands.insert(1, "pre-commit install")
    return [f"cd {shlex.quote(str(folder))}", *commands]
