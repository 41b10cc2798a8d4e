"""`reconciler plan`: the dry-run report."""

from pathlib import Path

import click

from reconciler.cli.common import (
    Session,
    check_tasks,
    format_option,
    pass_session,
    printable_json,
    tasks_argument,
    warn,
)


@click.command()
@tasks_argument()
@format_option("text", "json", "markdown")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan (JSON) for apply --plan FILE."
)
@click.option("--full", is_flag=True, help="List unchanged tasks as well.")
@pass_session
def plan(session: Session, task: tuple[str, ...], format_: str, out: Path | None, full: bool) -> int:
    """Show what would be done, and why.

    TASK is the name of a task or of a folder of tasks; all when none is given. Calls nothing and changes nothing.

    Exit code: 1 a task is invalid or failed, 3 something is blocked or frozen, 2 something would be sent, 0 nothing.
    """
    from reconciler import wiring
    from reconciler.core.fleet import exit_code
    from reconciler.core.render import data, markdown, text

    settings = session.settings()
    store, trouble = wiring.open_store_for_reports(settings)
    try:
        check_tasks(settings, store, task)
        survey = wiring.reconciler(settings, store).survey(settings.policy, task)
    finally:
        store.close()
    if trouble:
        warn(trouble)
    saved = printable_json(data.dumps(data.plan(survey.plan)))
    if out is not None:
        _save(saved, out)
    root = str(settings.desired_state)
    if format_ == "json":
        click.echo(saved, nl=False)
    elif format_ == "markdown":
        click.echo(markdown.report(survey.plan, root), nl=False)
    else:
        session.print(text.lines(survey.plan, root, full=full))
    return exit_code(survey.plan)


def _save(text: str, out: Path) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--out {out}: {error.strerror}") from error
    warn(f"saved: reconciler apply --plan {out}")
