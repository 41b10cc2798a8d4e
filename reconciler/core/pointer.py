"""JSON pointers (RFC 6901) as tuples of tokens, and patterns over them."""

from collections.abc import Iterable

Tokens = tuple[str, ...]


def text(tokens: Iterable[str | int]) -> str:
    """Write tokens as a pointer: `("clients", 0, "a/b")` becomes `/clients/0/a~1b`."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def tokens(pointer: str) -> Tokens:
    """Read a pointer into tokens.

    Raises:
        ValueError: the pointer is not empty and does not begin with "/".
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        message = f'a JSON pointer begins with "/", got "{pointer}"'
        raise ValueError(message)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def covers(pattern: str, pointer: str) -> bool:
    """Whether *pattern* names the value at *pointer* or something that holds it; `*` stands for any one token."""
    wanted, given = tokens(pattern), tokens(pointer)
    return len(wanted) <= len(given) and all(a in ("*", b) for a, b in zip(wanted, given, strict=False))


def touches(pattern: str, pointer: str) -> bool:
    """Whether *pattern* covers *pointer*, or names something inside the value at *pointer*."""
    wanted, given = tokens(pattern), tokens(pointer)
    return all(a in ("*", b) for a, b in zip(wanted, given, strict=False))
