"""The rows of a store in the form of the model's, and what the model's come to.

What the model has no word for (shards, open grants, the table of holds, the daily counters) is
checked on the way.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, RowMapping, Table, select

from tests.properties.answers import (
    GrantName,
    Names,
    alert_row,
    limit_row,
    never_is_none,
    recurring_row,
)
from tests.support.model.account import Endpoint, Row, no_usage
from tests.support.model.ledger import Model
from tollkeeper.core.account import AccountState, shard_of
from tollkeeper.core.administer import digest_of
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.price_lists import Unlisted
from tollkeeper.core.recurring.recurring_grants import by_number
from tollkeeper.core.reservation import ReservationName, ReservationState
from tollkeeper.core.usage import DENIED, HOUR_US, RELEASED, UsageKind
from tollkeeper.storage.rows.alerts import alerts_of
from tollkeeper.storage.rows.hot import slices_of
from tollkeeper.storage.rows.limits import limits_of, windows_of
from tollkeeper.storage.rows.pricing import pricing_of
from tollkeeper.storage.rows.recurring import recurring_of
from tollkeeper.storage.schema import tables

HOURS_A_DAY = 24
METHODS = {
    "create_account": "CreateAccount",
    "update_account": "UpdateAccount",
    "grant": "GrantCredits",
    "create_recurring": "CreateRecurringGrant",
    "end_recurring": "EndRecurringGrant",
    "replace_recurring": "ReplaceRecurringGrant",
    "void_grant": "VoidGrant",
    "debit": "Debit",
    "refund": "Refund",
    "publish": "PublishPrices",
}
EXPLAINING = ("request_id", "authorized_by", "http_status", "settled_by", "charge_sequence")
Rows = Sequence[RowMapping]


def expected_rows(model: Model) -> Row:
    """Return what the store has to hold."""
    accounts = model.rows()
    for account in accounts.values():
        account["sequence"] = len(account["entries"])
        rank_limits(account)
        rank_rules(account)
        for reservation in account["reservations"]:
            reservation["request"] = digest_of(reservation["request_id"]).hex()
    return {
        "accounts": accounts,
        "prices": [
            prices | {"prices": [price_words(price) for price in prices["prices"]]}
            for prices in model.price_lists
        ],
        "admin": {
            digest_of(request_id).hex(): METHODS[call] for request_id, call in model.keys().items()
        },
    }


def rank_limits(account: Row) -> None:
    """Put the place of a limit among all that can be seen in the place of its id: ids rise on both sides."""
    # A hold that has expired may name a window that is forgotten, and count in it again when it is charged late.
    named = (window[0] for each in account["reservations"] for window in each["windows"])
    seen = {*account.pop("limit_ids"), *(own_id for own_id, _ in account["windows"]), *named}
    rank = {own_id: place for place, own_id in enumerate(sorted(seen))}
    account["windows"] = {
        (rank[own_id], begin): counts for (own_id, begin), counts in account["windows"].items()
    }
    for reservation in account["reservations"]:
        reservation["windows"] = [(rank[own_id], *rest) for own_id, *rest in reservation["windows"]]


def rank_rules(account: Row) -> None:
    """Do the same for alert rules, in how far they are and in their events."""
    seen = {each["id"] for each in account["rules"]} | {e["rule_id"] for e in account["events"]}
    rank = {own_id: place for place, own_id in enumerate(sorted(seen))}
    account["rules"] = [each | {"id": rank[each["id"]]} for each in account["rules"]]
    account["events"] = [each | {"rule_id": rank[each["rule_id"]]} for each in account["events"]]


def price_words(price: Any) -> tuple[Any, ...]:
    return (price.method, price.path, price.credits, price.charge_on, price.note)


class Words(NamedTuple):
    """What stands for the numbers in a row."""

    names: Names
    endpoints: dict[int, tuple[str, str]]
    account_ids: dict[int, str]

    def grant(self, account_key: int, grant_id: int) -> int | str | None:
        """Return the model's id of a grant, None for none."""
        name = GrantName(self.account_ids[account_key], grant_id)
        return self.names.grants.ours(name) if grant_id else None

    def reservation(self, account_key: int, reservation_id: int) -> int | str | None:
        """Return the model's id of a reservation, None for none."""
        name = ReservationName(account_key, reservation_id)
        return self.names.reservations.ours(name) if reservation_id else None


