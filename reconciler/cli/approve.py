"""`reconciler approve`: say that items of a plan may go. One short transaction on the store, and no call."""

import shlex
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from reconciler.cli import saved
from reconciler.cli.approvals import row
from reconciler.cli.common import (
    Session,
    account,
    check_tasks,
    complete_tasks,
    format_option,
    pass_session,
    print_json,
    say,
    warn,
)
from reconciler.core.policy import FORCIBLE
from reconciler.core.status import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reconciler.config import Settings
    from reconciler.model import Approval, Item, Plan
    from reconciler.reconcile import Reconciler, Survey
    from reconciler.state.sqlite import SqliteStore

VALID = timedelta(hours=24)
"""How long an approval lasts."""

_OF_THE_RUN = ("first_run", "vanished")
"""Rails that concern the whole run: no item alone can be let through."""

_REFUSED = 3  # exit code
_DIGITS = 16  # of a plan's id


@click.command()
@click.argument("plan", metavar="PLAN")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    shell_complete=complete_tasks,
    help="Only items of this task, or of this folder of tasks; may be given more than once.",
)
@click.option("--force", multiple=True, metavar="RAIL", help="Lift this rail for these items, as apply --force does.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; goes to the journal.")
@click.option("--revoke", is_flag=True, help="Take approvals of these items back.")
@format_option("text", "json")
@pass_session
def approve(
    session: Session, plan: str, tasks: tuple[str, ...], force: tuple[str, ...], reason: str, revoke: bool, format_: str
) -> int:
    """Say that items of a plan may be carried out.

    PLAN is the id that plan printed, or its beginning (8 digits or more), or a file that plan --out saved. The plan is
    made afresh, and one that is another by now is refused.

    An approval binds to what an item would do and send. It lasts for 24 hours, also over repetitions after an error,
    and is used up when the server has accepted it. A running daemon carries out what is approved by itself; else apply
    does.

    Exit code: 3 the plan is another one by now; 0 all that waited is approved, or nothing did.
    """
    from reconciler import wiring

    _check_usage(force, reason, revoke=revoke)
    asked = _Asked(plan, saved.find(plan, "PLAN"), tasks, force, reason)
    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=False)) as store:
        request = _Request(session, settings, store, asked, format_)
        return request.revoke() if revoke else request.approve()


def _check_usage(force: tuple[str, ...], reason: str, *, revoke: bool) -> None:
    if not reason.strip():
        raise click.UsageError("--reason must say something: it is kept in the journal")
    if revoke and force:
        raise click.UsageError("--revoke takes approvals back as they are: it goes without --force")
    for rail in force:
        if rail in _OF_THE_RUN:
            raise click.UsageError(
                f"{rail} concerns the whole run, not one item: stop the daemon, reconciler apply --force {rail}"
            )
        if rail not in FORCIBLE:
            these = ", ".join(name for name in FORCIBLE if name not in _OF_THE_RUN)
            raise click.UsageError(f'"{rail}" is no rail that can be forced; these can: {these}')


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    plan: str
    file: "saved.SavedPlan | None"
    tasks: tuple[str, ...]
    force: tuple[str, ...]
    reason: str

    @property
    def id(self) -> str:
        """Of the plan that is meant, or its beginning."""
        return self.file.id if self.file else self.plan


