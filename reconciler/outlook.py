"""Asks the servers how far the resets of a plan move their links: for people only, and no part of any id."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Self

from reconciler.core import outlook
from reconciler.errors import PermanentTargetError, ReconcilerError
from reconciler.model import Action, Item, Outlook, ResetEntry, ResetKey
from reconciler.ports import Target

Open = Callable[[str, Collection[str]], Target]
"""Opens a target by its name; the collection is of texts to hide in what the server says."""


_EMPTY: Mapping[ResetKey, ResetEntry] = {}


def with_outlook(
    items: Iterable[Item],
    open_target: Open,
    hide: Collection[str] = (),
    ledger: Mapping[ResetKey, ResetEntry] = _EMPTY,
) -> tuple[Item, ...]:
    """The items, resets with what they would do to their links; a server is asked only where there is a reset.

    A server that cannot be asked costs a remark, nothing else.

    Args:
        items: of a plan.
        open_target: see there.
        hide: secrets that a server must not be quoted with.
        ledger: knows where links were before the resets whose outcome is unknown.
    """
    with _Looks(open_target, hide, ledger) as looks:
        return tuple(looks.looked_up(item) for item in items)


class _Looks:
    """Servers that are asked for one plan; one that did not answer is not asked again."""

    def __init__(self, open_target: Open, hide: Collection[str], ledger: Mapping[ResetKey, ResetEntry]) -> None:
        self._open_target = open_target
        self._hide = hide
        self._ledger = ledger
        self._open: dict[str, Target] = {}
        self._silent: dict[str, str] = {}  # {target: why it does not answer}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def looked_up(self, item: Item) -> Item:
        """An item, with the outlook of a reset that may still be sent."""
        wanted = item.outlook
        if wanted is None or item.intended is not Action.RESET or item.action is Action.INVALID:
            return item
        if wanted.stage is not None and wanted.stage.is_under_way:
            return item
        entry = self._ledger.get(wanted.key)
        found = self._seen(replace(wanted, position_before=entry.position_before) if entry else wanted)
        return replace(item, outlook=found, remarks=(*item.remarks, *outlook.sentences(found)))

    def _seen(self, wanted: Outlook) -> Outlook:
        name, project = wanted.key.target, wanted.key.project
        if name in self._silent:
            return replace(wanted, problem=self._silent[name])
        try:
            target = self._target(name)
            return outlook.seen(wanted, target.progress(project), target.components(project))
        except PermanentTargetError as error:  # of this project: others may be there
            return replace(wanted, problem=str(error))
        except ReconcilerError as error:
            self._silent[name] = str(error)
            return replace(wanted, problem=str(error))

    def _target(self, name: str) -> Target:
        if name not in self._open:
            self._open[name] = self._stack.enter_context(closing(self._open_target(name, self._hide)))
        return self._open[name]
