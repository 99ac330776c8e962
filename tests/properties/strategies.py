"""What hypothesis draws: wishes, by small numbers, so that credits run out and moments meet.

The first of several choices is what a failing example is reduced to; what is named more often is
drawn more often.
"""

from typing import Any

from hypothesis import strategies as st

from tests.properties.calls import (
    ACCOUNTS,
    ENDPOINTS,
    HOUR_US,
    LIST_NAMES,
    NO_LIST,
    NO_RESERVATION,
    OTHERS_RESERVATION,
    PAGE,
    PATTERNS,
    SECOND_US,
    Authorize,
    CreateAccount,
    CreateRecurring,
    Debit,
    EndRecurring,
    Extend,
    Grant,
    Publish,
    Refund,
    Repeat,
    ReplaceRecurring,
    Settle,
    UpdateAccount,
    Void,
    Wish,
)
from tests.properties.spellings import REFUSED_SPELLINGS, SPELLINGS, Spelling
from tests.support.model.account import Row
from tests.support.model.paths import Price


def spelt(spell: Spelling, endpoint: tuple[str, str]) -> tuple[str, str]:
    method, path = endpoint
    return method, spell(path)


def of_endpoint(limit: Row, endpoint: tuple[str, str]) -> Row:
    return limit | {"method": endpoint[0], "path": endpoint[1]}


def with_threshold(rule: Row, threshold: tuple[int, bool]) -> Row:
    return rule | {"threshold": threshold[0], "percent": threshold[1]}


def name_of(limit: Row) -> str:
    return limit["name"]


NO_LIMIT = st.just("")


