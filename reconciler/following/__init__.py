"""Commits as the daemon's desired state: what makes it read another one, and what keeps it from the newest."""

from reconciler.following.commits import Commits, Opened
from reconciler.following.fetching import Fetching

__all__ = ["Commits", "Fetching", "Opened"]
