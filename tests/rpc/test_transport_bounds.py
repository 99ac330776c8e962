"""Calls over a bound of the transport: gRPC refuses them, exactly from the bound on (docs/reference/errors.md)."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest

from tests.repo.documents import section, text_of
from tests.rpc.fakes import serving
from tests.rpc.test_answering import SETTLED
from tests.rpc.wire import Refusal, refusal_of
from tollkeeper.v1 import ledger_pb2

COMMIT = "/tollkeeper.v1.LedgerService/Commit"
MESSAGE_MAX, METADATA_MAX = 32 * 1024 * 1024, 16 * 1024
SENT_ALONG = 600
"""More than what the client's library puts into the metadata of a call."""


@pytest.fixture
async def channel() -> AsyncGenerator[Any]:
    async with serving(SETTLED) as served:
        yield served.channel


def commit(channel: Any, raw: bytes = b"", metadata: tuple[tuple[str, str], ...] = ()) -> Any:
    call = channel.unary_unary(COMMIT, None, ledger_pb2.CommitResponse.FromString)
    return call(raw, metadata=metadata)


def assert_of_the_transport(refusal: Refusal) -> None:
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (refusal.reason, refusal.metadata, refusal.fields) == ("", {}, [])


@pytest.mark.parametrize("size", [1_000, 9_000, 12_000, METADATA_MAX - SENT_ALONG])
async def test_metadata_within_the_bound_never_fail_a_call(channel: Any, size: int) -> None:
    request = ledger_pb2.CommitRequest(reservation_id="1-1", http_status=200).SerializeToString()

    for _ in range(30):  # by default gRPC would refuse some of these at random
        answer = await commit(channel, request, (("x-trace", "x" * size),))

        assert answer.credits == 10


@pytest.mark.parametrize(
    "pairs",
    [
        (("x-trace", "x" * METADATA_MAX),),
        (("x-trace", "x" * 1_000_000),),
        tuple((f"x-trace-{n}", "x" * 100) for n in range(140)),
    ],
    ids=["just over", "far over", "many"],
)
async def test_metadata_over_the_bound_are_refused_by_the_transport(
    channel: Any, pairs: tuple[tuple[str, str], ...]
) -> None:
    refusal = await refusal_of(commit(channel, metadata=pairs))

    assert_of_the_transport(refusal)
    beginning = "received metadata size exceeds hard limit ("
    assert refusal.message.startswith(beginning)
    assert beginning in section(text_of("docs/reference/errors.md"), "Errors")
    assert f"vs. {METADATA_MAX})" in refusal.message


async def test_a_message_over_the_bound_is_refused_by_the_transport(channel: Any) -> None:
    refusal = await refusal_of(commit(channel, b"x" * (MESSAGE_MAX + 1)))

    assert_of_the_transport(refusal)
    message = refusal.message.removeprefix("SERVER: ")
    assert message == f"Received message larger than max ({MESSAGE_MAX + 1} vs. {MESSAGE_MAX})"
    assert message in section(text_of("docs/reference/errors.md"), "Errors")


async def test_a_message_of_the_bound_is_read(channel: Any) -> None:
    refusal = await refusal_of(commit(channel, b"x" * MESSAGE_MAX))

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    )