def recorded_rows(connection: Connection, names: Names) -> Row:
    """Return what the store holds."""
    endpoints = {
        row["endpoint_id"]: (row["method"], row["path"])
        for row in read(connection, tables.endpoint)
    }
    assert len(set(endpoints.values())) == len(endpoints)
    rows = sorted(read(connection, tables.account), key=by_key)
    words = Words(names, endpoints, {row["key"]: row["account_id"] for row in rows})
    grants = by_account(read(connection, tables.credit_grant))
    reservations = by_account(read(connection, tables.reservation))
    entries = by_account(read(connection, tables.entry))
    windows = by_account(read(connection, tables.limit_window))
    events = by_account(read(connection, tables.event))
    check_positions(itertools.chain(*events.values()), read(connection, tables.event_position))
    usage = read(connection, tables.usage_hour)
    check_days(usage, read(connection, tables.usage_day))
    check_holds(itertools.chain(*reservations.values()), read(connection, tables.hold))
    counted = by_account(usage)
    accounts = {
        row["account_id"]: account_row(row)
        | {
            "owed": owed(row, grants.get(row["key"], [])),
            "grants": grant_rows(grants.get(row["key"], []), words),
            "reservations": [
                reservation_row(each, words)
                for each in sorted(reservations.get(row["key"], []), key=by_reservation)
            ],
            "entries": [
                entry_row(each, words)
                for each in sorted(entries.get(row["key"], []), key=by_sequence)
            ],
            "usage": usage_rows(counted.get(row["key"], []), endpoints),
            "windows": {
                (each["limit_id"], each["start_us"]): {
                    name: each[name] for name in ("used", "held", "over")
                }
                for each in windows.get(row["key"], [])
            },
            "events": [
                event_row(each) for each in sorted(events.get(row["key"], []), key=by_event)
            ],
        }
        for row in rows
    }
    for account in accounts.values():
        rank_limits(account)
        rank_rules(account)
    admin = read(connection, tables.admin_request)
    return {
        "accounts": accounts,
        "prices": price_lists(connection, endpoints),
        "admin": {row["digest"].hex(): row["method"] for row in admin},
    }


def read(connection: Connection, table: Table) -> Rows:
    return connection.execute(select(table)).mappings().all()


def by_account(rows: Rows) -> dict[int, list[RowMapping]]:
    grouped: dict[int, list[RowMapping]] = {}
    for row in rows:
        assert row["shard"] == shard_of(row["account_key"])
        grouped.setdefault(row["account_key"], []).append(row)
    return grouped


def by_key(row: RowMapping) -> int:
    return row["key"]


def by_reservation(row: RowMapping) -> int:
    return row["reservation_id"]


def by_event(row: RowMapping) -> int:
    return row["event_id"]


def by_sequence(row: RowMapping) -> int:
    return row["sequence"]


# One row of each table


def account_row(row: RowMapping) -> Row:
    assert row["shard"] == shard_of(row["key"])
    settled, held, limit = row["settled"], row["held"], row["credit_limit"]
    recurring = recurring_of(row["recurring"])
    next_us = [each.next_us for each in recurring if each.next_us != NEVER_US]
    assert row["next_grant_us"] == min(next_us, default=0)
    alerts = alerts_of(row["alerts"], row["alert_states"]) if row["alerts"] else ()
    balance = {
        "available": settled + limit - held,
        "settled": settled,
        "held": held,
        "credit_limit": limit,
    }
    return {
        "account_id": row["account_id"],
        "display_name": row["display_name"],
        "state": AccountState(row["state"]).name,
        "credit_limit": limit,
        "create_us": row["created_us"],
        "balance": balance,
        "lifetime_credits": row["charged"],
        "limits": [limit_row(state.limit) for state in limits_of(row["limits"])],
        "limit_ids": [state.limit.limit_id for state in limits_of(row["limits"])],
        "last_price_list": [
            (at_us, name)
            for name, at_us in (pricing_of(row["pricing"])[-1:] if row["pricing"] else ())
            if at_us
        ],
        "recurring": list(map(recurring_row, by_number(recurring))),
        "alerts": [alert_row(state.rule) for state in alerts],
        "rules": [
            {
                "id": state.rule.rule_id,
                "begin": state.start_us,
                "end": state.end_us,
                "consumed": state.consumed,
                "met": state.fired,
            }
            for state in alerts
        ],
        "sequence": row["sequence"],
    }