class _Request:
    """One `approve`, as asked for on the command line."""

    def __init__(
        self, session: Session, settings: "Settings", store: "SqliteStore", asked: _Asked, format_: str
    ) -> None:
        self._session = session
        self._settings = settings
        self._store = store
        self._asked = asked
        self._is_json = format_ == "json"
        self._hidden: frozenset[str] = frozenset()  # secrets that no server may be quoted with
        self._rest: Callable[[], Survey] | None = None  # plans again for all tasks, where a limit may hold some then

    # --- giving ------------------------------------------------------------------------------------------------------

    def approve(self) -> int:
        """Record an approval for each item that waits for one, or that --force lets through."""
        plan, lifted = self._plans()
        if plan is None:
            return _REFUSED
        chosen = list(self._chosen(plan, lifted))
        if not chosen:
            self._say_why_not(plan)
            return 0
        given = [self._approval(plan, item) for item in chosen]
        if not self._is_json:
            self._show(chosen)
        self._store.approve(*given)  # as one: a daemon counts what is approved together before the first of it goes
        self._conclude("approved", plan.id, given)
        self._say_what_is_too_much(plan, {item.content_id for item in chosen})
        return 0

    def _plans(self) -> "tuple[Plan | None, Mapping[str, Item]]":
        """The plan that is meant, None when it is another one by now; and its items with the rails lifted."""
        from dataclasses import replace

        from reconciler import wiring

        source = wiring.source(self._settings, self._store)
        check_tasks(source, self._store, self._asked.tasks)
        reconciler, rules = wiring.reconciler(self._settings, self._store, source), self._settings.policy
        plan, selection = self._meant(reconciler)
        if plan is None or not self._asked.force:
            return plan, {}
        forcing = replace(rules, forced=frozenset(self._asked.force))
        again = reconciler.survey(forcing, selection, most=0).plan
        return plan, {item.content_id: item for item in again.items if item.content_id}

    def _meant(self, reconciler: "Reconciler") -> "tuple[Plan | None, tuple[str, ...]]":
        """The plan of that id: of all tasks, or of those that are named, or of those that were saved."""
        asked, seen = self._asked, ""
        of_file = tuple(sorted(asked.file.tasks)) if asked.file else ()
        for selection in dict.fromkeys(((), asked.tasks, of_file)):
            survey = reconciler.survey(self._settings.policy, selection, most=0)
            plan, self._hidden = survey.plan, survey.hidden
            if selection or survey.tripped or survey.foreseen:
                self._rest = partial(reconciler.survey, self._settings.policy, most=0)
            seen = seen or plan.id
            if plan.id.startswith(asked.id):
                if asked.file:
                    asked.file.check(plan)
                return plan, selection
        self._refuse(
            f"the plan is not {asked.id[:_DIGITS]} any more but {seen[:_DIGITS]}: files, secrets, records or policy"
            " changed since, or it was made of some tasks only, which --task has to name then; nothing was done"
        )
        return None, ()

    def _chosen(self, plan: "Plan", lifted: "Mapping[str, Item]") -> "Iterator[Item]":
        from reconciler.reconcile import is_chosen

        for item in plan.items:
            freed = lifted.get(item.content_id)
            forced = freed is not None and not {*self._asked.force}.isdisjoint(freed.forced)
            if is_chosen(item.task, self._asked.tasks) and (item.rail == "approval" or forced):
                yield item

    def _approval(self, plan: "Plan", item: "Item") -> "Approval":
        from reconciler.model import Approval

        now = datetime.now(UTC).replace(microsecond=0)
        forced = tuple(rail for rail in FORCIBLE if rail in self._asked.force)
        return Approval(
            content_id=item.content_id,
            task=item.task,
            address=item.address,
            plan=plan.id,
            action=item.intended.value,
            forced=forced,
            reason=self._asked.reason.strip(),
            by=account(),
            at=now,
            until=now + VALID,
        )

    # --- taking back -------------------------------------------------------------------------------------------------

    def revoke(self) -> int:
        """Take back what was approved of that plan, or of items that it has still."""
        from reconciler.reconcile import is_chosen

        known = self._store.approvals()
        of_plan = {number for number, one in known.items() if one.plan.startswith(self._asked.id)}
        if not of_plan:
            plan, _ = self._plans()
            if plan is None:
                return _REFUSED
            of_plan = known.keys() & {item.content_id for item in plan.items}
        found = [known[number] for number in of_plan if is_chosen(known[number].task, self._asked.tasks)]
        gone = [one for one in found if self._store.disapprove(one.content_id, self._asked.reason.strip())]
        self._conclude("revoked", self._asked.id, sorted(gone, key=lambda one: (one.task, one.action)))
        if not gone:
            warn("nothing of that plan is approved")
        return 0

    # --- words -------------------------------------------------------------------------------------------------------

    def _show(self, items: "list[Item]") -> None:
        from reconciler import wiring
        from reconciler.core.render import text
        from reconciler.model import NO_ORIGINS

        for item in wiring.with_outlook(self._settings, items, self._hidden, self._store.resets()):
            self._session.print(text.item_lines(item, str(self._settings.desired_state), NO_ORIGINS))
            self._session.print([()])

    def _say_what_is_too_much(self, plan: "Plan", approved: "set[str]") -> None:
        """Of what was approved, say what a limit of all tasks together holds now."""
        from reconciler.core import limits

        survey = self._rest() if self._rest is not None else None
        items = [item for item in survey.plan.items if item.content_id in approved] if survey is not None else []
        held = {rail for item in items if limits.is_of_the_run(item.reason) for rail in (item.rail, *item.behind)}
        found = {rail: text for rail, text in survey.tripped.items() if rail in held} if survey is not None else {}
        for remark in limits.tripped_remarks(found):
            warn(remark)
        if found:
            warn(f"to send it all the same: {self._command(plan, found)} --reason TEXT")

    def _command(self, plan: "Plan", rails: "Iterable[str]") -> str:
        """The same approval once more, lifting these rails too: of the same items, so that no others go with it."""
        asked = self._asked
        words = ["reconciler", "approve", asked.plan if asked.file else plan.id[:_DIGITS]]
        words += (word for task in asked.tasks for word in ("--task", task))
        words += (word for rail in dict.fromkeys((*asked.force, *rails)) for word in ("--force", rail))
        return shlex.join(words)

    def _say_why_not(self, plan: "Plan") -> None:
        """Nothing waits: of what is asked for, say what holds it, or that it goes anyway."""
        from reconciler.core.render import text, words
        from reconciler.reconcile import is_chosen

        self._conclude("approved", plan.id, [])
        warn(
            "nothing of that plan waits for an approval" + " or is held by what --force lifts" * bool(self._asked.force)
        )
        for item in plan.items:
            if is_chosen(item.task, self._asked.tasks) and item.intended.sends:
                warn(f"{item.task}: {text.headline(item)}: {words.approval(item) or text.why(item)}")

    def _conclude(self, word: str, plan: str, approvals: "list[Approval]") -> None:
        if self._is_json:
            print_json({"version": 1, "plan": plan, word: [row(one) for one in approvals]})
            return
        for one in approvals:
            lifts = f", lifting {', '.join(one.forced)}" if one.forced else ""
            until = f" until {moment(one.until)}" if word == "approved" else ""
            say(f"{one.task}: {one.action} {word}{until}{lifts}")

    def _refuse(self, why: str) -> None:
        warn(why)
        if self._is_json:
            print_json({"version": 1, "plan": None, "refused": why})
