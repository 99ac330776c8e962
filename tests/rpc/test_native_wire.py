"""How the transport `native` reads and writes the headers of calls."""

from collections.abc import Iterable

import grpc
import pytest
from hpack import Decoder, Encoder, HPACKError, NeverIndexedHeaderTuple
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.rpc.native import wire
from tollkeeper.rpc.native.bounds import Bucket
from tollkeeper.rpc.native.headers import RememberingDecoder, RememberingEncoder

NAMES = st.sampled_from([b":status", b"grpc-status", b"grpc-message", b"x-a", b"x-b"])
VALUES = st.sampled_from([b"200", b"0", b"13", b"a" * 60, b"b" * 900])
HEADERS = st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=3)
SIZES = st.sampled_from([0, 100, 4_096])
# Of few kinds of calls, so that they come again, as on a connection.
STEPS = st.lists(HEADERS, min_size=1, max_size=4).flatmap(
    lambda kinds: st.lists(st.sampled_from(kinds) | SIZES, max_size=40)
)

ONE = [(b"x-a", b"200", False)]
OTHER = [(b"x-b", b"200", False)]
# A table that grows, and one that is emptied, between headers that were remembered.
GROWS: list[list[tuple[bytes, bytes, bool]] | int] = [ONE, ONE, OTHER, ONE, OTHER, ONE]
SHRINKS: list[list[tuple[bytes, bytes, bool]] | int] = [ONE, ONE, 0, ONE, 4_096, ONE, ONE]


def _tuples(headers: list[tuple[bytes, bytes, bool]]) -> list[tuple[bytes, bytes]]:
    return [
        NeverIndexedHeaderTuple(name, value) if never else (name, value)
        for name, value, never in headers
    ]


def _plain(headers: Iterable[tuple[bytes | str, bytes | str]]) -> list[tuple[bytes | str, ...]]:
    return [tuple(each) for each in headers]


@example(GROWS)
@example(SHRINKS)
@settings(max_examples=200)
@given(STEPS)
def test_what_is_remembered_is_encoded_as_anew(
    steps: list[list[tuple[bytes, bytes, bool]] | int],
) -> None:
    ours, theirs = RememberingEncoder(), Encoder()

    for step in steps:
        if isinstance(step, int):
            if step != theirs.header_table_size:  # see the next test
                theirs.header_table_size = step
            ours.header_table_size = step
        else:
            headers = _tuples(step)
            assert ours.encode(headers) == theirs.encode(headers)


@example(GROWS)
@example(SHRINKS)
@settings(max_examples=200)
@given(STEPS)
def test_what_is_remembered_is_decoded_as_anew(
    steps: list[list[tuple[bytes, bytes, bool]] | int],
) -> None:
    peer = Encoder()
    ours, theirs = RememberingDecoder(headers_bytes_max=65_536), Decoder()

    for step in steps:
        if isinstance(step, int):
            # Set to what it is, hpack's encoder forgets to say that it was changed before.
            if step != peer.header_table_size:
                peer.header_table_size = step
        else:
            block = peer.encode(_tuples(step))
            assert _plain(ours.decode(block, raw=True)) == _plain(theirs.decode(block, raw=True))


@given(st.lists(st.binary(max_size=6), max_size=20))
def test_any_bytes_are_decoded_as_anew(blocks: list[bytes]) -> None:
    ours, theirs = RememberingDecoder(headers_bytes_max=65_536), Decoder()

    for block in blocks:
        try:
            expected = _plain(theirs.decode(block, raw=True))
        except HPACKError:
            with pytest.raises(HPACKError):
                ours.decode(block, raw=True)
            return
        assert _plain(ours.decode(block, raw=True)) == expected


def test_a_bucket_holds_no_more_than_its_burst_however_long_nothing_was_taken() -> None:
    bucket = Bucket(10, 2)

    assert bucket.take(10, 1_000.0)
    assert not bucket.take(1, 1_000.0)
    assert bucket.take(1, 1_001.0)
    assert not bucket.take(11, 5_000.0)
    bucket.give(100)
    assert bucket.take(10, 5_000.0)
    assert not bucket.take(1, 5_000.0)
    assert bucket.empty


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"2H", 7_200),
        (b"3M", 180),
        (b"4S", 4),
        (b"250m", 0.25),
        (b"7u", 7e-6),
        (b"8n", 8e-9),
        (b"99999999S", 99_999_999),
        (b"123456789S", None),
        (b"S", None),
        (b"-1S", None),
        (b"1x", None),
        (b"", None),
    ],
)
def test_a_timeout_is_read_or_left(value: bytes, seconds: float | None) -> None:
    assert wire.timeout_s([(b"grpc-timeout", value)]) == seconds


def test_what_belongs_to_the_transport_is_no_metadata() -> None:
    headers = [
        (b":path", b"/x"),
        (b"te", b"trailers"),
        (b"grpc-timeout", b"1S"),
        (b"user-agent", b"me"),
        (b"tollkeeper-caller", b"gateway"),
        (b"x-bin", b"AAE"),
        (b"y-bin", b"not base64!"),
    ]

    assert list(wire.metadata_of(headers)) == [
        ("user-agent", "me"),
        ("tollkeeper-caller", "gateway"),
        ("x-bin", b"\0\1"),
    ]


def test_a_status_is_written_as_grpc_says() -> None:
    found = wire.status_trailers(
        grpc.StatusCode.NOT_FOUND, "50 % of é\n", [("grpc-status-details-bin", b"\0\1"), ("x", "y")]
    )

    assert found == [
        (b"grpc-status", b"5"),
        (b"grpc-message", b"50 %25 of %C3%A9%0A"),
        (b"grpc-status-details-bin", b"AAE"),
        (b"x", b"y"),
    ]


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (("192.0.2.7", 81), "ipv4:192.0.2.7:81"),
        (("2001:db8::7", 81, 0, 0), "ipv6:%5B2001%3Adb8%3A%3A7%5D:81"),
        ("", "unix:"),
    ],
)
def test_a_peer_is_written_as_grpcio_writes_it(address: object, peer: str) -> None:
    assert wire.peer_of(address) == peer
