"""The overview as the Python client gives it: all that the answer says, as plain values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.support.ledgers import ACCOUNT
from tests.support.thorough import thorough
from tollkeeper_client import Client
from tollkeeper_client import alerts as rules
from tollkeeper_client import overview as values
from tollkeeper_client.alerts import AlertWindow, Subject
from tollkeeper_client.v1 import events_pb2, ledger_pb2, prices_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tests.clients.conftest import Server


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (values.Overview, ledger_pb2.GetOverviewResponse),
        (values.Usage, ledger_pb2.Usage),
        (values.EndpointUsage, ledger_pb2.EndpointUsage),
        (values.UsageBucket, ledger_pb2.UsageBucket),
        (values.Limit, ledger_pb2.Limit),
        (values.LimitStatus, ledger_pb2.LimitStatus),
        (values.Grant, ledger_pb2.Grant),
        (values.RecurringGrant, ledger_pb2.RecurringGrant),
        (values.Price, prices_pb2.Price),
        (values.PriceList, prices_pb2.PriceList),
        (rules.AlertRule, events_pb2.AlertRule),
        (rules.AlertStatus, events_pb2.AlertStatus),
    ],
    ids=lambda each: each.__name__,
)
def test_every_field_of_the_answer_is_there(value: type, message: type[Message]) -> None:
    assert {each.name for each in dataclasses.fields(value)} == set(
        message.DESCRIPTOR.fields_by_name
    )


@thorough
def test_the_overview_shows_alert_rules_as_they_stand(server: Server) -> None:
    server.serving.json(
        *("account", "alerts", ACCOUNT),
        *("--alert", "low=remaining 1000000000"),
        *("--alert", "half=consumed 50%/month, zone=Europe/Berlin"),
    )

    with Client(server.address) as client:
        overview = client.overview(ACCOUNT)

    low, half = overview.alerts
    assert (low.rule.name, low.rule.subject, low.rule.window, low.met) == (
        "low",
        Subject.REMAINING,
        AlertWindow.UNSPECIFIED,
        True,
    )
    assert (low.value, low.window_start, low.window_end) == (10**9, None, None)
    assert (half.rule.threshold, half.rule.percent, half.met) == (50, True, False)
    assert (half.value, half.base) == (0, 10**9)
    assert half.rule.time_zone == "Europe/Berlin"
    assert half.window_start is not None
    assert half.window_end is not None
    assert half.window_start <= overview.as_of < half.window_end
