"""The statements of `queries.sql` and the scripts in `migrations/`, by name and by number."""

import re
from collections.abc import Mapping
from importlib import resources

_FILES = resources.files("reconciler.state")


def _queries() -> Mapping[str, str]:
    """Statements by the names above them, `{"records": "SELECT ..."}`."""
    text = _FILES.joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _migrations() -> tuple[str, ...]:
    """Scripts in order; the first leads from an empty database to version 1."""
    folder = _FILES.joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


QUERIES = _queries()
MIGRATIONS = _migrations()
