"""Reads an answer's body within bounds, compressed or not.

httpx decompresses a whole chunk at once, so that 64 KiB on the wire may become 64 MiB in memory before anybody can
count them. Here a body is inflated in small steps, and both what came and what it becomes count against the limit.
"""

import zlib
from collections.abc import Iterable, Iterator

_STEP_BYTES = 65_536
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # zlib tells the two apart by their headers


class BodyTooLargeError(Exception):
    """The body, or what it inflates to, is over the limit."""


class BodyDamagedError(Exception):
    """The body cannot be inflated, or ends before its end."""


def read_body(chunks: Iterable[bytes], encoding: str, limit_bytes: int) -> bytes:
    """Join a body's chunks, inflated if they are compressed.

    Args:
        chunks: bytes as they come from the wire.
        encoding: value of `Content-Encoding`; "" when absent.
        limit_bytes: most that may come, and most that it may become.

    Returns:
        The body.

    Raises:
        BodyTooLargeError: over the limit.
        BodyDamagedError: not what *encoding* says, or an encoding that was not asked for.

    Source:
        RFC 9110 section 8.4 (content codings).
    """
    match encoding.strip().lower():
        case "" | "identity":
            return b"".join(_limited(chunks, limit_bytes))
        case "gzip" | "x-gzip" | "deflate":
            return b"".join(_limited(_inflated(_limited(chunks, limit_bytes)), limit_bytes))
        case _:
            raise BodyDamagedError("an encoding that was not asked for")


def _limited(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            raise BodyTooLargeError
        yield chunk


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        for chunk in chunks:
            rest = chunk
            while True:
                piece = inflater.decompress(rest, _STEP_BYTES)
                yield piece
                rest = inflater.unconsumed_tail
                if not rest and len(piece) < _STEP_BYTES:  # a full piece may have more behind it without input
                    break
    except zlib.error:
        raise BodyDamagedError("compressed data that cannot be inflated") from None
    if not inflater.eof:
        raise BodyDamagedError("compressed data that ends early")
