"""The roles of callers, and the one table that says which role may call which method."""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@unique
class Role(IntEnum):
    """What a caller is for; the numbers are the proto's."""

    GATEWAY = 1
    VIEWER = 2
    BILLER = 3
    PRICER = 4
    ADMIN = 5
    AUDITOR = 6


MEANINGS: Mapping[Role, str] = {
    Role.GATEWAY: "holds and settles credits for requests",
    Role.VIEWER: "reads accounts, consumption, journals, events and prices",
    Role.BILLER: "opens and changes accounts, gives and takes back credits",
    Role.PRICER: "publishes price lists",
    Role.ADMIN: "may call every method",
    Role.AUDITOR: "reads everything and changes nothing",
}

_PAYING = (Role.GATEWAY, Role.ADMIN)
_READING = (Role.VIEWER, Role.ADMIN, Role.AUDITOR)
_READING_ACCOUNTS = (*_READING, Role.BILLER)
_READING_PRICES = (*_READING, Role.PRICER)
_BILLING = (Role.BILLER, Role.ADMIN)
_PRICING = (Role.PRICER, Role.ADMIN)
_AUDITING = (Role.ADMIN, Role.AUDITOR)
_MANAGING = (Role.ADMIN,)

METHODS: Mapping[str, Mapping[str, tuple[Role, ...]]] = {
    "LedgerService": {
        "Authorize": _PAYING,
        "Commit": _PAYING,
        "Release": _PAYING,
        "Extend": _PAYING,
        "Batch": _PAYING,
        "Session": _PAYING,
        "GetOverview": _READING,
    },
    "AdminService": {
        "CreateAccount": _BILLING,
        "GetAccount": _READING_ACCOUNTS,
        "ListAccounts": _READING_ACCOUNTS,
        "UpdateAccount": _BILLING,
        "GrantCredits": _BILLING,
        "CreateRecurringGrant": _BILLING,
        "EndRecurringGrant": _BILLING,
        "ReplaceRecurringGrant": _BILLING,
        "VoidGrant": _BILLING,
        "Debit": _BILLING,
        "Refund": _BILLING,
        "PublishPrices": _PRICING,
        "ListPrices": _READING_PRICES,
        "ListEntries": _READING,
        "ExplainReservation": _READING,
        "ListConsumption": _READING,
        "GetPlatformOverview": _READING,
        "ListEvents": _READING,
        "WatchEvents": _READING,
    },
    "WebhookService": {
        "CreateWebhook": _MANAGING,
        "UpdateWebhook": _MANAGING,
        "RotateWebhookSecret": _MANAGING,
        "DeleteWebhook": _MANAGING,
        "ListWebhooks": _AUDITING,
        "ListWebhookDeliveries": _AUDITING,
        "RetryWebhookDeliveries": _MANAGING,
        "TestWebhook": _MANAGING,
    },
}
"""The roles that may call each method, by service."""


def may_call(roles: Collection[Role], service: str, method: str) -> bool:
    """Say whether one of the roles may call a method; a method that the table does not have may not be called."""
    allowed = METHODS.get(service, {}).get(method, ())
    return any(role in allowed for role in roles)
