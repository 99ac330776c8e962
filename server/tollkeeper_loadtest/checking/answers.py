"""Compares every answer with the workload, and counts what the answer acknowledges.

An answer that the workload does not allow (another price, another outcome, a hold that expired too early) is remembered
as unexpected, and counted as what the server said. This runs for every answer while the load is sent: what follows from
the settings alone is worked out once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.outcome import Outcome
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.checking.tally import Tally, mark
from tollkeeper_loadtest.operations import Authorize, Commit, Denied, Held, Release, Settled
from tollkeeper_loadtest.settings import Ending, EndingKind, Endpoint, LoadSettings

if TYPE_CHECKING:
    from tollkeeper_loadtest.workload import PlannedRequest

_COMMITTED = int(pb.RESERVATION_STATE_COMMITTED)
_EXPIRED = int(pb.RESERVATION_STATE_EXPIRED)
_SHORT_OF_CREDITS = int(pb.DENIAL_REASON_INSUFFICIENT_CREDITS)


class _Expected(NamedTuple):
    """What an ending must come to at an endpoint."""

    outcome: Outcome
    committed: bool


class _Charge:
    """An endpoint, and what is the same for all of its requests."""

    __slots__ = ("_expected", "endpoint", "priced_name")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.priced_name = endpoint.priced_name
        self._expected: dict[Ending, _Expected] = {}

    def expected(self, ending: Ending) -> _Expected:
        found = self._expected.get(ending)
        if found is None:
            outcome = ending.outcome_at(self.endpoint.charge_on)
            commits = ending.kind is EndingKind.COMMIT
            found = _Expected(outcome, commits and outcome is Outcome.VALID_RESPONSE)
            self._expected[ending] = found
        return found


class AnswerChecker:
    """Checks the answers of one generator; `tally` adds them up."""

    def __init__(self, settings: LoadSettings) -> None:
        self._settings = settings
        self._prefix = settings.prefix
        self._charges = [_Charge(endpoint) for endpoint in settings.endpoints]
        self.tally = Tally()

    def authorize_of(self, planned: PlannedRequest) -> Authorize:
        """Return the call that a request begins with."""
        endpoint = self._charges[planned.endpoint].endpoint
        hold_s = self._settings.hold_s if planned.ending.kind is EndingKind.EXPIRE else None
        return Authorize(
            f"{self._prefix}{planned.account:05}",
            endpoint.method,
            endpoint.path,
            planned.request_id,
            hold_s,
        )

    def settle_of(self, planned: PlannedRequest, held: Held) -> Commit | Release:
        """Return the call that ends a request."""
        ending = planned.ending
        if ending.kind is EndingKind.RELEASE:
            return Release(held.reservation_id, ending.outcome)
        return Commit(held.reservation_id, ending.status, None if ending.status else ending.outcome)

    def authorized(
        self, planned: PlannedRequest, answer: Held | Denied, *, repeated: bool = False
    ) -> Held | None:
        """Take the answer of Authorize in; None where nothing is held, or what is held is left to expire."""
        if isinstance(answer, Denied):
            self._denied(planned, answer)
            return None
        endpoint = self._charges[planned.endpoint].endpoint
        if (fault := _odd_hold(endpoint, self._settings.price_version, answer)) is not None:
            self._unexpected(planned, fault)
        if answer.replayed and not repeated:
            self._unexpected(
                planned, "Authorize answered that it was asked before, which it was not"
            )
        if planned.ending.kind is EndingKind.EXPIRE:
            self.tally.of(planned.account, planned.endpoint).expired += 1
            return None
        return answer

    def settled(
        self, planned: PlannedRequest, held: Held, answer: Settled, *, after_s: float
    ) -> None:
        """Take the answer of Commit or Release in; `after_s`: how long ago the hold was asked for."""
        charge = self._charges[planned.endpoint]
        endpoint, expected = charge.endpoint, charge.expected(planned.ending)
        committed, expired = answer.state == _COMMITTED, answer.state == _EXPIRED
        if (answer.late or expired) and after_s < held.hold_s:
            self._unexpected(
                planned, f"its hold of {held.hold_s:g} s had expired after {after_s:.3f} s"
            )
        if planned.ending.kind is EndingKind.COMMIT:
            self._odd_commit(planned, answer, expected, endpoint.credits if committed else 0)
        if committed:
            marked = mark(
                held.reservation_id, charge.priced_name, endpoint.credits, late=answer.late
            )
            self.tally.charge(planned.account, planned.endpoint, marked, late=answer.late)
        elif expired:
            self.tally.of(planned.account, planned.endpoint).expired += 1
        else:
            self.tally.of(planned.account, planned.endpoint).released += 1
        if committed != expected.committed:
            state = pb.ReservationState.Name(pb.ReservationState.ValueType(answer.state))
            ended = state.removeprefix("RESERVATION_STATE_")
            self._unexpected(planned, f"{planned.ending.name} ended as {ended}")

    def refused(self, planned: PlannedRequest, what: str) -> None:
        """Take in that a call was refused which the plan makes right."""
        self._unexpected(planned, f"was refused: {what}")

    def _odd_commit(
        self, planned: PlannedRequest, answer: Settled, expected: _Expected, price: int
    ) -> None:
        if answer.outcome != expected.outcome:
            taken_for = pb.Outcome.Name(pb.Outcome.ValueType(answer.outcome))
            self._unexpected(
                planned,
                f"{planned.ending.name} was taken for {taken_for}, not {expected.outcome.name}",
            )
        if answer.credits != price:
            self._unexpected(planned, f"{answer.credits} credits were charged, not {price}")

    def _denied(self, planned: PlannedRequest, denial: Denied) -> None:
        self.tally.of(planned.account, planned.endpoint).denied += 1
        if denial.reason != _SHORT_OF_CREDITS:
            self._unexpected(planned, f"was denied: {denial.message}")

    def _unexpected(self, planned: PlannedRequest, what: str) -> None:
        account = self._settings.account_id(planned.account)
        endpoint = self._settings.endpoints[planned.endpoint]
        self.tally.add_unexpected(f"{account} {planned.request_id} {endpoint.name}: {what}")


def _odd_hold(endpoint: Endpoint, price_version: int, held: Held) -> str | None:
    if not held.reservation_id:
        return "Authorize answered that the endpoint is free"
    if held.price_version != price_version:
        return (
            f"the price list in force changed during the run, "
            f"from version {price_version} to {held.price_version}"
        )
    if held.credits != endpoint.credits:
        return f"{held.credits} credits were held, not {endpoint.credits}"
    return None