def alert_of(
    subject: str,
    absolute: list[int],
    percents: list[int],
    windows: st.SearchStrategy[str | None],
    zones: st.SearchStrategy[str],
    limits: st.SearchStrategy[str] = NO_LIMIT,
) -> st.SearchStrategy[Row]:
    """Draw alert rules of one subject; thresholds are some credits, or so many per cent."""
    thresholds = [(each, False) for each in absolute] + [(each, True) for each in percents]
    parts = {
        "name": st.sampled_from(["low", "half", "cap", "all", "none"]),
        "subject": st.just(subject),
        "window": windows,
        "time_zone": zones,
        "limit": limits,
    }
    return st.builds(with_threshold, st.fixed_dictionaries(parts), st.sampled_from(thresholds))


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Draw from one of these, in proportion to the weights; `one_of` forgets what is named twice."""
    table = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.integers(0, len(table) - 1).flatmap(lambda index: table[index])


account_ids = st.sampled_from([*ACCOUNTS[:1] * 6, *ACCOUNTS[1:2] * 2, *ACCOUNTS])
keys = st.sampled_from([*[None] * 9, 0, 1, 2])
notes = st.sampled_from(["", "a note", 'it\'s "é", {1,2}\\N'])
endpoints = st.sampled_from([*ENDPOINTS[:6] * 3, *ENDPOINTS])
odd_endpoints = st.builds(spelt, st.sampled_from(SPELLINGS), endpoints)
refused_endpoints = st.one_of(
    st.builds(spelt, st.sampled_from(REFUSED_SPELLINGS), endpoints),
    st.just(("get", "/v1/leads")),
)
holds = st.sampled_from([None, SECOND_US, 30 * SECOND_US, 60 * SECOND_US, 24 * HOUR_US])
prices_credits = weighted((19, st.integers(0, 20)), (1, st.just(10**12)))
granted_credits = weighted((9, st.integers(1, 30)), (1, st.just(10**15)))
credit_limits = weighted((9, st.integers(0, 40)), (1, st.just(10**15)))
durations_us = weighted(
    (2, st.integers(1, 2 * SECOND_US)),
    (3, st.integers(1, 120).map(lambda seconds: seconds * SECOND_US)),
    (1, st.integers(1, 50).map(lambda hours: hours * HOUR_US)),
)
days_us = st.integers(1, 12).map(lambda days: days * 24 * HOUR_US)
reservation_picks = st.sampled_from(
    [*[0, 1, 2] * 4, *range(3, 12), NO_RESERVATION, OTHERS_RESERVATION]
)
http_statuses = st.sampled_from(
    [*[200, 204] * 9, 404, 500, 301, 302, 304, 401, 403, 429, 499, 418, 100, 422, 600]
)
failed_outcomes = st.sampled_from(
    [
        "CANCELLED",
        "SERVER_ERROR",
        "BLOCKED",
        "RATE_LIMITED",
        "VALIDATION_FAILED",
        "AUTHENTICATION_FAILED",
        "REDIRECTED",
    ]
)
outcomes = weighted((2, st.just("VALID_RESPONSE")), (1, failed_outcomes))

authorizations = st.builds(
    Authorize,
    account_ids,
    endpoints,
    keys,
    holds,
    st.sampled_from([*[False] * 5, True]),
)
odd_holds = st.sampled_from([SECOND_US - 1, 24 * HOUR_US + 1])
odd_authorizations = st.builds(
    Authorize,
    account_ids,
    weighted((3, odd_endpoints), (1, refused_endpoints)),
    keys,
    weighted((3, holds), (1, odd_holds)),
    st.booleans(),
)


def commits_of(picks: st.SearchStrategy[int]) -> st.SearchStrategy[Settle]:
    results = st.one_of(
        st.tuples(st.just("http_status"), http_statuses), st.tuples(st.just("outcome"), outcomes)
    )
    return st.builds(Settle, st.just("commit"), picks, results)


def releases_of(picks: st.SearchStrategy[int]) -> st.SearchStrategy[Settle]:
    results = st.tuples(st.just("outcome"), st.one_of(st.none(), failed_outcomes))
    return st.builds(Settle, st.just("release"), picks, results)


def extends_of(picks: st.SearchStrategy[int]) -> st.SearchStrategy[Extend]:
    return st.builds(Extend, picks, weighted((19, holds), (1, odd_holds)))


extends, extends_of_the_newest = extends_of(reservation_picks), extends_of(st.just(0))
commits, releases = commits_of(reservation_picks), releases_of(reservation_picks)
refunds_of_the_newest = st.builds(
    Refund,
    st.just(0),
    st.one_of(st.none(), st.integers(1, 5)),
    st.none(),
    st.just(""),
    st.none(),
)
ends_of_the_newest = weighted(
    (5, commits_of(st.just(0))),
    (1, releases_of(st.just(0))),
    (6, refunds_of_the_newest),
    (2, extends_of_the_newest),
)
grants = st.builds(
    Grant,
    account_ids,
    granted_credits,
    st.sampled_from([0, 0, 1, 2]),
    weighted((4, st.none()), (4, durations_us), (1, st.sampled_from([0, SECOND_US]))),
    notes,
    keys,
)
first_grants = st.builds(
    Grant,
    st.sampled_from([ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1]]),
    st.integers(5, 25),
    st.sampled_from([0, 0, 1]),
    st.one_of(st.none(), durations_us),
    notes,
    st.none(),
)
recurring = st.builds(
    CreateRecurring,
    account_ids,
    granted_credits,
    st.sampled_from(["DAY", "DAY", "DAY", "WEEK", "MONTH", "YEAR"]),
    weighted(
        (4, st.none()),
        (2, st.integers(-40 * 24, 0).map(lambda hours: hours * HOUR_US)),
        (2, durations_us),
        (1, days_us),
    ),
    st.sampled_from(["UTC", "UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]),
    st.sampled_from([0, 0, 1, 5, 10, 10**15]),
    st.sampled_from([0, 0, 1, 2]),
    weighted((5, st.none()), (1, durations_us), (2, days_us), (1, st.just(0))),
    notes,
    keys,
)
first_recurring = st.builds(
    CreateRecurring,
    st.sampled_from([ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1]]),
    st.integers(5, 25),
    st.sampled_from(["DAY", "DAY", "WEEK"]),
    weighted((2, st.none()), (1, st.integers(-9, 0).map(lambda hours: hours * HOUR_US))),
    st.sampled_from(["UTC", "Europe/Berlin"]),
    st.sampled_from([0, 4, 10, 40]),
    st.sampled_from([0, 1]),
    st.none(),
    notes,
    st.none(),
)
ends_of_recurring = st.builds(
    EndRecurring,
    account_ids,
    st.sampled_from([*[1, 2, 3] * 3, 4, 77]),
    weighted((3, st.none()), (1, durations_us), (2, days_us), (1, st.just(0))),
    keys,
)
replacements = st.builds(
    ReplaceRecurring,
    st.sampled_from([*[0] * 9, 1, 1, 2, -1]),
    granted_credits,
    st.sampled_from([*[None] * 4, "DAY", "WEEK", "MONTH"]),
    st.sampled_from([0, 4, 10, 10**15]),
    st.sampled_from([0, 0, 1]),
    notes,
    st.sampled_from([*["NOW"] * 3, "NEXT_PERIOD"]),
    keys,
)
voids = st.builds(Void, st.sampled_from([*[0, 1, 2] * 3, *range(3, 8), -1]), notes, keys)
debits = st.builds(
    Debit, account_ids, weighted((29, st.integers(1, 30)), (1, st.just(10**15))), notes, keys
)
refunds = st.builds(
    Refund,
    reservation_picks,
    st.one_of(st.none(), st.integers(1, 9)),
    weighted((2, st.none()), (2, durations_us), (1, st.just(0))),
    notes,
    keys,
)
limit_rows = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["daily", "burst", "leads"]),
        "unit": st.sampled_from(["CREDITS", "REQUESTS"]),
        "window": st.sampled_from(
            ["SECOND", "MINUTE", "HOUR", "DAY", "DAY", "WEEK", "MONTH", "MONTH"]
        ),
        "maximum": st.sampled_from([1, 2, 8, 9, 16, 20, 40, 40, 0]),
        "time_zone": st.sampled_from(
            ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]
        ),
        "enforce": st.sampled_from([True, True, True, False]),
    }
)
limit_endpoints = st.sampled_from(
    [
        *[("", "")] * 6,
        ("GET", "/v1/leads"),
        ("*", "/v1/files/{any}"),
        ("POST", "/v1/models/{any}:run"),
        ("GET", "/v1/none"),
    ]
)
limits = st.lists(
    st.builds(of_endpoint, limit_rows, limit_endpoints),
    min_size=1,
    max_size=3,
    unique_by=name_of,
)
later_us = weighted((4, durations_us), (1, st.sampled_from([0, 1, SECOND_US, -1])))
odd_list_names = st.sampled_from([NO_LIST, "a b", "p" * 65])
zones = st.sampled_from(
    ["UTC", "UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York"]
)
alert_windows = st.sampled_from(["DAY", "DAY", "DAY", "WEEK", "MONTH"])
alert_rows: st.SearchStrategy[Row] = weighted(
    (3, alert_of("CONSUMED", [8, 1, 9, 16, 40], [25, 1, 50, 100, 150], alert_windows, zones)),
    (2, alert_of("REMAINING", [0, 5, 10, 20, 40], [0, 25, 50, 99], alert_windows, zones)),
    (3, alert_of("REMAINING", [0, 5, 10, 20, 40, 100], [], st.none(), st.just(""))),
    (
        3,
        alert_of(
            "LIMIT_USE",
            [1, 2, 8, 16],
            [50, 80, 100, 120],
            st.none(),
            st.just(""),
            st.sampled_from(["daily", "daily", "burst", "leads"]),
        ),
    ),
)
alerts = st.lists(alert_rows, min_size=2, max_size=5, unique_by=name_of)
creations = st.builds(
    CreateAccount,
    account_ids,
    credit_limits,
    notes,
    keys,
    weighted((2, st.just([])), (1, limits)),
    weighted((2, st.just("")), (2, st.sampled_from(LIST_NAMES)), (1, odd_list_names)),
    weighted((4, st.none()), (1, later_us)),
    weighted((3, st.just([])), (1, alerts)),
)
updates = st.builds(
    UpdateAccount,
    account_ids,
    st.sampled_from([None, None, "ACTIVE", "ACTIVE", "ACTIVE", "BLOCKED", "CLOSED"]),
    st.one_of(st.none(), credit_limits),
    st.one_of(st.none(), notes),
    keys,
    weighted((2, st.none()), (3, limits), (1, st.just([]))),
    alerts=weighted((3, st.none()), (3, alerts), (1, st.just([]))),
)
assignments = st.builds(
    UpdateAccount,
    account_ids,
    st.none(),
    st.none(),
    st.none(),
    keys,
    st.none(),
    weighted((12, st.sampled_from(["", *LIST_NAMES])), (1, odd_list_names), (1, st.none())),
    weighted((3, st.none()), (4, later_us)),
)
price_rows = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "*", "HEAD"]),
        "path": st.sampled_from(PATTERNS),
        "credits": prices_credits,
        "charge_on": st.sampled_from([[], [], ["2xx"], ["2xx", "404"], ["201", "5xx"]]),
        "note": notes,
    }
)
price_lists = st.lists(price_rows, max_size=12, unique_by=lambda row: Price.of(row).shape)
other_prices = st.lists(prices_credits, min_size=len(PAGE), max_size=len(PAGE)).map(
    lambda credits_: [row | {"credits": each} for row, each in zip(PAGE, credits_, strict=True)]
)
publications = st.builds(
    Publish,
    weighted((2, other_prices), (1, price_lists)),
    st.sampled_from(["free", "free", "denied"]),
    weighted((4, st.none()), (4, later_us)),
    notes,
    keys,
    st.sampled_from(["", *LIST_NAMES]),
)
first_named_lists = st.lists(
    st.tuples(
        other_prices,
        st.sampled_from(["free", "denied"]),
        st.one_of(st.none(), durations_us),
        st.sampled_from(LIST_NAMES),
    ),
    max_size=3,
)
recent = st.sampled_from([*[0, 1, 2] * 3, *range(3, 12)])
repeats = st.builds(Repeat, recent, st.just(()))
altered_repeats = st.builds(
    Repeat,
    recent,
    st.one_of(
        st.tuples(st.integers(0, 5)),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
    ),
)
of_gateways: st.SearchStrategy[Wish] = weighted(
    (5, authorizations), (2, odd_authorizations), (4, commits), (1, releases), (2, extends)
)
of_operators: st.SearchStrategy[Wish] = weighted(
    (4, grants),
    (3, updates),
    (4, assignments),
    (1, creations),
    (4, publications),
    (2, voids),
    (2, debits),
    (5, refunds),
    (3, recurring),
    (2, ends_of_recurring),
    (4, replacements),
)
wishes: st.SearchStrategy[Wish] = weighted(
    (5, of_gateways), (2, of_operators), (2, repeats), (1, altered_repeats)
)
wishes_together: st.SearchStrategy[list[Wish]] = st.lists(wishes, min_size=2, max_size=12)
