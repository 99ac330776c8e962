"""Turns the limits of accounts into the core's values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.validation.fields import Fields, RawLimit
from tollkeeper.rpc.convert.values import set_time
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.core.limits import Limit, Window


def limits_of(
    fields: Fields, field: str, messages: Iterable[ledger_pb2.Limit]
) -> tuple[Limit, ...]:
    """Read all the limits of an account; one that does not say is enforced."""
    return fields.limits(
        field,
        [
            RawLimit(
                each.name,
                each.unit,
                each.window,
                each.maximum,
                each.method,
                each.path,
                each.time_zone,
                each.enforce if each.HasField("enforce") else True,
            )
            for each in messages
        ],
    )


def limit_message(limit: Limit) -> ledger_pb2.Limit:
    """Return a limit."""
    return ledger_pb2.Limit(
        name=limit.name,
        unit=ledger_pb2.Limit.Unit.ValueType(limit.unit),
        window=ledger_pb2.Limit.Window.ValueType(limit.window),
        maximum=limit.maximum,
        method=limit.method,
        path=limit.path,
        time_zone=limit.time_zone,
        enforce=limit.enforce,
    )


def limit_status_message(limit: Limit, window: Window) -> ledger_pb2.LimitStatus:
    """Return a limit with what counts in its present window."""
    used = window.used + window.held
    message = ledger_pb2.LimitStatus(
        limit=limit_message(limit),
        used=used,
        remaining=max(0, limit.maximum - used),
        held=window.held,
        over=window.over,
    )
    set_time(message.reset_time, window.end_us)
    return message
