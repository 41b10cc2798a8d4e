"""TLS: whom to trust, once for all clients, and why somebody was not trusted.

The certificate authorities are the system's, not the list that httpx ships: operators install their company's there.
Reading them takes most of the time that a client takes to make, so contexts are shared.
"""

import ssl
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path


class _SharedContext(ssl.SSLContext):
    """A context that several threads use at once.

    httpcore sets the protocols to negotiate before each handshake. That replaces a buffer which a handshake of another
    thread may be reading, so they are set once, and later wishes, all of them the same, are ignored.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Keep what was set when the context was made."""


def client_context(ca_file: str) -> ssl.SSLContext:
    """Context that checks certificate and host name; the same one as long as the file stays the same.

    Args:
        ca_file: PEM file of the authorities to trust, and no others; "" = the system's, where OpenSSL also looks at
            the environment (`SSL_CERT_FILE`), read once in the life of the process.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    if not ca_file:
        return _context("", 0, 0)
    state = Path(ca_file).stat()
    return _context(ca_file, state.st_mtime_ns, state.st_size)


def unused_context() -> ssl.SSLContext:
    """Context for plain HTTP, because httpx would read the authorities otherwise; it trusts nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Find the reason why a certificate was not trusted behind the exceptions of httpx and httpcore."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


@lru_cache(maxsize=64)
def _context(ca_file: str, _changed_ns: int, _size: int) -> ssl.SSLContext:
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    else:
        context.load_default_certs()
    return context
