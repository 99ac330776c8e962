"""Tollkeeper's client: holds the price of a request, charges it, and lets calls that come together travel together."""

from tollkeeper_client.aio import AsyncClient
from tollkeeper_client.answers import (
    Balance,
    Committed,
    Decision,
    DenialReason,
    Denied,
    Extended,
    Free,
    Held,
    Outcome,
    Released,
    State,
)
from tollkeeper_client.blocking import Client
from tollkeeper_client.connection import tls
from tollkeeper_client.errors import (
    ClientClosed,
    DeadlineExceeded,
    FieldViolation,
    LedgerError,
    TollkeeperError,
)
from tollkeeper_client.overview import Granularity, Overview
from tollkeeper_client.requests import Request

__all__ = [
    "AsyncClient",
    "Balance",
    "Client",
    "ClientClosed",
    "Committed",
    "DeadlineExceeded",
    "Decision",
    "DenialReason",
    "Denied",
    "Extended",
    "FieldViolation",
    "Free",
    "Granularity",
    "Held",
    "LedgerError",
    "Outcome",
    "Overview",
    "Released",
    "Request",
    "State",
    "TollkeeperError",
    "tls",
]