def event_row(row: RowMapping) -> Row:
    same = ("rule", "rule_id", "threshold", "percent", "value", "base", "period")
    return {name: row[name] for name in same} | {
        "subject": AlertSubject(row["subject"]).name,
        "limit": row["limit_name"],
        "end": row["window_end_us"],
        "occur_us": row["created_us"],
    }


def check_positions(events: Iterable[RowMapping], last: Rows) -> None:
    """Every event has a place of its own, and none is left out."""
    positions = sorted(each["position"] for each in events)
    assert positions == list(range(1, last[0]["last"] + 1))


def owed(account: RowMapping, grants: Rows) -> int:
    return sum(grant["remaining"] + grant["held"] for grant in grants) - account["settled"]


def grant_rows(rows: Rows, words: Words) -> list[Row]:
    """Return the grants in burn order."""
    order = ("priority", "expires_us", "created_us", "grant_id")
    return [
        grant_row(row, words)
        for row in sorted(rows, key=lambda row: tuple(row[name] for name in order))
    ]


def grant_row(row: RowMapping, words: Words) -> Row:
    assert row["open"] == (row["remaining"] > 0 or row["held"] > 0)
    places = ("remaining", "held", "consumed", "expired", "voided", "void")
    same = ("credits", "priority", "note", *places)
    return {name: row[name] for name in same} | {
        "id": words.grant(row["account_key"], row["grant_id"]),
        "create_us": row["created_us"],
        "expires_us": never_is_none(row["expires_us"]),
    }


def reservation_row(row: RowMapping, words: Words) -> Row:
    method, path = words.endpoints[row["endpoint_id"]]
    charge_on = row["charge_on"]
    return {
        "reservation_id": words.reservation(row["account_key"], row["reservation_id"]),
        "credits": row["credits"],
        "price_version": row["price_version"],
        "state": ReservationState(row["state"]).name,
        "create_us": row["created_us"],
        "expire_us": row["expires_us"],
        "request": row["request_digest"].hex(),
        "content": {"method": row["method"], "path": row["path"], "hold": row["hold_us"] or None},
        "method": method,
        "path": path,
        "charge_on": tuple(charge_on.split(",")) if charge_on else (),
        "outcome": Outcome(row["outcome"]).name if row["outcome"] else None,
        "late": row["late"],
        "slices": slice_rows(row, words),
        "settled_us": row["settled_us"],
        "refunded": row["refunded"],
        "windows": [tuple(each) for each in windows_of(row["windows"])],
        **{name: row[name] for name in EXPLAINING},
    }


def slice_rows(row: RowMapping, words: Words) -> list[tuple[Any, int]]:
    """Return who pays; a request without a price has no payer."""
    return [
        (words.grant(row["account_key"], payer), credits_)
        for payer, credits_ in slices_of(row["grant_id"], row["credits"], row["slices"])
        if credits_
    ]


def entry_row(row: RowMapping, words: Words) -> Row:
    method, path = words.endpoints[row["endpoint_id"]] if row["endpoint_id"] else ("", "")
    return {
        "sequence": row["sequence"],
        "kind": EntryKind(row["kind"]).name,
        "credits": row["credits"],
        "settled": row["settled"],
        "create_us": row["created_us"],
        "grant": words.grant(row["account_key"], row["grant_id"]),
        "reservation": words.reservation(row["account_key"], row["reservation_id"]),
        "method": method,
        "path": path,
        "price_version": row["price_version"],
        "note": row["note"] or "",
    }


def usage_rows(rows: Rows, endpoints: dict[int, tuple[str, str]]) -> dict[Endpoint, Row]:
    """Return the counters that count anything, by quarter of an hour and endpoint."""
    counted: dict[Endpoint, Row] = {}
    for row in rows:
        for at_us, requests, credits in quarters(row):
            if requests or credits:
                endpoint = (at_us, *endpoints[row["endpoint_id"]])
                counters = counted.setdefault(endpoint, no_usage())
                put_count(counters, UsageKind(row["kind"]), requests, credits)
    return counted


