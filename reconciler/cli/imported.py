"""What `import` says: what was written, which secrets to set, what was left out, what comes next."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli.common import print_json, say, warn
from reconciler.core.draft import Draft
from reconciler.core.importing import Imported
from reconciler.core.render import data, words
from reconciler.core.validation import taskfile
from reconciler.model import JsonObject, Violation


@dataclass(frozen=True, slots=True)
class Report:
    """An import, done or only tried."""

    task: str
    place: Path  # of its directory
    draft: Draft
    made: Imported
    warnings: tuple[Violation, ...]
    ignored: tuple[str, ...]  # files that were not looked at
    dry_run: bool
    follows_commits: bool  # files count once they are committed


def refuse(violations: Collection[Violation], format_: str) -> int:
    """Say why nothing was written; returns the exit code."""
    if format_ == "json":
        print_json({"version": 1, "written": False, "violations": [data.violation(one) for one in violations]})
    _tell(violations)
    warn("nothing was written")
    return 1


def tell(report: Report, format_: str) -> None:
    """Say what was done."""
    if format_ == "json":
        print_json(_data(report))
        return
    _tell(report.warnings)
    say("\n".join(_lines(report)))


def _tell(violations: Collection[Violation]) -> None:
    for found in violations:
        warn(words.violation(replace(found, file=""), found.file))


def _data(report: Report) -> JsonObject:
    made = report.made
    return {
        "version": 1,
        "task": report.task,
        "address": json.loads(taskfile.address_of(report.draft.documents["task"]).id),
        "directory": str(report.place),
        "written": not report.dry_run,
        "files": {f"{name}.json": content for name, content in report.draft.documents.items()},
        "secrets": [{"pointer": one.place, "reference": str(one.reference)} for one in made.secrets],
        "leftOut": [{"pointer": one.place, "reason": one.reason} for one in made.left_out],
        "remarks": list(made.remarks),
        "ignored": list(report.ignored),
        "violations": [data.violation(one) for one in report.warnings],
    }


def _lines(report: Report) -> Iterator[str]:
    made = report.made
    yield f"{report.task}: {_DONE[report.dry_run]}"
    yield f"  {report.place}/: {', '.join(report.draft.files)}"
    if report.ignored:
        yield f"  not looked at: {', '.join(report.ignored)}"
    if made.secrets:
        scheme = made.secrets[0].reference.scheme
        yield from _table(_SECRETS[scheme], [(one.reference.name, one.place) for one in made.secrets])
    yield from _table("left out, and so left on the component", [(one.place, one.reason) for one in made.left_out])
    manage = report.draft.documents["task"].get("manage", ())
    yield from _table("listed under manage in task.json", [(place, "") for place in manage])
    yield from (f"warning: {remark}" for remark in made.remarks)
    if not report.dry_run:
        yield from _next(report)


_DONE = {False: "imported and recorded as applied, nothing was called", True: "would be imported, nothing was written"}
_SECRETS = {
    "env": "secrets, as environment variables that are to be set where reconciler runs",
    "file": "secrets, as files that only this account can read",
}


def _table(title: str, rows: Collection[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield f"{title} ({len(rows)}):"
        width = max(len(first) for first, _ in rows)
        yield from (f"  {first:<{width}}  {second}".rstrip() for first, second in rows)


def _next(report: Report) -> Iterator[str]:
    if any(secret.reference.scheme == "env" for secret in report.made.secrets):
        yield "until the variables are set, the plan says that the task is blocked: secret"
    if report.follows_commits:
        yield f"until {report.place} is committed, its files are not read, and nothing is called for them"
    yield f"then reconciler plan {report.task} shows no difference"
