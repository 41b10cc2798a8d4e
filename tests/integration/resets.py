"""A declared and approved reset on the bench, and what came of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler import apply
from reconciler.core import ledger
from reconciler.jobs import Result
from reconciler.model import Action, Approval, Item, ResetEntry, Stage, Task
from reconciler.reconcile import Survey
from reconciler.source import DirectorySource
from tests.integration.bench import VALIDATOR, Bench

PROJECT = "np_0"
HOUR_S = 3600
STOP, RESET, RESUME, PROGRESS = "StopProject", "ResetIncrStartTimestamp", "ResumeProject", "DescribeProjectProgress"
WRITES = (STOP, RESET, RESUME)
RULES: dict[str, Any] = {"resets": {"default": "", "other": ""}, "retention_s": {"default": 168.0 * HOUR_S}}


class Resets:
    """Resets of the project of task `shop`, whose files are applied.

    Args:
        bench: files, store and server.
        back_s: how far back the reset goes, seconds.
        declared: members of `reset.json` that differ.
    """

    def __init__(self, bench: Bench, back_s: int = 2 * HOUR_S, **declared: Any) -> None:
        self.bench = bench
        bench.set_target(edition="EE", version="4.3.1")
        bench.applied()
        self.wanted = int(bench.oms.now) - back_s
        self.declare(**declared)
        self.decide()
        self.approve()

    # --- said by people ---------------------------------------------------------------------------------------------

    def declare(self, task: str = "shop", /, **changes: Any) -> None:
        """Write `reset.json`."""
        usual = {"request": "r1", "id": PROJECT, "startTimestamp": self.wanted, "reason": "orders were lost"}
        self.bench.write("reset", task, usual | changes)

    def take_away(self) -> None:
        """Delete `reset.json`."""
        (self.bench.desired / "shop" / "reset.json").unlink()

    def decide(self, stage: Stage = Stage.PENDING, task: str = "shop") -> None:
        """Somebody says that it was not sent before."""
        one, now = self.task(task), self.bench.clock.now()
        key, digest, start = ledger.key_of(one), ledger.digest_of(one), ledger.wanted(one).start_timestamp
        assert self.bench.store.move_reset(ResetEntry(key, digest, task, one.address.id, start, stage, now), None)

    def approve(self, task: str = "shop") -> None:
        """Somebody approves it, for 24 hours."""
        item, now = self.item(task), self.bench.clock.now()
        until = now + timedelta(hours=24)
        approval = Approval(item.content_id, task, item.address, "p", "reset", (), "yes", "me", now, until)
        self.bench.store.approve(approval)

    # --- planned and done -------------------------------------------------------------------------------------------

    def task(self, name: str = "shop") -> Task:
        entry = DirectorySource(self.bench.desired).entry(name)
        assert entry is not None
        task = VALIDATOR.examine(entry.read()).task
        assert task is not None
        return task

    def survey(self) -> Survey:
        return self.bench.survey(**RULES)

    def item(self, task: str = "shop") -> Item:
        """The item of the reset."""
        items = self.survey().plan.items
        return next(item for item in items if item.task == task and item.intended is Action.RESET)

    def run(self, survey: Survey | None = None, **tools: Any) -> Result | None:
        """One `apply`, with other tools perhaps; what became of the reset, or None when nothing was to be done."""
        results = apply.carry_out(survey or self.survey(), replace(self.bench.tools(), **tools))
        return next((result for result in results if result.task == "shop"), None)

    def found(self, stage: Stage, **fields: Any) -> None:
        """Let the ledger say how far it was when the program died."""
        row = self.entry
        now = self.bench.clock.now()
        content_id = self.item().content_id
        assert self.bench.store.move_reset(
            replace(row, stage=stage, since=now, content_id=content_id, **fields), row.stage
        )

    # --- what came of it --------------------------------------------------------------------------------------------

    @property
    def entry(self) -> ResetEntry:
        """The first row of the ledger."""
        return next(iter(self.bench.store.resets().values()))

    @property
    def stage(self) -> str:
        return self.entry.stage.value

    @property
    def stages(self) -> list[str]:
        """Stages in the order in which they were written."""
        return [row.outcome for row in reversed(self.bench.store.history(None, 1000)) if row.kind == "reset"]

    @property
    def calls(self) -> list[str]:
        """Writes in the order of their arrival, but for updates."""
        return [call.action for call in self.bench.oms.calls if call.action in WRITES]

    @property
    def executed(self) -> list[str]:
        """Those that had an effect, or were accepted without one."""
        return [call.action for call in self.bench.oms.calls if call.action in WRITES and call.executed]

    @property
    def project(self) -> str:
        """Status of the project when everything that was ordered is done."""
        self.bench.clock.sleep(10 * 60)
        return self.bench.oms.project(PROJECT).status
