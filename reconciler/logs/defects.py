"""Where a program broke, without the words of its exceptions: they may quote a secret."""

import traceback
from collections.abc import Iterator
from pathlib import PurePath

from reconciler.core.render.words import safe

MOST_FRAMES = 20  # the innermost ones
_PARTS = 3  # of a path: package, folder, file


def describe_exception(error: BaseException) -> str:
    """One line: `ValueError: reconciler/daemon.py:120 in run; reconciler/source.py:80 in read, caused by OSError: ...`.

    Args:
        error: as it was caught; its message, its arguments and the variables of its frames are left out.
    """
    return safe(", caused by ".join(_place(each) for each in _chain(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _place(error: BaseException) -> str:
    frames = [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-_PARTS:])}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    name = type(error).__name__
    return f"{name}: {'; '.join(frames[-MOST_FRAMES:])}" if frames else name
