"""A plan as a review comment."""

import html
from collections.abc import Iterator

from reconciler.core.fleet import summary
from reconciler.core.render import text, words
from reconciler.model import Action, Item, Plan

_FENCE = "~~~~"


def report(plan: Plan, root: str) -> str:
    """The plan in Markdown: the summary first, then one collapsible block a task that matters."""
    return "\n".join(_lines(plan, root)) + "\n"


def _lines(plan: Plan, root: str) -> Iterator[str]:
    counts = summary(plan)
    yield f"### Plan `{plan.id[: text.SHORT_ID]}`"
    yield ""
    yield "| action | tasks |"
    yield "|---|---|"
    yield from (f"| {action.value} | {counts[action.value]} |" for action in Action if counts[action.value])
    yield ""
    yield f"Components that restart: **{counts['restarts']}**"
    for remark in plan.remarks:
        yield f"\n> **{_inline(remark)}**"
    for item in plan.items:
        if text.matters(item):
            yield ""
            yield from _item(item, root)


def _item(item: Item, root: str) -> Iterator[str]:
    cost = f": {_html('; '.join(item.cost))}" if item.cost else ""
    # Code, because a mention in it notifies nobody.
    head = f"<code>{_html(item.task)}</code> {text.headline(item)}{cost}"
    yield f"<details><summary>{head}</summary>"
    yield ""
    single = Plan(id="", revision="", items=(item,))
    block = text.plain(single, root).splitlines()[1:-2]
    fence = _FENCE
    while any(fence in line for line in block):
        fence += "~"
    yield f"{fence}diff"
    yield from (_diff_line(line) for line in block)
    yield fence
    yield ""
    yield "</details>"


def _diff_line(line: str) -> str:
    """Signs to the first column, where a diff's colours look for them."""
    stripped = line.lstrip()
    if stripped[:2] in ("+ ", "- "):
        return f"{stripped[0]}{' ' * (len(line) - len(stripped))}{stripped[1:]}"
    return f" {line}"


def _html(value: str) -> str:
    """A text inside an HTML block, where Markdown has no say."""
    return html.escape(words.safe(value), quote=False)


def _inline(value: str) -> str:
    """A text inside a paragraph."""
    return "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in _html(value))
