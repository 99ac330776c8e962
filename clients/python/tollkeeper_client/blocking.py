"""The client for threads."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

from tollkeeper_client import operations
from tollkeeper_client import overview as overviews
from tollkeeper_client.answers import Committed, Decision, Extended, Held, Outcome, Released
from tollkeeper_client.calls import CLOSE_S, TIMEOUT_S, Calls
from tollkeeper_client.errors import LedgerError, TollkeeperError
from tollkeeper_client.requests import SETTLE_S, Request, log_unsettled, settlement
from tollkeeper_client.waiting import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime, timedelta

    import grpc

    from tollkeeper_client.operations import Operation
    from tollkeeper_client.overview import Granularity, Overview

T = TypeVar("T")


class Client:
    """A connection to the ledger for any number of threads; make one and keep it.

    Calls that come together travel together. A method blocks until it is answered, and raises LedgerError,
    DeadlineExceeded or ClientClosed.
    """

    def __init__(
        self,
        target: str,
        *,
        caller: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        on_repeat: Callable[[LedgerError], None] | None = None,
    ) -> None:
        """`target`: host:port, or any name that gRPC knows. It is connected to at the first call.

        `caller`: who calls, for those who look at a charge later; the host's name where none is given.
        `on_repeat`: is told, in the caller's own thread, why an attempt failed before the next is made; for metrics.
        """
        self._calls = Calls(target, credentials, caller, on_repeat)

    def authorize(
        self,
        account_id: str,
        method: str,
        path: str,
        *,
        request_id: str | None = None,
        hold: timedelta | None = None,
        dry_run: bool = False,
        timeout: float = TIMEOUT_S,
    ) -> Decision:
        """Hold the price of a request. A denial is an answer.

        `request_id`: one is made where none is given. To repeat a call that failed, give it the error's `key`.
        """
        operation = operations.authorize(
            account_id, method, path, request_id=request_id, hold=hold, dry_run=dry_run
        )
        return self._carry_out(operation, timeout)

    def commit(
        self,
        reservation: Held | str,
        *,
        http_status: int | None = None,
        outcome: Outcome | None = None,
        timeout: float = TIMEOUT_S,
    ) -> Committed:
        """Settle a hold by the HTTP status that was answered, or by the outcome."""
        operation = operations.commit(reservation, http_status=http_status, outcome=outcome)
        return self._carry_out(operation, timeout)

    def release(
        self,
        reservation: Held | str,
        *,
        outcome: Outcome = Outcome.CANCELLED,
        timeout: float = TIMEOUT_S,
    ) -> Released:
        """Give a hold back."""
        return self._carry_out(operations.release(reservation, outcome=outcome), timeout)

    def extend(
        self,
        reservation: Held | str,
        hold: timedelta | None = None,
        *,
        timeout: float = TIMEOUT_S,
    ) -> Extended:
        """Let a hold last so long from now; never shorter than it does already.

        `hold`: as long as the ledger lets one last where none is given.
        """
        return self._carry_out(operations.extend(reservation, hold=hold), timeout)

    def overview(
        self,
        account_id: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        granularity: Granularity = overviews.Granularity.DAY,
        time_zone: str = "UTC",
        timeout: float = TIMEOUT_S,
    ) -> Overview:
        """Read the Credit Cost Overview of a period; of this month where none is given."""
        operation = overviews.overview(
            account_id,
            start_time=start_time,
            end_time=end_time,
            granularity=granularity,
            time_zone=time_zone,
        )
        return self._carry_out(operation, timeout)

    @contextmanager
    def request(
        self,
        account_id: str,
        method: str,
        path: str,
        *,
        request_id: str | None = None,
        hold: timedelta | None = None,
        timeout: float = TIMEOUT_S,
        settle_timeout: float = SETTLE_S,
    ) -> Generator[Request[Extended]]:
        """Hold the price for the time of a block, and settle it by how the block ended.

        Where the settlement fails, that is raised, unless the block raised something itself.
        """
        decision = self.authorize(
            account_id, method, path, request_id=request_id, hold=hold, timeout=timeout
        )
        request = Request(decision, self.extend)
        try:
            yield request
        except BaseException as error:
            try:
                self._settle(request, error, settle_timeout)
            except TollkeeperError as unsettled:
                log_unsettled(unsettled)
            raise
        self._settle(request, None, settle_timeout)

    def close(self, *, timeout: float = CLOSE_S) -> None:
        """Refuse new calls, wait so long for those under way, and end the rest with ClientClosed."""
        waiter = Thread()
        waiter.take(self._calls.closing_steps(waiter, timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _carry_out(self, operation: Operation[T], timeout_s: float) -> T:
        waiter = Thread()
        return waiter.take(self._calls.steps(operation, waiter, timeout_s))

    def _settle(
        self, request: Request[Extended], error: BaseException | None, timeout_s: float
    ) -> None:
        if (operation := settlement(request, error)) is not None:
            self._carry_out(operation, timeout_s)
