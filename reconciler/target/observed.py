"""`data` of the two reads -> observed state.

The vendor's pages name the lists of stores only; the names of the component lists are those of the cloud edition, so
they are found without case and may be missing. Words not known yet are kept. Positions in a list matter to the
caller (a component is addressed by its index), so no element is dropped: one that cannot be read is an error.

Source:
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000001792132 (DescribeProjectComponents),
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913060 (DescribeProjectProgress).
"""

from datetime import UTC, datetime

from reconciler.model import Json, Link, ObservedComponent, ObservedProject
from reconciler.target.envelope import detail_texts, member, nested_object, text, whole_number
from reconciler.target.words import Scrubber

_LISTS = ((Link.FORWARD, "incrSyncComponents"), (Link.REVERSE, "reverseIncrSyncComponents"))
_STATUSES = frozenset(("RUNNING", "STOPPED", "EXCEPTION", "FINISHED"))
_LONGEST_WORD = 64
_LONGEST_ERRORS = 1000


class ShapeError(Exception):
    """`data` has another form than documented; the text says what was expected and what was found."""


def components(data: Json, scrub: Scrubber) -> tuple[ObservedComponent, ...]:
    """Read `data` of `DescribeProjectComponents`.

    Args:
        data: `{"incrSyncComponents": [{…}], "reverseIncrSyncComponents": [{…}]}`; null means no components.
        scrub: hides secrets in what the server says.

    Returns:
        Incr-Sync components, forward link first, in the server's order.

    Raises:
        ShapeError: not an object, a list that is none, an element that is no object.
    """
    lists = {} if data is None else nested_object(data)
    if lists is None:
        raise ShapeError("expected data to be an object of component lists, found something else")
    return tuple(
        _component(element, link, scrub, f"{name}[{index}]")
        for link, name in _LISTS
        for index, element in enumerate(_elements(member(lists, name), name))
    )


def project(data: Json, scrub: Scrubber) -> ObservedProject:
    """Read `data` of `DescribeProjectProgress`.

    Args:
        data: `{"status": "RUNNING", "incrSyncCheckpoint": 1742365118, "reverseIncrTransferCheckpoint": 0}`.
        scrub: hides secrets in what the server says.

    Raises:
        ShapeError: not an object, or without a status: whether the project may be touched is then unknown.
    """
    status = text(member(nested_object(data), "status"))
    if not status:
        raise ShapeError("expected data to be an object with a status, found none")
    return ObservedProject(
        status=scrub.words(status, _LONGEST_WORD),
        checkpoint=_position(member(nested_object(data), "incrSyncCheckpoint"), scrub),
        reverse_checkpoint=_position(member(nested_object(data), "reverseIncrTransferCheckpoint"), scrub),
    )


def unix_seconds(value: Json) -> int | None:
    """Read a checkpoint: unix seconds, or the documented UTC text without a zone.

    Args:
        value: `1742365118`, `"1742365118"`, `"2025-03-19T06:18:38"`, also with a blank, a fraction or a zone.

    Returns:
        Unix seconds, None when there is none that can be read.
    """
    number = whole_number(value)
    if number is not None or not isinstance(value, str):
        return number
    try:
        moment = datetime.fromisoformat(value.strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _elements(value: Json, name: str) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ShapeError(f"expected data.{name} to be a list, found something else")
    return value


def _component(element: Json, link: Link, scrub: Scrubber, where: str) -> ObservedComponent:
    if not isinstance(element, dict):
        raise ShapeError(f"expected data.{where} to be an object, found something else")
    status = text(member(element, "status"))
    modified = text(member(element, "gmtModify")) or text(member(element, "gmtModified"))
    return ObservedComponent(
        name=text(member(element, "name")),
        region=text(member(element, "region")),
        link=link,
        status=status if status in _STATUSES else scrub.words(status, _LONGEST_WORD),
        checkpoint=unix_seconds(member(element, "checkpoint")),
        delay_s=whole_number(member(element, "delay")),
        modified=scrub.words(modified, _LONGEST_WORD),
        errors=_errors(member(element, "errorDetails"), scrub),
        tps=whole_number(member(element, "tps")),
    )


def _errors(details: Json, scrub: Scrubber) -> str:
    every = details if isinstance(details, list) else [details]
    texts = dict.fromkeys(found for detail in every for found in detail_texts(detail) if found)
    return scrub.words("; ".join(texts), _LONGEST_ERRORS)


def _position(value: Json, scrub: Scrubber) -> int | str | None:
    number = whole_number(value)
    return number if number is not None else scrub.words(text(value), _LONGEST_WORD) or None
