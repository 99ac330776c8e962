"""Who called: the caller's own word, else the host that the call came from; kept, and never in the way."""

from typing import Any, cast

import grpc.aio
import pytest
from sqlalchemy import select

from tests.rpc.conftest import Running
from tests.rpc.requests import hold, open_account, request
from tollkeeper.rpc.caller import caller_of
from tollkeeper.storage.tables import reservation
from tollkeeper.v1 import ledger_pb2

WORD = "gateway eu-7 (blue)"
HERE = "ipv4:127.0.0.1"


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
def test_a_word_that_does_not_fit_is_as_if_there_were_none(word: Any) -> None:
    assert told("ipv4:192.0.2.7:1", ("tollkeeper-caller", word)) == "ipv4:192.0.2.7"


@pytest.mark.parametrize("word", ["x", "x" * 64, "a b", '"{}\\,'])
def test_a_caller_is_taken_at_its_word(word: str) -> None:
    metadata = (("user-agent", "grpc"), ("tollkeeper-caller", word), ("tollkeeper-caller", "2nd"))

    assert told("ipv4:192.0.2.7:1", *metadata) == word


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


async def test_a_caller_that_no_one_could_be_called_fails_nothing(server: Running) -> None:
    await open_account(server)
    metadata = grpc.aio.Metadata(("tollkeeper-caller", "x" * 65))

    answer = await server.ledger.Authorize(request("Authorize"), metadata=metadata)

    assert answer.reservation.reservation_id
    assert callers(server) == [(HERE, "")]


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
