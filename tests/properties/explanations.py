"""The engine's explanation of a reservation in the words of the model."""

import re

from tests.properties.answers import GrantName, Names, entry_view_row, limit_row, never_is_none
from tests.support.model.account import Row
from tollkeeper.core.answers.explanation import CountedIn, Explanation, Payment
from tollkeeper.core.answers.timeline import timeline

WORD = re.compile(r"authorized|expired|released|charged late|charged|refunded|still held")


def explanation_row(told: Explanation, names: Names) -> Row:
    """Say what the engine told of a reservation that it still has."""
    held, price = told.reservation, told.price
    assert held is not None
    assert held.reservation_id == told.name.reservation_id
    assert held.created_us == told.created_us
    account_id = told.account_id
    return {
        "account_id": account_id,
        "reservation_id": names.reservations.ours(told.name),
        "request_id": held.request_id,
        "content": {"method": held.method, "path": held.path, "hold": held.hold_us or None},
        "method": price.method,
        "path": price.path,
        "credits": told.credits,
        "charge_on": held.charge_on,
        "prices": (price.version, price.list_name, price.effective_us, price.note),
        "state": held.state.name,
        "outcome": held.outcome.name if held.outcome else None,
        "http_status": held.http_status,
        "late": held.late,
        "create_us": held.created_us,
        "expire_us": held.expires_us,
        "settled_us": held.settled_us,
        "authorized_by": held.authorized_by,
        "settled_by": held.settled_by,
        "refunded": told.refunded,
        "payments": [payment_row(account_id, each, names) for each in told.payments],
        "windows": [window_row(each) for each in told.windows],
        "entries": [entry_view_row(account_id, each, names) for each in told.entries],
        "timeline": events(told),
    }


def payment_row(account_id: str, payment: Payment, names: Names) -> Row:
    own_id = payment.grant_id
    return {
        "credits": payment.credits,
        "grant": names.grants.ours(GrantName(account_id, own_id)) if own_id else None,
        "priority": payment.priority,
        "expires_us": never_is_none(payment.expires_us),
        "note": payment.note,
    }


def window_row(window: CountedIn) -> Row:
    counted, limit, end_us = window
    return {
        "limit": None if limit is None else limit_row(limit),
        "begin": counted.start_us,
        "end": end_us,
        "amount": counted.amount,
        "over": counted.over,
    }


def events(told: Explanation) -> list[tuple[int, str]]:
    """Return when what happened; the times rise, and a hold that is still one ends the list."""
    found: list[tuple[int, str]] = []
    for event in timeline(told):
        word = WORD.match(event.text)
        assert word is not None, event.text
        found.append((event.at_us, word[0]))
    assert found == sorted(found, key=lambda each: each[0])
    if found[-1][1] == "still held":
        assert found.pop()[0] == told.as_of_us
    return found
