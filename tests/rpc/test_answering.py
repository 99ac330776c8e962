"""What a caller and the operator see of each end that a call can come to."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.rpc.fakes import FakeEngine
from tests.rpc.wire import raw_call, refusal_of
from tollkeeper.core.change import Denied, Settled
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import DenialReason
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1 import admin_pb2, ledger_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from tollkeeper.v1.admin_pb2_grpc import AdminServiceAsyncStub
    from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceAsyncStub

LOG = "tollkeeper.rpc.answering"
AUTHORIZE = ledger_pb2.AuthorizeRequest(
    account_id="acme", method="GET", path="/v1/leads", request_id="r-7"
)
COMMIT = ledger_pb2.CommitRequest(reservation_id="1a-2b", http_status=200)
SETTLED = Settled(
    ReservationState.COMMITTED, Outcome.VALID_RESPONSE, 10, Balance(90, 90, 0, 0), late=False
)


@dataclass
class Served:
    fake: FakeEngine
    channel: grpc.aio.Channel
    ledger: "LedgerServiceAsyncStub"
    admin: "AdminServiceAsyncStub"


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    fake = FakeEngine()
    server = Server(fake.engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(fake, channel, LedgerServiceStub(channel), AdminServiceStub(channel))
    await server.stop(0)


async def test_a_refusal_arrives_as_it_was_raised(served: Served) -> None:
    served.fake.answer = Refused(
        Reason.RESERVATION_EXPIRED, "reservation 1a-2b expired", metadata={"state": "EXPIRED"}
    )

    refusal = await refusal_of(served.ledger.Commit(COMMIT))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (refusal.reason, refusal.domain) == ("RESERVATION_EXPIRED", "tollkeeper")
    assert refusal.message == "reservation 1a-2b expired"
    assert refusal.metadata == {"state": "EXPIRED"}


async def test_a_fault_is_a_number_to_the_caller_and_a_traceback_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.fake.answer = ZeroDivisionError("SELECT credits FROM account")

    refusal = await refusal_of(served.ledger.Authorize(AUTHORIZE))

    assert refusal.code is grpc.StatusCode.INTERNAL
    incident = refusal.metadata["incident"]
    assert re.fullmatch(r"[0-9a-f]{8}", incident)
    assert refusal.message == f"internal error {incident}; the operator's log has the details"
    assert "SELECT" not in refusal.words
    assert f"internal error {incident} method=Authorize" in caplog.text
    assert "ZeroDivisionError: SELECT credits FROM account" in caplog.text


async def test_two_faults_have_two_numbers(served: Served) -> None:
    refusals = [await refusal_of(served.ledger.Commit(COMMIT)) for _ in range(2)]

    assert refusals[0].metadata["incident"] != refusals[1].metadata["incident"]


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"])
async def test_a_malformed_request_is_refused_in_words(served: Served, raw: bytes) -> None:
    call = raw_call(served.channel, "/tollkeeper.v1.LedgerService/Authorize", raw)

    refusal = await refusal_of(call)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_FIELD"
    assert refusal.message == "the request of Authorize is malformed"


async def test_ten_thousand_bad_prices_are_refused_in_an_answer_that_arrives(
    served: Served,
) -> None:
    bad = [{"method": "get", "path": "v1", "credits": -1}] * 10_000
    request = admin_pb2.PublishPricesRequest(request_id="r-7", prices={"prices": bad})  # pyright: ignore[reportArgumentType] -- a dict serves

    refusal = await refusal_of(served.admin.PublishPrices(request))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields[:2] == ["prices.prices[0].credits", "prices.prices[0].method"]
    assert refusal.descriptions[-1] == f"and {30_000 - len(refusal.fields) + 1} more"


async def test_a_caller_who_goes_takes_the_operation_along(served: Served) -> None:
    served.fake.free.clear()
    call = served.ledger.Authorize(AUTHORIZE)
    await served.fake.arrived.wait()

    call.cancel()

    await asyncio.wait_for(served.fake.left.wait(), 10)


async def test_a_deadline_that_passes_is_the_callers_own(served: Served) -> None:
    served.fake.free.clear()

    refusal = await refusal_of(served.ledger.Authorize(AUTHORIZE, timeout=0.2))

    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(served.fake.left.wait(), 10)


async def test_every_call_is_one_line_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG)
    fake = served.fake

    fake.answer = Denied(DenialReason.INSUFFICIENT_CREDITS, "no", 10, None)
    await served.ledger.Authorize(AUTHORIZE)
    fake.answer = SETTLED
    await served.ledger.Commit(COMMIT)
    fake.answer = Refused(Reason.OVERLOADED, "no")
    await refusal_of(served.ledger.Commit(COMMIT))
    await refusal_of(served.admin.GetAccount(admin_pb2.GetAccountRequest(account_id="a\n b")))

    lines = [re.sub(r"ms=\d+", "ms=N", record.getMessage()) for record in caplog.records]
    assert lines == [
        "rpc method=Authorize account=acme answer=INSUFFICIENT_CREDITS ms=N",
        "rpc method=Commit reservation=1a-2b answer=OK ms=N",
        "rpc method=Commit reservation=1a-2b answer=OVERLOADED ms=N",
        "rpc method=GetAccount account='a\\n b' answer=INVALID_FIELD ms=N",
    ]


async def test_a_call_that_was_cancelled_is_in_the_log_too(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG)
    served.fake.free.clear()

    await refusal_of(served.ledger.Authorize(AUTHORIZE, timeout=0.2))
    await asyncio.wait_for(served.fake.left.wait(), 10)

    assert "rpc method=Authorize account=acme answer=CANCELLED" in caplog.text


async def test_nothing_is_logged_of_a_call_where_nobody_wants_to_know(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, LOG)
    served.fake.answer = SETTLED

    await served.ledger.Commit(COMMIT)

    assert not caplog.records
