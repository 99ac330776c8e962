"""Compares every answer with the workload, and counts what the answer acknowledges.

An answer that the workload does not allow (another price, another outcome, a hold that expired too early) is remembered
as unexpected, and counted as what the server said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.outcome import Outcome
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.checking.tally import Tally, mark
from tollkeeper_loadtest.settings import EndingKind, Endpoint, LoadSettings

if TYPE_CHECKING:
    from tollkeeper_loadtest.workload import PlannedRequest


class AcknowledgedHold(NamedTuple):
    """What Authorize acknowledged: what the request is to be settled by, and how long the hold lasts."""

    reservation_id: str
    hold_s: float


class AnswerChecker:
    """Checks the answers of one generator; `tally` adds them up."""

    def __init__(self, settings: LoadSettings) -> None:
        self._settings = settings
        self.tally = Tally()

    def authorize_of(self, planned: PlannedRequest) -> pb.AuthorizeRequest:
        """Return the call that a request begins with."""
        endpoint = self._settings.endpoints[planned.endpoint]
        request = pb.AuthorizeRequest(
            account_id=self._settings.account_id(planned.account),
            method=endpoint.method,
            path=endpoint.path,
            request_id=planned.request_id,
        )
        if planned.ending.kind is EndingKind.EXPIRE:
            request.hold.seconds = self._settings.hold_s
        return request

    def settle_of(self, planned: PlannedRequest, held: AcknowledgedHold) -> pb.Operation:
        """Return the call that ends a request, as an operation of its kind."""
        ending = planned.ending
        if ending.kind is EndingKind.RELEASE:
            release = pb.ReleaseRequest(reservation_id=held.reservation_id)
            if ending.outcome is not None:
                release.outcome = pb.Outcome.ValueType(ending.outcome)
            return pb.Operation(release=release)
        commit = pb.CommitRequest(reservation_id=held.reservation_id)
        if ending.status:
            commit.http_status = ending.status
        else:
            commit.outcome = pb.Outcome.ValueType(ending.outcome or Outcome.VALID_RESPONSE)
        return pb.Operation(commit=commit)

    def authorized(
        self, planned: PlannedRequest, answer: pb.AuthorizeResponse, *, repeated: bool = False
    ) -> AcknowledgedHold | None:
        """Take the answer of Authorize in; None where nothing is held, or what is held is left to expire."""
        if answer.HasField("denial"):
            self._denied(planned, answer.denial)
            return None
        reservation = answer.reservation
        endpoint = self._settings.endpoints[planned.endpoint]
        if (fault := _odd_hold(endpoint, self._settings.price_version, reservation)) is not None:
            self._unexpected(planned, fault)
        if answer.replayed and not repeated:
            self._unexpected(
                planned, "Authorize answered that it was asked before, which it was not"
            )
        if planned.ending.kind is EndingKind.EXPIRE:
            self.tally.of(planned.account, planned.endpoint).expired += 1
            return None
        lasts = reservation.expire_time.ToMicroseconds() - reservation.create_time.ToMicroseconds()
        return AcknowledgedHold(reservation.reservation_id, lasts / 1_000_000)

    def settled(
        self,
        planned: PlannedRequest,
        held: AcknowledgedHold,
        answer: pb.CommitResponse | pb.ReleaseResponse,
        *,
        after_s: float,
    ) -> None:
        """Take the answer of Commit or Release in; `after_s`: how long ago the hold was asked for."""
        endpoint = self._settings.endpoints[planned.endpoint]
        expected = planned.ending.outcome_at(endpoint.charge_on)
        late = isinstance(answer, pb.CommitResponse) and answer.late
        expired = answer.state == pb.RESERVATION_STATE_EXPIRED
        if (late or expired) and after_s < held.hold_s:
            self._unexpected(
                planned, f"its hold of {held.hold_s:g} s had expired after {after_s:.3f} s"
            )
        if isinstance(answer, pb.CommitResponse):
            self._odd_commit(planned, endpoint, answer, expected)
        counts = self.tally.of(planned.account, planned.endpoint)
        if answer.state == pb.RESERVATION_STATE_COMMITTED:
            marked = mark(held.reservation_id, endpoint.priced_name, endpoint.credits, late=late)
            self.tally.charge(planned.account, planned.endpoint, marked, late=late)
        elif expired:
            counts.expired += 1
        else:
            counts.released += 1
        if (answer.state == pb.RESERVATION_STATE_COMMITTED) != (
            expected is Outcome.VALID_RESPONSE and planned.ending.kind is EndingKind.COMMIT
        ):
            state = pb.ReservationState.Name(answer.state).removeprefix("RESERVATION_STATE_")
            self._unexpected(planned, f"{planned.ending.name} ended as {state}")

    def refused(self, planned: PlannedRequest, what: str) -> None:
        """Take in that a call was refused which the plan makes right."""
        self._unexpected(planned, f"was refused: {what}")

    def _odd_commit(
        self,
        planned: PlannedRequest,
        endpoint: Endpoint,
        answer: pb.CommitResponse,
        expected: Outcome,
    ) -> None:
        if answer.outcome != expected:
            self._unexpected(
                planned,
                f"{planned.ending.name} was taken for {pb.Outcome.Name(answer.outcome)}, "
                f"not {expected.name}",
            )
        price = endpoint.credits if answer.state == pb.RESERVATION_STATE_COMMITTED else 0
        if answer.credits != price:
            self._unexpected(planned, f"{answer.credits} credits were charged, not {price}")

    def _denied(self, planned: PlannedRequest, denial: pb.Denial) -> None:
        self.tally.of(planned.account, planned.endpoint).denied += 1
        if denial.reason != pb.DENIAL_REASON_INSUFFICIENT_CREDITS:
            self._unexpected(planned, f"was denied: {denial.message}")

    def _unexpected(self, planned: PlannedRequest, what: str) -> None:
        account = self._settings.account_id(planned.account)
        endpoint = self._settings.endpoints[planned.endpoint]
        self.tally.add_unexpected(f"{account} {planned.request_id} {endpoint.name}: {what}")


def _odd_hold(endpoint: Endpoint, price_version: int, reservation: pb.Reservation) -> str | None:
    if not reservation.reservation_id:
        return "Authorize answered that the endpoint is free"
    if reservation.price_version != price_version:
        return (
            f"the price list in force changed during the run, "
            f"from version {price_version} to {reservation.price_version}"
        )
    if reservation.credits != endpoint.credits:
        return f"{reservation.credits} credits were held, not {endpoint.credits}"
    return None
