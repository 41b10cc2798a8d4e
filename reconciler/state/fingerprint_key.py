"""The key that secret fingerprints are made with: 32 random bytes in a file of their own, never in the database."""

import os
import secrets
import stat
import tempfile
from pathlib import Path

from reconciler.errors import StateStoreError
from reconciler.state.sqlite_errors import mapped_errors

KEY_SIZE_BYTES = 32


def random_key() -> bytes:
    """A key that no stored fingerprint was made with."""
    return secrets.token_bytes(KEY_SIZE_BYTES)


def load_key(path: Path) -> bytes | None:
    """Read a key; None when there is no file.

    Raises:
        StateStoreError: others may read the file, or it does not hold a key.
    """
    with mapped_errors(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            key = file.read(KEY_SIZE_BYTES + 1)
    if mode & 0o077:
        raise StateStoreError(
            f"{path}: expected mode 0600, found {mode:04o}, so others may read it: chmod 600 '{path}'"
        )
    if len(key) != KEY_SIZE_BYTES:
        found = f"{len(key)} bytes" if len(key) < KEY_SIZE_BYTES else "more"
        raise StateStoreError(
            f"{path}: expected {KEY_SIZE_BYTES} bytes, found {found}: restore it from the backup, or remove it to "
            "start a new one (changed secrets are then not noticed once)"
        )
    return key


def load_or_make_key(path: Path) -> bytes:
    """Read a key, made on first use; processes that do this at once get the same one.

    Raises:
        StateStoreError: see `load_key`; or the file cannot be written.
    """
    key = load_key(path)
    if key is None:
        with mapped_errors(path):
            _make(path)
        key = load_key(path)
    if key is None:
        raise StateStoreError(f"{path}: was removed while it was made: try again")
    return key


def _make(path: Path) -> None:
    """Put a whole key in place, or leave the one that somebody else was faster with."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(random_key())
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(name, path)
        except FileExistsError:
            return
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        Path(name).unlink()
