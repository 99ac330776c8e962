"""Reads what a refused call says, as any client could."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status


@dataclass(frozen=True)
class Refusal:
    """A status with its details; what it does not have is empty."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    fields: list[str]
    descriptions: list[str]
    retry_us: int | None

    @property
    def words(self) -> str:
        """Everything in it that a person or a program could read."""
        return "\n".join(
            [self.message, self.reason, *self.metadata.values(), *self.fields, *self.descriptions]
        )


async def refusal_of(call: Awaitable[Any]) -> Refusal:
    """Make a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_refusal(caught.value)


def raw_call(channel: grpc.aio.Channel, method: str, raw: bytes) -> Awaitable[Any]:
    """Call a method with bytes that no generated code would send."""
    call: Any = cast("Any", channel).unary_unary(method, None, None)
    return cast("Awaitable[Any]", call(raw))


def read_refusal(error: Any) -> Refusal:
    found: Status | None = cast("Any", rpc_status).from_call(error)  # untyped
    return read_status(error.code(), found or Status(message=error.details() or ""))


def read_status(code: grpc.StatusCode, status: Status) -> Refusal:
    info, bad, retry = details.ErrorInfo(), details.BadRequest(), details.RetryInfo()
    has_retry = False
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        has_retry = detail.Unpack(retry) or has_retry
    return Refusal(
        code=code,
        message=status.message,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        fields=[each.field for each in bad.field_violations],
        descriptions=[each.description for each in bad.field_violations],
        retry_us=retry.retry_delay.ToMicroseconds() if has_retry else None,
    )
