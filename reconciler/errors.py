"""Every exception of the project.

    ReconcilerError
    |- ConfigError                   reconciler.toml or its overrides are wrong
    |- DesiredStateError             the directory as a whole cannot be read
    |  `- SecretError                a reference cannot be resolved
    |- TargetError                   a call did not end in success
    |  |- TemporaryTargetError       certainly without effect: try again later
    |  |- UnknownOutcomeError        sent, no clear answer: the effect is unknown
    |  |- PermanentTargetError       refused: the same request would be refused again
    |  |- TargetMisconfiguredError   credentials, address or certificate are wrong: stop using the target
    |  `- CapabilityMissingError     the server does not know the action
    `- StateStoreError               the store cannot be read or written
       |- StoreLockedError           somebody else holds the writer lock
       `- MigrationError             the database is newer than the program, or damaged

The loop asks only which of the five kinds it has. Foreign exceptions (httpx, sqlite3) are mapped to these
once, in their adapter. Violations in users' files are values (`model.Violation`), not exceptions.
"""


class ReconcilerError(Exception):
    """Base of every error that the program reports without a traceback."""


class ConfigError(ReconcilerError):
    """`reconciler.toml` or an override in the environment is wrong; the message holds every problem found."""


class DesiredStateError(ReconcilerError):
    """The desired state cannot be read as a whole."""


class SecretError(DesiredStateError):
    """A secret reference cannot be resolved; the message names the reference and never a value."""


class TargetError(ReconcilerError):
    """A call to a target did not end in success.

    Args:
        message: what happened and what to do; never a secret, never a whole body.
        code: the server's error code (`PARAM_ERROR`, `GHANA-OPERAT000001`), when it gave one.
        request_id: the server's trace id, when it gave one.
    """

    def __init__(self, message: str, *, code: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class TemporaryTargetError(TargetError):
    """Certainly without effect; the same call may succeed later.

    Args:
        message: see `TargetError`.
        retry_after_s: the server's own wish, seconds, when it gave one.
        capped: True when repeating it must end after a few attempts (a business failure that calls itself transient).
        code: see `TargetError`.
        request_id: see `TargetError`.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        capped: bool = False,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.retry_after_s = retry_after_s
        self.capped = capped


class UnknownOutcomeError(TargetError):
    """The request was sent and no clear answer came back: it may or may not have had its effect."""


class PermanentTargetError(TargetError):
    """Refused for a reason that repeating the request does not change."""


class TargetMisconfiguredError(TargetError):
    """Credentials, address or certificate are wrong: no call to this target can succeed."""


class CapabilityMissingError(TargetError):
    """The server does not know the action."""


class StateStoreError(ReconcilerError):
    """The state store cannot be read or written."""


class StoreLockedError(StateStoreError):
    """Somebody else holds the writer lock; the message names the holder."""


class MigrationError(StateStoreError):
    """The database belongs to a newer release, or cannot be brought to this one."""
