import gzip
import tracemalloc
import zlib

import pytest

from reconciler.target.body import BodyDamagedError, BodyTooLargeError, read_body

TEXT = b'{"success": true}'


def in_pieces(data, size=7):
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        pytest.param("", TEXT, id="plain"),
        pytest.param("Identity", TEXT, id="identity"),
        pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
        pytest.param(" X-GZIP ", gzip.compress(TEXT), id="x-gzip"),
        pytest.param("deflate", zlib.compress(TEXT), id="deflate"),
    ],
)
def test_body_is_joined_and_inflated(encoding, data):
    assert read_body(in_pieces(data), encoding, 1000) == TEXT


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        pytest.param("gzip", gzip.compress(TEXT)[:-3], id="ends early"),
        pytest.param("gzip", b"", id="nothing"),
        pytest.param("gzip", TEXT, id="not compressed"),
        pytest.param("br", TEXT, id="not asked for"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(TEXT)), id="twice"),
    ],
)
def test_body_that_is_not_what_it_says_is_damaged(encoding, data):
    with pytest.raises(BodyDamagedError):
        read_body(in_pieces(data), encoding, 1000)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        pytest.param("", bytes(1001), id="plain"),
        pytest.param("gzip", gzip.compress(bytes(1001)), id="inflated"),
        pytest.param("gzip", gzip.compress(b"") + bytes(1001), id="rubbish behind the end"),
    ],
)
def test_body_over_the_limit_is_too_large(encoding, data):
    with pytest.raises(BodyTooLargeError):
        read_body(in_pieces(data), encoding, 1000)


def test_body_at_the_limit_is_read():
    assert len(read_body([gzip.compress(bytes(200_000))], "gzip", 200_000)) == 200_000


def test_bomb_is_never_inflated_whole():
    bomb = gzip.compress(bytes(64 * 1024**2))
    tracemalloc.start()
    with pytest.raises(BodyTooLargeError):
        read_body([bomb], "gzip", 1024**2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024**2
