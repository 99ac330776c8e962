"""The status that a caller sees for each reason: the one table, and the message built from it.

A refusal becomes a google.rpc.Status with an ErrorInfo, a BadRequest for fields, and a RetryInfo
where a retry helps. It travels in trailing metadata, of which clients take 8 KiB at the least: what
would be longer is cut here, and says so.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from tollkeeper.core.errors import FieldViolation, Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from google.protobuf.message import Message

DOMAIN = "tollkeeper"
PUSHBACK = "grpc-retry-pushback-ms"
INTERNAL = "INTERNAL"
"""The reason of a fault, which no caller can do anything about."""

CODES: Mapping[Reason, StatusCode] = {
    Reason.INVALID_FIELD: StatusCode.INVALID_ARGUMENT,
    Reason.IDEMPOTENCY_KEY_REUSED: StatusCode.INVALID_ARGUMENT,
    Reason.BATCH_TOO_LARGE: StatusCode.INVALID_ARGUMENT,
    Reason.ACCOUNT_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.RESERVATION_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.GRANT_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.PRICE_LIST_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.WEBHOOK_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.RECURRING_GRANT_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.TOKEN_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.ACCOUNT_EXISTS: StatusCode.ALREADY_EXISTS,
    Reason.RESERVATION_EXPIRED: StatusCode.FAILED_PRECONDITION,
    Reason.ALREADY_COMMITTED: StatusCode.FAILED_PRECONDITION,
    Reason.ALREADY_RELEASED: StatusCode.FAILED_PRECONDITION,
    Reason.NOT_COMMITTED: StatusCode.FAILED_PRECONDITION,
    Reason.REFUND_EXCEEDS_CHARGE: StatusCode.FAILED_PRECONDITION,
    Reason.ACCOUNT_NOT_EMPTY: StatusCode.FAILED_PRECONDITION,
    Reason.ACCOUNT_CLOSED: StatusCode.FAILED_PRECONDITION,
    Reason.TOO_MANY_RECURRING_GRANTS: StatusCode.FAILED_PRECONDITION,
    Reason.PRICES_BACKDATED: StatusCode.FAILED_PRECONDITION,
    Reason.TOKEN_NOT_ACTIVE: StatusCode.FAILED_PRECONDITION,
    Reason.TOKEN_MISSING: StatusCode.UNAUTHENTICATED,
    Reason.TOKEN_INVALID: StatusCode.UNAUTHENTICATED,
    Reason.SCOPE_MISSING: StatusCode.PERMISSION_DENIED,
    Reason.ACCOUNT_NOT_ALLOWED: StatusCode.PERMISSION_DENIED,
    Reason.OVERLOADED: StatusCode.RESOURCE_EXHAUSTED,
    Reason.STORE_UNAVAILABLE: StatusCode.UNAVAILABLE,
    Reason.SHUTTING_DOWN: StatusCode.UNAVAILABLE,
    Reason.NOT_SERVED: StatusCode.UNIMPLEMENTED,
}

# Together under 8 KiB, also where every character of the message is percent-encoded.
_MESSAGE_BYTES_MAX = 1_000
_FIELDS_BYTES_MAX = 2_000
_METADATA_BYTES_MAX = 200


def status_of(refused: Refused) -> Status:
    """Return the status of a refusal."""
    details: list[Message] = [_error_info(refused.reason.value, refused.metadata)]
    if refused.fields:
        details.append(_bad_request(refused.fields))
    if refused.retry_after_us is not None:
        details.append(RetryInfo(retry_delay=_duration(_spread(refused.retry_after_us))))
    return _status(CODES[refused.reason], _cut(refused.message, _MESSAGE_BYTES_MAX), details)


def status_of_fault(incident: str) -> Status:
    """Return the status of a fault: nothing but the number that finds it in the operator's log."""
    return _status(
        StatusCode.INTERNAL,
        f"internal error {incident}; the operator's log has the details",
        [_error_info(INTERNAL, {"incident": incident})],
    )


def pushback_of(status: Status) -> Sequence[tuple[str, str]]:
    """Return the trailer that tells gRPC's own retries the wait of `RetryInfo`; none where a repeat does not help."""
    retry = RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            delay = retry.retry_delay
            return ((PUSHBACK, str(delay.seconds * 1_000 + delay.nanos // 1_000_000)),)
    return ()


def _status(code: StatusCode, message: str, details: Iterable[Message]) -> Status:
    number: int = code.value[0]
    return Status(code=number, message=message, details=map(_packed, details))


def _error_info(reason: str, metadata: Mapping[str, str]) -> ErrorInfo:
    cut = {name: _cut(value, _METADATA_BYTES_MAX) for name, value in metadata.items()}
    return ErrorInfo(reason=reason, domain=DOMAIN, metadata=cut)


def _bad_request(fields: Sequence[FieldViolation]) -> BadRequest:
    """Name the fields in order; a last violation without a field counts those that do not fit."""
    bad = BadRequest()
    size = 0
    for index, (field, description) in enumerate(fields):
        violation = BadRequest.FieldViolation(field=field, description=description)
        size += violation.ByteSize()
        if size > _FIELDS_BYTES_MAX:
            bad.field_violations.add(description=f"and {len(fields) - index} more")
            break
        bad.field_violations.append(violation)
    return bad


def _cut(text: str, bytes_max: int) -> str:
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - 3].decode(errors="ignore") + "..."


def _spread(duration_us: int) -> int:
    """Draw a time between a half and one and a half: callers who were refused together come again one by one."""
    return int(duration_us * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


def _duration(duration_us: int) -> Duration:
    return Duration(seconds=duration_us // 1_000_000, nanos=duration_us % 1_000_000 * 1_000)


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
