"""What a call can fail with. A denial is not among it: that is an answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.rpc.status_pb2 import Status

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_OPEN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # We cancel a call only when no caller waits for it; this one was cancelled on the way.
        grpc.StatusCode.CANCELLED,
    }
)
_OVERLOADED = "OVERLOADED"


class TollkeeperError(Exception):
    """A call that has no answer. `key`: what to repeat it with, its request_id or its reservation_id."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class DeadlineExceeded(TollkeeperError, TimeoutError):
    """The caller's time is over.

    `sent`: whether the operation left this process. It may have been carried out then, and repeating it with the same
    key tells; otherwise nothing has happened. What the last attempt was refused with is the cause.
    """

    def __init__(self, message: str, *, key: str, sent: bool) -> None:
        super().__init__(message, key=key)
        self.sent = sent


class ClientClosed(TollkeeperError):
    """The client was closed before the call, or did not wait for it any longer."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field that breaks its rule, and the rule."""

    field: str
    description: str


class LedgerError(TollkeeperError):
    """The ledger, or the way to it, refused the call.

    Decide by `reason`, one of docs/reference/errors.md; it is empty where gRPC itself failed. `transient`: a repeat
    with the same key can help, which the client has done for as long as the deadline allowed.
    """

    def __init__(self, status: Status, *, key: str = "") -> None:
        super().__init__(status.message, key=key)
        self.code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
        self.reason = ""
        self.metadata: Mapping[str, str] = MappingProxyType({})
        self.fields: tuple[FieldViolation, ...] = ()
        self.retry_after: timedelta | None = None
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        for detail in status.details:
            if detail.Unpack(info):
                self.reason = info.reason
                self.metadata = MappingProxyType(dict(info.metadata))
            elif detail.Unpack(bad):
                self.fields = tuple(
                    FieldViolation(each.field, each.description) for each in bad.field_violations
                )
            elif detail.Unpack(retry):
                delay = retry.retry_delay
                self.retry_after = timedelta(
                    seconds=delay.seconds, microseconds=delay.nanos // 1_000
                )

    @property
    def transient(self) -> bool:
        """Whether the same call with the same key may fare better later."""
        return self.code in _OPEN or self.reason == _OVERLOADED

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {super().__str__()}"