def quarters(row: RowMapping) -> Iterator[tuple[int, int, int]]:
    """Yield the beginning of each quarter of a counter's hour, and what is counted in it."""
    begin_us = row["hour"] * HOUR_US
    rest = [row["requests"], row["credits"]]
    for minute in (15, 30, 45):
        requests, credits = row[f"requests_{minute}"], row[f"credits_{minute}"]
        rest = [rest[0] - requests, rest[1] - credits]
        yield begin_us + minute * 60_000_000, requests, credits
    yield begin_us, *rest


def put_count(counters: Row, kind: UsageKind, requests: int, credits: int) -> None:
    """Put what was counted of one kind where the model has it."""
    assert credits == 0 or kind in {UsageKind.CHARGED, UsageKind.REFUNDED}
    if kind is UsageKind.CHARGED:
        counters["requests"], counters["credits"] = requests, credits
    elif kind is UsageKind.REFUNDED:
        counters["refunds"], counters["refunded_credits"] = requests, credits
    elif kind is UsageKind.EXPIRED:
        counters["expired"] = requests
    elif kind in RELEASED:
        counters["released"][kind.name.removeprefix("RELEASED_")] = requests
    elif kind is UsageKind.FREE:
        counters["free"] = requests
    elif kind in DENIED:
        counters["denied"][kind.name.removeprefix("DENIED_")] = requests


def price_lists(connection: Connection, endpoints: dict[int, tuple[str, str]]) -> list[Row]:
    """Return every price list, the oldest first."""
    prices: dict[int, list[RowMapping]] = {}
    for row in read(connection, tables.price):
        prices.setdefault(row["version"], []).append(row)
    return [
        {
            "version": row["version"],
            "effective_us": row["named_effective_us"] if row["name"] else row["effective_us"],
            "prices": [
                (
                    *endpoints[each["endpoint_id"]],
                    each["credits"],
                    tuple(each["charge_on"].split(",")) if each["charge_on"] else (),
                    each["note"],
                )
                for each in sorted(prices.get(row["version"], []), key=by_position)
            ],
            "unlisted": Unlisted(row["unlisted"]).name.lower(),
            "note": row["note"],
            "name": row["name"],
        }
        for row in sorted(read(connection, tables.price_list), key=by_version)
    ]


def by_version(row: RowMapping) -> int:
    return row["version"]


def by_position(row: RowMapping) -> int:
    return row["position"]


# What one table must say of another


def check_days(hours: Rows, days: Rows) -> None:
    """Assert that the daily counters are the sums of the hourly ones."""
    sums: dict[tuple[int, ...], list[int]] = {}
    for row in hours:
        counter = (row["account_key"], row["hour"] // HOURS_A_DAY, row["endpoint_id"], row["kind"])
        total = sums.setdefault(counter, [0, 0])
        total[0] += row["requests"]
        total[1] += row["credits"]
    assert sums == {
        (row["account_key"], row["day"], row["endpoint_id"], row["kind"]): [
            row["requests"],
            row["credits"],
        ]
        for row in days
    }


def check_holds(reservations: Iterable[RowMapping], holds: Rows) -> None:
    """Assert that the table of holds lists the HELD reservations."""
    columns = [column.name for column in tables.hold.columns]
    held = [row for row in reservations if row["state"] == ReservationState.HELD]
    assert {tuple(row[name] for name in columns) for row in held} == {
        tuple(row[name] for name in columns) for row in holds
    }


def differences(expected: object, found: object, at: str = "") -> list[str]:
    """Say where two values differ, each place once."""
    if isinstance(expected, dict) and isinstance(found, dict):
        one, other = cast("Row", expected), cast("Row", found)
        pairs = [(key, one.get(key, "nothing"), other.get(key, "nothing")) for key in one | other]
    elif isinstance(expected, list) and isinstance(found, list):
        both = itertools.zip_longest(
            cast("list[Any]", expected), cast("list[Any]", found), fillvalue="nothing"
        )
        pairs = [(index, *pair) for index, pair in enumerate(both)]
    else:
        return [] if expected == found else [f"{at}: expected {expected}, found {found}"]
    return [
        difference
        for key, one_value, other_value in pairs
        for difference in differences(one_value, other_value, f"{at}.{key}")
    ]
