"""Runs inside a daemon, at the start of its interpreter: lets one file hang, as on a file server that went away.

HANG_AT is the path of a file. While that is there, the main thread hangs when it opens a file whose path ends like the
text in it. No file system of a test machine can be made to hang without privileges; a loop that hangs in `open` looks
the same to everything else.
"""

import os
import threading
import time
from pathlib import Path

WANTED = Path(os.environ["HANG_AT"])
REACHED = WANTED.with_name("hangs")
MUCH_LATER_S = 120.0
really_open, really_now = os.open, time.monotonic
late_s = [0.0]


def open_or_hang(path, *arguments, **named):
    if threading.current_thread() is threading.main_thread() and is_meant(path):
        hang()
    return really_open(path, *arguments, **named)


def is_meant(path):
    try:
        return str(path).endswith(WANTED.read_text())
    except FileNotFoundError:
        return False


def hang():
    """Until the file is gone; the steady clock goes on by minutes at once, so that no test has to wait them out."""
    REACHED.touch()
    late_s[0] += MUCH_LATER_S
    while WANTED.exists():
        time.sleep(0.01)
    REACHED.unlink()


os.open = open_or_hang
time.monotonic = lambda: really_now() + late_s[0]
