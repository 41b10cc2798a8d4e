"""What components had been told at some moment: the answer to `history --at`."""

import json
from collections.abc import Iterator, Sequence
from textwrap import indent
from typing import TYPE_CHECKING

import click

from reconciler import resources
from reconciler.cli.common import Session, printable_json, warn
from reconciler.cli.past import short
from reconciler.core import secrets
from reconciler.core.render.words import safe
from reconciler.core.status import moment
from reconciler.model import SECTIONS, Sections

if TYPE_CHECKING:
    from reconciler.model import Json
    from reconciler.ports import Moment, Told
    from reconciler.state.sqlite import SqliteStore

_PLAN_DIGITS = 12


def print_as_json(store: "SqliteStore", found: "Moment", tasks: tuple[str, ...]) -> None:
    """Print one object; its member "tasks" has one for each component, printed as it is read: a fleet has many."""
    chosen = _chosen(store, found, tasks)
    whole = {"version": 1, "revision": found.revision, "at": found.at.isoformat(), "tasks": []}
    head, _, tail = _json_text(whole).rpartition("[]")
    click.echo(f"{head}[", nl=False)
    for number, (one, sections) in enumerate(_with_content(store, chosen)):
        click.echo(("," if number else "") + "\n" + indent(_json_text(_row(one, sections)), "    "), nl=False)
    click.echo(("\n  ]" if chosen else "]") + tail)


def print_as_text(session: Session, store: "SqliteStore", found: "Moment", tasks: tuple[str, ...]) -> None:
    """Print for each component what it is, how it was told, and the four files; standard error says of which time."""
    for number, (one, sections) in enumerate(_with_content(store, _chosen(store, found, tasks))):
        click.echo(("\n" if number else "") + click.style(safe(one.task), bold=True), color=session.colored)
        for line in (_place(one), _telling(one)):
            click.echo(f"  {safe(line)}")
        for name in SECTIONS:
            click.echo(f"  {name}.json\n" + indent(_json_text(sections[name]), "    "))
    end = "the newest row of the journal" if found.current else "the last one before another revision became current"
    warn(f"as of {moment(found.at)}, {end}; revision {found.revision}")


def _json_text(value: "Json") -> str:
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False))


def _chosen(store: "SqliteStore", found: "Moment", tasks: tuple[str, ...]) -> "list[Told]":
    """What was asked for."""
    from reconciler.reconcile import is_chosen

    everything = store.told(found.sequence)
    _say_what_is_missing(everything, tasks)
    return [one for one in everything if is_chosen(one.task, tasks)]


def _with_content(store: "SqliteStore", chosen: "Sequence[Told]") -> "Iterator[tuple[Told, Sections]]":
    """One by one, because all of it may be much; what a running daemon drops meanwhile is left out."""
    for one in chosen:
        sections = store.told_content(one)
        if sections is not None:
            yield one, _without_secrets(sections)


def _say_what_is_missing(everything: "Sequence[Told]", tasks: tuple[str, ...]) -> None:
    from reconciler.reconcile import is_chosen

    if not everything:
        warn("no component had been told anything then")
        return
    for name in tasks:
        if not any(is_chosen(one.task, (name,)) for one in everything):
            warn(f'no task named "{name}", or in a folder of that name, had been told anything then')


def _without_secrets(sections: Sections) -> Sections:
    """The content under today's rules: what a newer release calls a secret may have been none when it was told."""
    return secrets.seal(sections, secrets.known_places(sections, resources.catalogue()), b"").content


def _row(one: "Told", sections: Sections) -> "Json":
    address = json.loads(one.address)
    return {
        "task": one.task,
        "target": address[0],
        "address": address,
        "component": one.component or None,
        "revision": one.revision or None,
        "told_at": one.at.isoformat(),
        "ticket": one.ticket,
        "plan": one.plan or None,
        "action": one.action or None,
        "sections": {name: sections[name] for name in SECTIONS},
    }


def _place(one: "Told") -> str:
    """The address in words, with the name that the component had."""
    target, kind, *rest = json.loads(one.address)
    if kind != "component":
        return f"target {target}, {kind} {' '.join(map(str, rest))}"
    project, link, index = rest
    named = f": {one.component}" if one.component else ""
    return f"target {target}, component {index} of the {link} link of {project}{named}"


def _telling(one: "Told") -> str:
    parts = {"ticket": one.ticket, "revision": short(one.revision), "plan": one.plan[:_PLAN_DIGITS]}
    told = "".join(f", {name} {value}" for name, value in parts.items() if value)
    return f"{moment(one.at)}: {one.action or 'by an older release'}{told}"
