"""`reconciler import`: makes a task's directory of what a component has, and records it as applied. Calls nothing."""

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, format_option, pass_session

if TYPE_CHECKING:
    from reconciler.cli.exported import Exported
    from reconciler.config import Settings
    from reconciler.model import JsonObject

_ROLE = re.compile(r"(?P<project>np_[0-9A-Za-z_-]+):(?P<link>forward|reverse):(?P<index>[0-9]{1,4})")


@click.command("import")
@click.argument("source", metavar="FROM")
@click.option("--task", "name", required=True, metavar="NAME", help="Of the new task: a path below the desired state.")
@click.option("--key", default="", metavar="COMPONENT", help="Full name of the component, as OMS shows it.")
@click.option("--region", default="", metavar="R", help="Its region (cmRegion), as OMS shows it.")
@click.option("--component", "role", default="", metavar="PROJECT:LINK:INDEX", help="Instead: np_4x9j…:forward:0.")
@click.option("--target", default="default", show_default=True, metavar="T", help="The OMS server it belongs to.")
@click.option("--secret-files", metavar="DIR", help="Write its secrets to files there, which the task refers to.")
@click.option("--whole", is_flag=True, help="Keep what OMS wrote too, so that keys can be deleted later.")
@click.option("--reason", default="", metavar="TEXT", help="Why; goes to the journal.")
@click.option("--dry-run", is_flag=True, help="Say what would be written; write and record nothing.")
@format_option("text", "json")
@pass_session
def import_(
    session: Session,
    source: str,
    name: str,
    key: str,
    region: str,
    role: str,
    target: str,
    secret_files: str | None,
    whole: bool,
    reason: str,
    dry_run: bool,
    format_: str,
) -> int:
    """Make a task directory of a component's present configuration.

    FROM is a copy of the component's conf/ directory with its four files, the directory that holds it, or one JSON
    document ("-": standard input) with the members coordinator, condition, source and sink, also below config.
    Secrets become references and are listed; what OMS keeps itself is left out and listed. What is written is recorded
    as applied, so that the first plan is empty. Nothing is called and nothing is overwritten.

    Exit code: 1 when FROM cannot be read, or would make no valid task; nothing is written then.
    """
    from reconciler import resources, wiring
    from reconciler.cli import deposit, exported, imported, taken
    from reconciler.core import importing
    from reconciler.core.draft import draft as drafted

    settings = session.settings()
    place = deposit.free_place(settings.desired_state, name)
    folder = deposit.secret_folder(Path(secret_files), settings.desired_state) if secret_files else None
    found = exported.read(source)
    if found.problems:
        return imported.refuse(found.problems, format_)
    task = _target(settings, target) | _component(found, key, region, role)
    with closing(wiring.open_store(settings, read_only=dry_run)) as store:
        names = importing.Names(name, str(folder or ""), taken.check_free(settings, store, name, task))
        made = importing.imported(found.sections, resources.catalogue(), names, whole=whole)
        draft = drafted(name, task, made, wiring.validator(settings.literal_secrets), whole=whole)
        violations = tuple(exported.placed(draft.violations, found))
        if draft.task is None:
            return imported.refuse(violations, format_)
        deposit.check_secrets(made.secrets, folder)
        if not dry_run:
            why = f"imported from {found.shown}{f': {reason}' if reason.strip() else ''}"
            deposit.carry_out(store, deposit.Wish(place, folder, draft.task, draft.files, made, why))
    report = imported.Report(name, place, draft, made, violations, found.ignored, dry_run, settings.git is not None)
    imported.tell(report, format_)
    return 0


# --- which component -------------------------------------------------------------------------------------------------


def _target(settings: "Settings", target: str) -> "JsonObject":
    if target not in settings.targets:
        there = ", ".join(settings.targets) or "none"
        raise click.UsageError(f"--target: {settings.path} has no target {target!r}; it has: {there}")
    return {} if target == "default" else {"target": target}


def _component(found: "Exported", key: str, region: str, role: str) -> "JsonObject":
    """The members of `task.json` that address the component.

    Raises:
        click.UsageError: they are not all given, or another component than the one that was copied.
    """
    from reconciler.core import names

    if role:
        if key or region:
            raise click.UsageError("give --component, or --key with --region, and not both")
        place = _ROLE.fullmatch(role)
        if place is None:
            raise click.UsageError(f'--component: expected PROJECT:LINK:INDEX such as np_4x9j:forward:0, got "{role}"')
        _check_same(found.component, names.project_of(found.component), place["project"])
        return {"component": {"project": place["project"], "link": place["link"], "index": int(place["index"])}}
    key, region = key or found.component, region or found.region
    if not key:
        raise click.UsageError("say which component it is: --key and --region, or --component")
    if not region:
        raise click.UsageError(f"--region is needed as well: that of {key}, as OMS shows it; or give --component")
    lasting = names.lasting_part(found.component) if names.position_of(found.component) else None
    _check_same(found.component, lasting, names.lasting_part(key))
    return {"dimension": "NAME", "key": key, "cmRegion": region}


def _check_same(copied: str, found: str | None, meant: str) -> None:
    """Refuse to take one component's configuration for another's: its next change would go there."""
    if found is not None and found != meant:
        raise click.UsageError(f"what was copied is of {copied}, and {meant} is meant: they are not the same component")
