"""Keys of GPG and SSH for tests, and commits signed with them."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.repositories import Repo

LAST_CENTURY = "20200101T000000!"  # of gpg's clock, when a key is made that has expired since


def _run(*command: str, input: str | None = None, **env: str) -> str:  # noqa: A002
    done = subprocess.run(
        command, input=input, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, **env}
    )
    return done.stdout


@dataclass
class Keyring:
    """A GNUPGHOME of its own. Its path is short, because gpg's agent listens on a socket in it."""

    home: Path

    def make(self, name: str, *options: str, expires: str = "never") -> str:
        """A key without a passphrase; returns its fingerprint."""
        made = ("--quick-gen-key", f"{name} <{name}@example.com>", "ed25519", "sign", expires)
        self._gpg(*options, "--pinentry-mode", "loopback", "--passphrase", "", *made)
        return re.findall(r"^fpr:+([0-9A-F]+):", self._gpg("--list-keys", "--with-colons", name), re.MULTILINE)[0]

    def revoke(self, key: str) -> None:
        """With the certificate that gpg writes for each key it makes."""
        certificate = (self.home / "openpgp-revocs.d" / f"{key}.rev").read_text()
        self._gpg("--import", input=certificate.replace(":-----BEGIN", "-----BEGIN"))

    def close(self) -> None:
        """End gpg's agent."""
        _run("gpgconf", "--kill", "all", GNUPGHOME=str(self.home))

    def _gpg(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        return _run("gpg", "--batch", "--quiet", *arguments, input=input, GNUPGHOME=str(self.home))


def ssh_key(path: Path) -> str:
    """Make a key in a file; returns the public one."""
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path))
    return path.with_suffix(".pub").read_text().strip()


def signed_by_gpg(repo: Repo, keyring: Keyring, key: str, *, clock: str = "") -> str:
    """A commit signed with that key; returns its id."""
    program = keyring.home / "gpg-of-then"
    program.write_text(f'#!/bin/sh\nexec gpg {f"--faked-system-time {clock}" if clock else ""} "$@"\n')
    program.chmod(0o755)
    options = ("-c", f"user.signingKey={key}", "-c", f"gpg.program={program}")
    return _signed(repo, options, GNUPGHOME=str(keyring.home))


def signed_by_ssh(repo: Repo, key: Path) -> str:
    """A commit signed with that key; returns its id."""
    return _signed(repo, ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"))


def _signed(repo: Repo, options: tuple[str, ...], **env: str) -> str:
    repo.git("add", "-A")
    repo.git(*options, "commit", "--quiet", "--allow-empty", "-S", "-m", "signed", env=env)
    return repo.head()


def tampered(repo: Repo, commit: str) -> str:
    """The same commit with another message, its signature kept; returns its id."""
    text = repo.git("cat-file", "commit", commit).replace("\n\nsigned", "\n\nforged")
    return repo.git("hash-object", "-t", "commit", "-w", "--stdin", input=f"{text}\n")
