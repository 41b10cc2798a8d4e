"""What a configuration repository begins with: its files, and how they are written without touching what is there.

The templates are data: `data/init` holds each file as it is written ("dot-" stands for a leading dot), `docs/ci` the
pipelines and their scripts, the same bytes that the documentation shows.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from reconciler import resources
from reconciler.errors import ConfigError

_WORKFLOW = ".github/workflows/reconciler.yml"

PIPELINES: Mapping[str, Mapping[str, str]] = {
    "github": {
        _WORKFLOW: "github-actions.yml",
        "ci/comment-github.sh": "comment-github.sh",
        "ci/plan.sh": "plan.sh",
        "ci/requirements.txt": "requirements.txt",
        "ci/validate-github.sh": "validate-github.sh",
    },
    "gitlab": {
        ".gitlab-ci.yml": "gitlab-ci.yml",
        "ci/comment-gitlab.sh": "comment-gitlab.sh",
        "ci/plan.sh": "plan.sh",
        "ci/requirements.txt": "requirements.txt",
        "ci/validate-gitlab.sh": "validate-gitlab.sh",
    },
    "none": {},
}
"""{code host: {file to write: file of docs/ci}}."""

BRANCH = "main"
"""The branch that the configuration follows as it is written."""

HOOKS = ".pre-commit-config.yaml"
_CONFIGURATION = "reconciler.toml"
_DOT = "dot-"


def contents(host: str, branch: str = BRANCH, *, at_top: bool = True) -> dict[str, str]:
    """Every file to write, as `{path: text}`, sorted.

    Args:
        host: a key of `PIPELINES`.
        branch: whose commits are to be followed.
        at_top: they are for the top of a repository; only there do a pipeline and commit hooks count.
    """
    texts = dict(_templates(files("reconciler.data").joinpath("init"), ""))
    texts |= {f"schemas/{name}{resources.SUFFIX}": resources.schema_text(name) for name in resources.schema_names()}
    texts[_CONFIGURATION] = texts[_CONFIGURATION].replace(f'ref = "{BRANCH}"', f"ref = {json.dumps(branch)}", 1)
    if at_top:
        texts |= {
            path: _pipelines().joinpath(name).read_text(encoding="utf-8") for path, name in PIPELINES[host].items()
        }
        if _WORKFLOW in texts and branch != BRANCH:
            texts[_WORKFLOW] = texts[_WORKFLOW].replace(f"branches: [{BRANCH}]", f"branches: [{json.dumps(branch)}]", 1)
    else:
        del texts[HOOKS]
    return dict(sorted(texts.items()))


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write all of the files, or none.

    Raises:
        ConfigError: one of them is there already, or cannot be written.
    """
    taken = [path for path in texts if _is_taken(folder, path)]
    if taken:
        raise ConfigError(f"{folder}: nothing is written, because these are there already: {', '.join(taken)}")
    with ExitStack() as undo:
        try:
            for path, text in texts.items():
                _make(folder / path, text, undo)
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from error
        undo.pop_all()


def _is_taken(folder: Path, path: str) -> bool:
    """Whether something is where a file is to be, or where one of its folders is."""
    place = folder / path
    between = [parent for parent in place.parents if folder in parent.parents]
    return place.exists() or place.is_symlink() or any(p.exists() and not p.is_dir() for p in between)


def _make(place: Path, text: str, undo: ExitStack) -> None:
    missing = [folder for folder in place.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        undo.callback(folder.rmdir)
    with place.open("x", encoding="utf-8", newline="\n") as file:
        undo.callback(place.unlink)
        file.write(text)


def _pipelines() -> Traversable:
    """`reconciler/data/ci` in an installed wheel, `docs/ci` in a checkout."""
    installed = files("reconciler.data").joinpath("ci")
    return installed if installed.is_dir() else Path(__file__).parents[1] / "docs" / "ci"


def _templates(folder: Traversable, below: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        name = f"{below}{entry.name.replace(_DOT, '.', 1) if entry.name.startswith(_DOT) else entry.name}"
        if entry.is_dir():
            yield from _templates(entry, f"{name}/")
        else:
            yield name, entry.read_text(encoding="utf-8")
