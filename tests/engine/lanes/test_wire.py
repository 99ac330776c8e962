"""What goes to a lane's writer and comes back arrives as it was, types and all."""

from typing import cast

import pytest

from tollkeeper.core.change import Authorized, Denied, Extended, Settled
from tollkeeper.core.commands import Authorize, Commit, EndOverdue, Extend, GrantCredits, Release
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.reservation import ReservationName, ReservationState
from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.lanes import wire
from tollkeeper.engine.lanes.writer import Execute, Sweep

NAME = ReservationName(64, 7)
BALANCE = Balance(90, 100, 10, 0)
COMMANDS = [
    Authorize("a", "GET", parse("/v1/%6Ceads;x"), "r", 5, dry_run=True, caller="10.0.0.1"),
    Authorize("a", "GET", parse("/v1/leads"), "r"),
    Commit(NAME, http_status=204, caller="gateway"),
    Commit(NAME, outcome=Outcome.BLOCKED),
    Release(NAME, Outcome.RATE_LIMITED),
    Extend(NAME, 5),
    EndOverdue(NAME),
    GrantCredits("a", "g", 100, note="welcome"),
]
RESULTS = [
    Authorized(NAME, 10, 3, ReservationState.HELD, 1, 2, BALANCE, replayed=True),
    Authorized(None, 0, 0, None, 0, 0, BALANCE),
    Denied(DenialReason.INSUFFICIENT_CREDITS, "too little", 10, BALANCE, 4, "limit", 5),
    Denied(DenialReason.ACCOUNT_NOT_FOUND, "none", 0, None),
    Settled(ReservationState.EXPIRED, Outcome.CANCELLED, 0, BALANCE, late=True, replayed=True),
    Settled(ReservationState.COMMITTED, Outcome.VALID_RESPONSE, 10, BALANCE),
    Extended(9, BALANCE),
    None,
]


def test_operations_arrive_as_they_were() -> None:
    arrived = wire.read_task(wire.write_task(Execute(COMMANDS)))

    assert isinstance(arrived, Execute)
    assert arrived.commands == COMMANDS
    assert typed(arrived.commands) == typed(COMMANDS)


def test_a_job_arrives_as_it_was() -> None:
    assert type(wire.read_task(wire.write_task(Sweep()))) is Sweep


def test_results_arrive_as_they_were() -> None:
    arrived = wire.read_answer(wire.write_answer(RESULTS))

    assert arrived == RESULTS
    assert typed(arrived) == typed(RESULTS)


@pytest.mark.parametrize("answer", [True, None, 7])
def test_the_answer_to_a_job_arrives_as_it_was(answer: object) -> None:
    assert wire.read_answer(wire.write_answer(answer)) is answer


def test_a_refusal_among_results_arrives_with_its_reason() -> None:
    arrived = wire.read_answer(wire.write_answer([RESULTS[0], Refused(Reason.OVERLOADED, "full")]))

    result, refused = cast("list[object]", arrived)
    assert result == RESULTS[0]
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.message) == (Reason.OVERLOADED, "full")


@pytest.mark.parametrize("answer", [[KeyError("lost")], KeyError("lost")])
def test_a_fault_arrives_as_a_writer_s_with_its_traceback(answer: object) -> None:
    arrived = wire.read_answer(wire.write_answer(answer))

    fault = cast("list[object]", arrived)[0] if isinstance(arrived, list) else arrived
    assert isinstance(fault, wire.WriterError)
    assert "KeyError: 'lost'" in str(fault)


def test_an_answer_that_cannot_travel_is_a_fault() -> None:
    arrived = wire.read_answer(wire.write_answer(lambda: None))

    assert isinstance(arrived, wire.WriterError)


def typed(value: object) -> object:
    """The types of a value, through every tuple and list in it."""
    if isinstance(value, (tuple, list)):
        items = cast("tuple[object, ...]", value)
        return type(items), [typed(each) for each in items]
    return type(value)
