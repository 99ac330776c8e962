"""Carries out the operations of one message, each as its own call would be, and writes a result for each.

Long messages are read and answered in slices, between which the event loop serves others: 10,000 operations at once
would keep it for a quarter of a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from tollkeeper.core.change import Authorized, Denied, Extended, Settled
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.rpc.answering import status_of_failure
from tollkeeper.rpc.convert import ledger as convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    from tollkeeper.engine.engine import Engine, Gateway
    from tollkeeper.engine.lanes.attempt import Result
    from tollkeeper.v1 import ledger_pb2

OPERATIONS_MAX = 10_000
"""The most operations of one message."""

_SLICE = 250


def check_size(operations: Sequence[ledger_pb2.Operation]) -> None:
    """Raise Refused BATCH_TOO_LARGE for more operations than one message may have."""
    if len(operations) > OPERATIONS_MAX:
        raise Refused(
            Reason.BATCH_TOO_LARGE,
            f"{len(operations)} operations are more than the {OPERATIONS_MAX} of one batch; send several",
            metadata={"operations": str(len(operations)), "most": str(OPERATIONS_MAX)},
        )


async def carry_out(
    engine: Engine,
    operations: Sequence[ledger_pb2.Operation],
    results: RepeatedCompositeFieldContainer[ledger_pb2.OperationResult],
    caller: str,
) -> None:
    """Append the result of each operation of `caller` to `results`, in their order; none fails another."""
    found: list[Result] = [None] * len(operations)
    places: list[int] = []
    commands: list[Gateway] = []
    hold_max_us = engine.settings.hold_max_us
    for begin in range(0, len(operations), _SLICE):
        for index, operation in enumerate(operations[begin : begin + _SLICE], begin):
            try:
                commands.append(_command(operation, caller, hold_max_us=hold_max_us))
                places.append(index)
            except Refused as refused:
                found[index] = refused
        await asyncio.sleep(0)
    for index, result in zip(places, await engine.batch(commands), strict=True):
        found[index] = result
    for begin in range(0, len(operations), _SLICE):
        for operation, result in zip(
            operations[begin : begin + _SLICE], found[begin : begin + _SLICE], strict=True
        ):
            _set_result(results.add(), operation, result)
        await asyncio.sleep(0)


def _command(operation: ledger_pb2.Operation, caller: str, *, hold_max_us: int) -> Gateway:
    match operation.WhichOneof("operation"):
        case "authorize":
            return convert.authorize_command(operation.authorize, caller, hold_max_us=hold_max_us)
        case "commit":
            return convert.commit_command(operation.commit, caller)
        case "release":
            return convert.release_command(operation.release, caller)
        case "extend":
            return convert.extend_command(operation.extend, hold_max_us=hold_max_us)
        case None:
            return convert.no_operation()


def _set_result(
    to: ledger_pb2.OperationResult, operation: ledger_pb2.Operation, result: Result
) -> None:
    match result:
        case Authorized() | Denied():
            convert.set_authorized(to.authorize, result)
        case Settled() if operation.WhichOneof("operation") == "commit":
            convert.set_committed(to.commit, result)
        case Settled():
            convert.set_released(to.release, result)
        case Extended():
            convert.set_extended(to.extend, result)
        case _:
            to.error.CopyFrom(status_of_failure("Batch", cast("Exception", result)))
