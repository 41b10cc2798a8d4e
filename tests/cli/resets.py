"""Resets beside the command line: declared in a task's directory, and as they stand in the ledger."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

from reconciler.core.ledger import digest_of, key_of, wanted
from reconciler.model import ResetEntry, ResetKey, Stage
from reconciler.source import DirectorySource
from reconciler.wiring import validator
from tests.cli.said import opened
from tests.projects import KAFKA, MYSQL, ORACLE, Project

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEFORE = "2026-11-20T10:00:00Z"
PROJECT = "np_4x9j00000002"
KEY = ResetKey("default", PROJECT, False, "r1")
_PROJECTS = {MYSQL: "np_4x9j00000001", KAFKA: PROJECT, ORACLE: "np_4x9j00000003"}


def declare(project: Project, request: str = "r1", *, task: str = KAFKA, **more: object) -> None:
    """Write a task's reset.json."""
    asked = {"request": request, "id": _PROJECTS[task], "startTimestamp": "2026-11-20T08:00:00Z", "reason": "a gap"}
    (project.desired / task / "reset.json").write_text(json.dumps(asked | more))


def reset_of(project: Project, task: str = KAFKA) -> dict[str, object]:
    """What a task's reset.json says."""
    content: dict[str, object] = json.loads((project.desired / task / "reset.json").read_text())
    return content


def row(project: Project, stage: Stage, *, task: str = KAFKA, **changes: object) -> ResetEntry:
    """Put the reset that a task declares into the ledger, at some stage."""
    entry = DirectorySource(project.desired).entry(task)
    found = validator().examine(entry.read()).task
    start, before = wanted(found).start_timestamp, int(datetime.fromisoformat(BEFORE).timestamp())
    plain = ResetEntry(key_of(found), digest_of(found), task, found.address.id, start, stage, AT, "as it was", before)
    made = replace(plain, **changes)
    with closing(opened(project)) as store:
        assert store.move_reset(made, None)
    return made


def ledger(project: Project) -> dict[tuple[str, str], ResetEntry]:
    """`{(task, request): row}`."""
    with closing(opened(project)) as store:
        return {(entry.task, key.request): entry for key, entry in store.resets().items()}
