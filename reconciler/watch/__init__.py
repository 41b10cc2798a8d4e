"""Notices that files below the desired-state directory may have changed, and says where to look again.

What is in the files, and whether it is new at all, is for others to find out. A change that is told twice costs a
look; one that is missed is found by the next resync. `watch.Watch` is the whole of it for the daemon; `inotify`
learns of changes from the kernel, `polling` by listing the directory, `rules` holds what they share.
"""

from reconciler.watch.rules import Touched
from reconciler.watch.watch import Watch

__all__ = ["Touched", "Watch"]
