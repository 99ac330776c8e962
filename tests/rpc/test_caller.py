"""Who called: the caller's own word, else the host that the call came from; a bad word is an error of the call."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory
from sqlalchemy import select

from tests.rpc.conftest import Running
from tests.rpc.requests import hold, open_account, request
from tests.rpc.wire import refusal_of
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.rpc.caller import caller_of, check_caller
from tollkeeper.storage.schema.tables import reservation
from tollkeeper.v1 import admin_pb2, ledger_pb2, webhooks_pb2

WORD = "gateway eu-7 (blue)"
HERE = "ipv4:127.0.0.1"
PEER = "ipv4:192.0.2.7:1"
BAD = "tollkeeper-caller: must be 1 to 64 printable ASCII characters, without a space at its ends"
TWICE = "tollkeeper-caller: is in the metadata more than once; say it once"


class Call:
    """The context of a call, as far as it tells who calls."""

    def __init__(self, peer: str, *metadata: tuple[str, Any]) -> None:
        self._peer = peer
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, Any], ...]:
        """What the caller sent along."""
        return self._metadata

    def peer(self) -> str:
        """Where the call came from."""
        return self._peer


def told(peer: str, *metadata: tuple[str, Any]) -> str:
    return caller_of(cast("Any", Call(peer, *metadata)))


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:192.0.2.7:50712", "ipv4:192.0.2.7"),
        ("ipv6:%5B2001:db8::7%5D:50712", "ipv6:[2001:db8::7]"),
        ("ipv6:[2001:db8::7]:50712", "ipv6:[2001:db8::7]"),
        ("unix:", "unix:"),
        ("unix:/run/gateway.sock", "unix:"),
    ],
)
def test_a_caller_that_says_nothing_is_its_host(peer: str, host: str) -> None:
    assert told(peer) == host
    assert told(peer, ("user-agent", "grpc")) == host


@pytest.mark.parametrize(
    "word", ["x" * 65, "", " ", " a", "a ", "a\nb", "\u00e9", b"bytes", "a\x7f"]
)
@pytest.mark.parametrize("ask", [caller_of, check_caller])
def test_a_word_that_nobody_can_be_called_by_is_a_bad_field(ask: Any, word: Any) -> None:
    with pytest.raises(Refused) as refused:
        ask(Call(PEER, ("tollkeeper-caller", word)))

    assert refused.value.reason is Reason.INVALID_FIELD
    assert refused.value.message == BAD


@pytest.mark.parametrize("second", ["b", "a", "x" * 65])
def test_two_words_are_a_bad_field_whatever_they_are(second: str) -> None:
    with pytest.raises(Refused, match=f"^{TWICE}$"):
        told(PEER, ("tollkeeper-caller", "a"), ("other", "b"), ("tollkeeper-caller", second))


@pytest.mark.parametrize("word", ["x", "x" * 64, "a b", '"{}\\,'])
def test_a_caller_is_taken_at_its_word(word: str) -> None:
    metadata = (("user-agent", "grpc"), ("tollkeeper-caller", word))

    assert told(PEER, *metadata) == word


async def test_each_call_of_a_hold_keeps_its_own_caller(server: Running) -> None:
    await open_account(server)
    authorize, word = request("Authorize"), (("tollkeeper-caller", WORD),)

    held = (await server.ledger.Authorize(authorize, metadata=word)).reservation.reservation_id
    assert callers(server) == [(WORD, "")]
    await server.ledger.Commit(request("Commit", reservation_id=held))

    assert callers(server) == [(WORD, HERE)]


async def test_a_repeat_keeps_the_first_caller(server: Running) -> None:
    await open_account(server)
    held = await hold(server, "r-1")
    again = (("tollkeeper-caller", "another"),)
    release = request("Release", reservation_id=held)

    repeated = await server.ledger.Authorize(request("Authorize"), metadata=again)
    await server.ledger.Release(release)
    released = await server.ledger.Release(release, metadata=again)

    assert repeated.replayed
    assert released.replayed
    assert callers(server) == [(HERE, HERE)]


async def test_every_method_refuses_a_bad_word_and_changes_nothing(server: Running) -> None:
    await open_account(server)
    before = server.rows()

    for method, call in methods(server):
        for words, message in ((["x" * 65], BAD), ([""], BAD), (["x" * 64, "y"], TWICE)):
            metadata = grpc.aio.Metadata(*[("tollkeeper-caller", word) for word in words])
            refusal = await refusal_of(call(metadata))

            assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT, method
            assert (refusal.reason, refusal.domain) == ("INVALID_FIELD", "tollkeeper"), method
            assert (refusal.fields, refusal.message) == (["tollkeeper-caller"], message), method

    assert server.rows() == before


async def test_every_operation_of_a_batch_and_of_a_session_has_the_caller_of_the_call(
    server: Running,
) -> None:
    await open_account(server)
    word = (("tollkeeper-caller", WORD),)
    operations = [ledger_pb2.Operation(authorize=request("Authorize"))]

    batch = ledger_pb2.BatchRequest(operations=operations)
    held = (await server.ledger.Batch(batch, metadata=word)).results[0].authorize.reservation
    commit = request("Commit", reservation_id=held.reservation_id)
    stream = server.ledger.Session(metadata=word)
    operations = [ledger_pb2.Operation(commit=commit)]
    await stream.write(ledger_pb2.SessionRequest(sequence=1, operations=operations))
    await stream.read()
    await stream.done_writing()

    assert callers(server) == [(WORD, WORD)]


def callers(server: Running) -> list[tuple[str, str]]:
    with server.database.connect() as connection:
        found = connection.execute(select(reservation.c.authorized_by, reservation.c.settled_by))
        return [(row[0], row[1]) for row in found]


def methods(server: Running) -> list[tuple[str, Callable[[grpc.aio.Metadata], Awaitable[Any]]]]:
    """Every method of every service of ours: its name, and what calls it with an empty request and reads an answer."""
    found: list[tuple[str, Callable[[grpc.aio.Metadata], Awaitable[Any]]]] = []
    for file, stub in (
        (ledger_pb2, server.ledger),
        (admin_pb2, server.admin),
        (webhooks_pb2, server.webhooks),
    ):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                asked = () if method.client_streaming else (kind_of(method.input_type)(),)
                call = partial(getattr(stub, method.name), *asked)
                streams = method.server_streaming
                found.append((method.name, partial(first_answer, call, streams)))
    return found


def kind_of(message: Any) -> type[Any]:
    return message_factory.GetMessageClass(message)


async def first_answer(call: Any, streams: bool, metadata: grpc.aio.Metadata) -> Any:
    return await (call(metadata=metadata).read() if streams else call(metadata=metadata))
