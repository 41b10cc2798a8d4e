"""Reads the files that ship with the package: JSON Schemas, the parameter catalogue, the texts of the HTML report."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.core.catalogue import Catalogue, from_data
from reconciler.core.validation import rulebook
from reconciler.model import JsonObject

if TYPE_CHECKING:
    from reconciler.core.render.html import Page

SUFFIX = ".schema.json"


def _schemas() -> Traversable:
    """`reconciler/schemas` in an installed wheel, `schemas` at the top of a checkout."""
    installed = files("reconciler").joinpath("schemas")
    return installed if installed.is_dir() else Path(__file__).parents[1] / "schemas"


def schema_names() -> tuple[str, ...]:
    """Names of all schemas, sorted: `("condition", "coordinator", ...)`."""
    names = (entry.name for entry in _schemas().iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)))


@cache
def schema_text(name: str) -> str:
    """The text of one schema.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    return _schemas().joinpath(name + SUFFIX).read_text(encoding="utf-8")


def schema(name: str) -> JsonObject:
    """One schema, decoded anew for each caller."""
    decoded: JsonObject = json.loads(schema_text(name))
    return decoded


@cache
def catalogue() -> Catalogue:
    """The parameter catalogue."""
    text = files("reconciler.data").joinpath("parameters.json").read_text(encoding="utf-8")
    return from_data(json.loads(text))


@cache
def report_page() -> "Page":
    """Template, style and script of the HTML report."""
    from reconciler.core.render.html import Page  # with it comes Jinja2, which only this report needs

    names = ("report.html.j2", "report.css", "report.js")
    return Page(*(files("reconciler.data").joinpath(name).read_text(encoding="utf-8") for name in names))


@cache
def rules() -> Mapping[str, rulebook.Explanation]:
    """What each rule of validation means, by its id."""
    import tomllib

    text = files("reconciler.data").joinpath("rules.toml").read_text(encoding="utf-8")
    return rulebook.from_data(tomllib.loads(text))
