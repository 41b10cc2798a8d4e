"""What the daemon says while it runs: one line for each event that a person may have to act on.

`lines` words an event, `limit` leaves out what was just said, `output` writes text, JSON or journal fields.
"""

from reconciler.logs.defects import describe_exception
from reconciler.logs.listener import LogListener
from reconciler.logs.output import LogFormat, configure, resolve_format

__all__ = ["LogFormat", "LogListener", "configure", "describe_exception", "resolve_format"]
