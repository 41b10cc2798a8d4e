"""A plan as one HTML file that needs nothing else: no network, no other file, no script to be read.

The texts of the page (template, style, script) arrive as a value. Everything that comes from outside is made safe here
(`words.safe`) and escaped by the template; the page's policy lets no script run but the one whose digest it names.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from jinja2 import Environment, StrictUndefined, Template

from reconciler.core import rails
from reconciler.core.fleet import summary
from reconciler.core.render import danger, text, views, words
from reconciler.model import NO_ORIGINS, Origins, Plan

_LONGEST = 2_000  # characters of a remark, a path


@dataclass(frozen=True, slots=True)
class Page:
    """The texts that a report is made of, as they ship with the package (`resources.report_page`)."""

    template: str  # Jinja2
    style: str  # CSS, without "</"
    script: str  # JavaScript, without "</"


@dataclass(frozen=True, slots=True)
class Part:
    """One of the plans of a page."""

    plan: Plan
    origins: Origins = NO_ORIGINS  # whose commits it comes from
    title: str = ""  # where there are several


def report(plan: Plan, root: str, origins: Origins = NO_ORIGINS, *, page: Page, full: bool = False) -> str:
    """One plan as a whole HTML document; see `reports`."""
    return reports([Part(plan, origins)], root, page=page, full=full)


def reports(parts: Sequence[Part], root: str, *, page: Page, full: bool = False) -> str:
    """Plans as a whole HTML document, one below the other; the same plans give the same bytes.

    Args:
        parts: at least one.
        root: path of the desired state, put in front of file names.
        page: template, style and script.
        full: list also what stays as it is, instead of a count of it.
    """
    sections = [_section(part, root, full=full) for part in parts]
    return _compiled(page.template).render(
        page=page,
        policy=_policy(page),
        root=words.short(root, _LONGEST),
        parts=sections,
        chips=list(sum((section.groups for section in sections), Counter()).items()),
        number=sum(section.number for section in sections),
    )


@dataclass(frozen=True, slots=True)
class _Section:
    """One plan, ready for the template."""

    title: str
    id: str
    revision: str
    alarms: list[str]
    remarks: list[str]
    rails: str  # how they stand, in a line; "" where that was not looked at
    tiles: "list[_Tile]"
    tasks: Iterator[views.View]
    groups: Counter[str]
    number: int  # of tasks that are shown
    quiet: int  # of those that are not


def _section(part: Part, root: str, *, full: bool) -> _Section:
    plan = part.plan
    shown = [item for item in danger.by_danger(plan.items) if full or text.matters(item)]
    return _Section(
        title=words.short(part.title, _LONGEST),
        id=plan.id,
        revision=words.short(plan.revision, _LONGEST),
        alarms=list(danger.alarms(plan)),
        remarks=[words.short(remark, _LONGEST) for remark in words.remarks(plan, part.origins)],
        rails=words.short(rails.line(plan.rails), _LONGEST) if plan.rails else "",
        tiles=list(_tiles(plan)),
        tasks=(views.view(item, root, part.origins) for item in shown),
        groups=Counter(map(views.group_of, shown)),
        number=len(shown),
        quiet=len({item.task for item in plan.items} - {item.task for item in shown}),
    )


@cache
def _compiled(template: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template)


def _policy(page: Page) -> str:
    """The Content Security Policy: this style, this script, and nothing from anywhere.

    Source:
        https://www.w3.org/TR/CSP3/#framework-directive-source-list
    """
    style, script = (b64encode(sha256(part.encode()).digest()).decode() for part in (page.style, page.script))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


# --- the plan ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tile:
    """A number of the summary."""

    number: int
    label: str
    tone: str  # of a number that is not 0
    aside: str = ""


def _tiles(plan: Plan) -> Iterator[_Tile]:
    counts = summary(plan)
    yield _Tile(counts["tasks"], "tasks" if counts["tasks"] != 1 else "task", "")
    yield _Tile(counts["restarts"], "restarts", "blue")
    yield _Tile(sum(map(danger.deletes, plan.items)), "delete keys", "red")
    levels = danger.levels(plan)
    told = ", ".join(f"{number:,} {level.value}" for level, number in levels.items())
    yield _Tile(sum(levels.values()), "dangers", "amber", told)
    yield _Tile(counts["blocked"] + counts["suspended"], "held", "amber")
    yield _Tile(counts["invalid"] + counts["failed"], "invalid or failed", "red")
