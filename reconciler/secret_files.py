"""Finds the values of secret references: environment, files, systemd credentials.

Values are read anew for every pass and kept nowhere.
"""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.errors import SecretError

MAX_BYTES = 65_536


def resolver(environment: Mapping[str, str] | None = None) -> Callable[[str, str], str]:
    """A function (scheme, name) -> value.

    Args:
        environment: where `env` and `$CREDENTIALS_DIRECTORY` are looked up; that of the process when None.
    """
    found = os.environ if environment is None else environment

    def value(scheme: str, name: str) -> str:
        text = _value(found, scheme, name)
        if not text:
            # A variable that was not filled in, a file half written: sent, it would cut a component off.
            raise SecretError(f"${{{scheme}:{name}}}: is empty; if that is meant, write the empty text itself")
        return text

    return value


def _value(environment: Mapping[str, str], scheme: str, name: str) -> str:
    if scheme == "env":
        return _from_environment(environment, name)
    if scheme == "file":
        return _from_file(Path(name), f"${{file:{name}}}")
    return _from_credential(environment, name)


def _from_environment(environment: Mapping[str, str], name: str) -> str:
    if name not in environment:
        raise SecretError(f"${{env:{name}}}: the environment has no variable {name}; set it where reconciler runs")
    return environment[name]


def _from_credential(environment: Mapping[str, str], name: str) -> str:
    directory = environment.get("CREDENTIALS_DIRECTORY")
    reference = f"${{credential:{name}}}"
    if not directory:
        raise SecretError(
            f"{reference}: $CREDENTIALS_DIRECTORY is not set; credentials exist in a systemd service only"
        )
    return _from_file(Path(directory) / name, reference)


def _from_file(path: Path, reference: str) -> str:
    """The text of a small regular file, less one line feed at its end, as editors write it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{reference}: {path} is not a regular file")
        if status.st_size > MAX_BYTES:
            raise SecretError(f"{reference}: {path} has {status.st_size} bytes, expected at most {MAX_BYTES}")
        return path.read_bytes().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise SecretError(f"{reference}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        # "from None": the exception holds the bytes of the secret.
        raise SecretError(f"{reference}: {path} is not UTF-8 text") from None
