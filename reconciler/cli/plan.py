"""`reconciler plan`: the dry-run report."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import (
    Files,
    Session,
    check_known,
    check_tasks,
    format_option,
    open_files,
    pass_session,
    printable_json,
    tasks_argument,
    warn,
)

if TYPE_CHECKING:
    from reconciler.cli.revisions import Revisions
    from reconciler.config import Settings
    from reconciler.git.tree import CommitTree
    from reconciler.model import JsonObject, Origins
    from reconciler.model import Plan as Model

_FIRST = (1, 3, 2)  # exit codes, the first that holds
_HELD = 3
_TITLE_BYTES = 300
"""Room for the title of each report in a comment."""


@click.command()
@tasks_argument()
@format_option("text", "json", "markdown", "html")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan (JSON) for apply --plan FILE."
)
@click.option("--full", is_flag=True, help="List unchanged tasks as well.")
@click.option("--rev", metavar="A..B", help="Compare two commits alone; A...B: B with what it has in common with A.")
@click.option("--with-state", is_flag=True, help="With --rev: show as well what would be sent, were B followed now.")
@pass_session
def plan(
    session: Session,
    task: tuple[str, ...],
    format_: str,
    out: Path | None,
    full: bool,
    rev: str | None,
    with_state: bool,
) -> int:
    """Show what would be done, and why.

    TASK is the name of a task or of a folder of tasks; all when none is given. Changes nothing. Only where a reset is
    declared it asks OMS something: where the link is, so that it can say how far the reset moves it.

    --rev A..B shows what a branch changes, from the files of two commits: it needs no state, no secret and no network.
    A side that is left out is HEAD.

    Exit code: 1 a task is invalid or failed, 3 something is blocked, frozen or held, 2 something would be sent,
    0 nothing.
    """
    _check_usage(out, rev, with_state=with_state)
    settings = session.settings()
    reports = [_planned(settings, task)] if rev is None else _compared(settings, rev, task, with_state=with_state)
    if out is not None:
        from reconciler.cli import saved

        saved.save(_json(reports[-1:]), out)
    _show(session, settings, reports, format_, full=full)
    codes = {report.code for report in reports}
    return next((code for code in _FIRST if code in codes), 0)


def _check_usage(out: Path | None, rev: str | None, *, with_state: bool) -> None:
    if with_state and rev is None:
        raise click.UsageError("--with-state goes with --rev; without it plan looks at the state anyway")
    if out is not None and rev is not None and not with_state:
        raise click.UsageError(
            "--out saves a plan for apply, and a comparison of two commits cannot be applied: add --with-state to save"
            " what would be sent, or write the comparison with --format json"
        )
    if out == Path("-"):
        raise click.UsageError("--out -: expected a file; --format json writes the same to standard output")


@dataclass(frozen=True, slots=True)
class _Report:
    """One plan, ready to be shown."""

    plan: "Model"
    origins: "Origins"
    code: int  # what the command exits with because of it
    title: str = ""  # where there are several
    revisions: "Revisions | None" = None  # that are compared


def _planned(settings: "Settings", task: tuple[str, ...], tree: "CommitTree | None" = None) -> _Report:
    """What would be done; with *tree* as the desired state, or with what the configuration says."""
    from reconciler import wiring
    from reconciler.core import position
    from reconciler.core.fleet import exit_code

    store, trouble = wiring.open_store_for_reports(settings)
    with closing(store):
        files = Files(tree, None) if tree else open_files(settings, store)
        check_tasks(files.source, store, task)
        survey = wiring.reconciler(settings, store, files.source, whole=True).survey(settings.policy, task)
        marks = store.notified(position.HELD)
    items = wiring.with_outlook(settings, survey.plan.items, survey.hidden, survey.resets)
    items = position.remembered(marks, items)
    plan = replace(survey.plan, items=items, selection=task)
    if trouble:
        warn(trouble)
    code = exit_code(plan)
    title = f"What would be sent with {plan.revision[:7]} as the desired state" if tree else ""
    return _Report(plan, wiring.origins(files.source, plan), _HELD if files.held and code != 1 else code, title)


def _compared(settings: "Settings", rev: str, task: tuple[str, ...], *, with_state: bool) -> list[_Report]:
    """What one commit changes against another; and what would be sent were it followed now, if that is wanted."""
    from datetime import UTC, datetime

    from reconciler import resources, wiring
    from reconciler.cli import revisions
    from reconciler.compare import Judge, compare
    from reconciler.core.fleet import exit_code
    from reconciler.reconcile import is_chosen

    found = revisions.find(settings, rev)
    before, after = found.before, found.after
    check_known(task, [*after.names(), *(before.names() if before else ())])
    validator = wiring.validator(settings.literal_secrets)
    judge = Judge(validator, resources.catalogue(), settings.policy, datetime.now(UTC))
    plan = compare(before, after, judge, lambda name: is_chosen(name, task))
    report = _Report(plan, wiring.origins(after, plan), exit_code(plan), found.title, found)
    return [report, _planned(settings, task, after)] if with_state else [report]


# --- showing -------------------------------------------------------------------------------------------------------


def _show(session: Session, settings: "Settings", reports: list[_Report], format_: str, *, full: bool) -> None:
    from reconciler.core.render import text

    root = str(settings.desired_state)
    if format_ == "json":
        click.echo(_json(reports), nl=False)
    elif format_ == "markdown":
        click.echo(_markdown(reports, root), nl=False)
    elif format_ == "html":
        click.echo(_html(reports, root, full=full), nl=False)
    else:
        for number, report in enumerate(reports):
            if number:
                session.print([()])
            if len(reports) > 1:
                session.print([(text.Span(f"{report.title}:", "bold"),), ()])
            session.print(text.lines(report.plan, root, full=full, origins=report.origins))


def _markdown(reports: list[_Report], root: str) -> str:
    """One comment, with one mark to find it by, that a code host takes."""
    from reconciler.core.render import markdown

    mark = f"{markdown.MARKER}\n"
    share = markdown.LIMIT_BYTES // len(reports) - _TITLE_BYTES
    bodies = (markdown.report(r.plan, root, r.origins, limit_bytes=share).removeprefix(mark) for r in reports)
    titled = (f"## {r.title}\n\n{body}" if r.title else body for r, body in zip(reports, bodies, strict=True))
    return mark + "\n".join(titled)


def _json(reports: list[_Report]) -> str:
    """One object: the first plan, and in it what else there is."""
    from reconciler.core.render import data

    first, *rest = (_object(report) for report in reports)
    return printable_json(data.dumps(first | ({"would_send": rest[0]} if rest else {})))


def _object(report: _Report) -> "JsonObject":
    from reconciler.core.render import data

    found = data.plan(report.plan, report.origins)
    if report.revisions is None:
        return found
    before, after = report.revisions.before, report.revisions.after
    return found | {"rev": {"from": before.revision if before else None, "to": after.revision}}


def _html(reports: list[_Report], root: str, *, full: bool) -> str:
    from reconciler import resources
    from reconciler.core.render import html

    parts = [html.Part(report.plan, report.origins, report.title) for report in reports]
    return html.reports(parts, root, page=resources.report_page(), full=full)
