"""The OMS server as the program sees it.

`http.HttpTarget` is the adapter; it is not imported here, because httpx is not needed before a call is made.
"""

from reconciler.target.settings import TargetSettings

__all__ = ["TargetSettings"]
