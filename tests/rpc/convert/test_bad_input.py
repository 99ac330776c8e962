"""Bad input, field by field: it is named, nothing changes, and nothing of the inside is told."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
from google.protobuf.descriptor import Descriptor

from tests.rpc.conftest import Running
from tests.rpc.requests import GOOD, IN_2001_S, IN_2040_S, PRICES, call, hold, open_account
from tests.rpc.wire import Refusal, refusal_of
from tollkeeper.rpc.convert.page_token import encode
from tollkeeper.v1 import admin_pb2, ledger_pb2

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
INT32_MAX = 2**31 - 1

BAD_ACCOUNT_IDS = ["", "a" * 129, "a b", "a'; DROP TABLE account; --", "é", "a\x00", "a\n"]
BAD_REQUEST_IDS = ["", "r" * 129, "é", "r\x00", "r\n"]
BAD_RESERVATION_IDS = ["", "r" * 65, "é", "1a-2b\x00"]
BAD_TEXTS = ["x" * 257, "a\x00", "a\nb"]
BAD_TIMES = [{}, {"seconds": 1}, {"seconds": INT64_MAX}, {"seconds": IN_2040_S, "nanos": -1}]
BAD_ZONES = ["Mars", "localtime", "../etc/passwd", "U\x00"]
BAD_LIST_NAMES = ["p" * 65, "a b", "é", "a\x00", "#a"]
BAD_PERIOD = {"start_time": {"seconds": IN_2040_S}, "end_time": {"seconds": IN_2001_S}}
BAD_TOKENS = ["x", "é", "A" * 600, encode(("other",), "1"), encode(("prices",), "0")]
FORGED = encode(("entries", "acme", 0, 0, False, 0, 0, False), "9" * 30)
BAD_CURSORS = [*BAD_TOKENS, encode(("events",), "01"), encode(("events",), "9" * 30)]
BAD_PATTERNS = [
    "",
    "v1",
    "//",
    "/a%20b",
    "/a/**/b",
    "/x\x00",
    "/:id",
    "/<id>",
    "/*",
    "/[id]",
    "/{id:int}",
]
USE: dict[str, Any] = {"subject": 3, "window": 0}
RULE: dict[str, Any] = {"name": "half", "subject": 1, "threshold": 5, "window": 4}
CONSUMPTION = ("consumption", "", "", 0, 0, False, 0, 0, False)
FORGED_CONSUMPTION = [
    encode(CONSUMPTION, place)
    for place in ("1", "490000 480000 1 a", "99999999 99999999 1 a", "0 490000 1 a", "9 9 9 \x00")
]


class Case(NamedTuple):
    """A method, what is changed in a good request to it, and the fields that are bad then."""

    method: str
    changes: dict[str, Any]
    bad: list[str]

    def __str__(self) -> str:
        return f"{self.method} {str(self.changes)[:100]}"


def each(method: str, field: str, values: list[Any]) -> list[Case]:
    return [Case(method, {field: value}, [field]) for value in values]


def by_request(**changes: str) -> dict[str, Any]:
    """Ask for a reservation by its request."""
    return {"reservation_id": None, "request": {"account_id": "a", "request_id": "r"} | changes}


def price_list(**changes: Any) -> dict[str, Any]:
    return {"prices": PRICES | changes}


def limit(*, bad: str, **changes: Any) -> list[Case]:
    """Limits whose second is bad."""
    good = {"name": "daily", "unit": 1, "window": 4, "maximum": 5}
    limits = [good, good | {"name": "other"} | changes]
    return [
        Case("CreateAccount", {"limits": limits}, [f"limits[1].{bad}"]),
        Case("UpdateAccount", {"limits": {"limits": limits}}, [f"limits.limits[1].{bad}"]),
    ]


def alert(*, bad: str, **changes: Any) -> list[Case]:
    """Alert rules whose second is bad."""
    good = {"name": "half", "subject": 1, "threshold": 5, "window": 4}
    alerts = {"rules": [good, good | {"name": "other"} | changes]}
    return [
        Case(method, {"alerts": alerts}, [f"alerts.rules[1].{bad}"])
        for method in ("CreateAccount", "UpdateAccount")
    ]


def price(*, bad: str, **changes: Any) -> Case:
    """A list whose second price is bad."""
    good = PRICES["prices"][0]
    prices = price_list(prices=[good, good | {"method": "PUT"} | changes])
    return Case("PublishPrices", prices, [f"prices.prices[1].{bad}"])


CASES: list[Case] = [
    *each("Authorize", "account_id", BAD_ACCOUNT_IDS),
    *each("Authorize", "request_id", BAD_REQUEST_IDS),
    *each("Authorize", "method", ["", "get", "*", "GET /", "A" * 33, "GET\x00"]),
    *each("Authorize", "path", ["", "v1", "?x", "/a/../b", "/%2e%2e/a", "/a%", "/a%00", "/%ff"]),
    *each("Authorize", "path", ["/" + "a" * 2048, "/" + "é" * 1024, "/a\x00", "/%2565"]),
    *each("Authorize", "hold", [{}, {"seconds": -1}, {"nanos": 999_999_999}, {"seconds": 86_401}]),
    *each("Authorize", "hold", [{"seconds": 5, "nanos": -1}, {"seconds": INT64_MAX}]),
    Case(
        "Authorize",
        {"account_id": "", "method": "get", "path": "x", "request_id": "", "hold": {}},
        ["hold", "account_id", "method", "path", "request_id"],
    ),
    Case("Authorize", {"dry_run": True, "method": "get"}, ["method"]),
    *each("Commit", "reservation_id", BAD_RESERVATION_IDS),
    *each("Commit", "http_status", [0, 99, 600, -200, INT32_MAX]),
    *(Case("Commit", {"http_status": None, "outcome": value}, ["outcome"]) for value in (0, 9, -1)),
    Case("Commit", {"http_status": None}, ["result"]),
    Case("Commit", {"reservation_id": "", "http_status": 0}, ["http_status", "reservation_id"]),
    *each("Release", "reservation_id", BAD_RESERVATION_IDS),
    *each("Release", "outcome", [1, 9, -1]),
    Case("Release", {"reservation_id": "", "outcome": 1}, ["reservation_id", "outcome"]),
    *each("Extend", "reservation_id", BAD_RESERVATION_IDS),
    *each("Extend", "hold", [{}, {"seconds": -1}, {"nanos": 999_999_999}, {"seconds": 86_401}]),
    *each("Extend", "hold", [{"seconds": 5, "nanos": -1}, {"seconds": INT64_MAX}]),
    Case("Extend", {"reservation_id": "", "hold": {}}, ["reservation_id", "hold"]),
    *each("GetOverview", "account_id", BAD_ACCOUNT_IDS),
    *each("GetOverview", "start_time", BAD_TIMES),
    *each("GetOverview", "end_time", BAD_TIMES),
    Case("GetOverview", BAD_PERIOD, ["end_time"]),
    *each("GetOverview", "granularity", [4, -1]),
    *each(
        "GetOverview", "time_zone", ["Europe/Nowhere", "../../etc/passwd", "UTC\x00", "localtime"]
    ),
    Case(
        "GetOverview",
        {"account_id": "", "start_time": {}, "end_time": {}, "granularity": 9, "time_zone": "x"},
        ["start_time", "end_time", "account_id", "granularity", "time_zone"],
    ),
    *each("CreateAccount", "account_id", BAD_ACCOUNT_IDS),
    *each("CreateAccount", "display_name", BAD_TEXTS),
    *each("CreateAccount", "credit_limit", [-1, 10**15 + 1, INT64_MAX, INT64_MIN]),
    *each("CreateAccount", "request_id", BAD_REQUEST_IDS),
    Case(
        "CreateAccount",
        {"account_id": "", "display_name": "\x00", "credit_limit": -1, "request_id": ""},
        ["account_id", "request_id", "display_name", "credit_limit"],
    ),
    *each("GetAccount", "account_id", BAD_ACCOUNT_IDS),
    *each("ListAccounts", "page_size", [-1, 1_001, INT32_MAX]),
    *each("ListAccounts", "page_token", [*BAD_TOKENS, encode(("accounts", "a"), "acme")]),
    *each("ListAccounts", "page_token", [encode(("accounts", ""), "a\x00")]),
    *each("ListAccounts", "prefix", ["%", "a" * 129, "a\x00"]),
    Case(
        "ListAccounts",
        {"page_size": -1, "page_token": "x", "prefix": "%"},
        ["page_size", "page_token", "prefix"],
    ),
    *each("UpdateAccount", "account_id", BAD_ACCOUNT_IDS),
    *each("UpdateAccount", "display_name", BAD_TEXTS),
    *each("UpdateAccount", "state", [0, 4, -1]),
    *each("UpdateAccount", "credit_limit", [-1, 10**15 + 1]),
    *each("UpdateAccount", "request_id", BAD_REQUEST_IDS),
    Case(
        "UpdateAccount",
        {
            "account_id": "",
            "display_name": "\x00",
            "state": 0,
            "credit_limit": -1,
            "request_id": "",
        },
        ["account_id", "request_id", "display_name", "state", "credit_limit"],
    ),
    *(
        case
        for method in ("CreateAccount", "UpdateAccount")
        for case in (
            *each(method, "price_list", BAD_LIST_NAMES),
            *(
                Case(
                    method,
                    {"price_list": "partner", "price_list_effective_time": value},
                    ["price_list_effective_time"],
                )
                for value in [*BAD_TIMES, {"seconds": IN_2001_S}]
            ),
            Case(
                method,
                {"price_list_effective_time": {"seconds": IN_2040_S}},
                ["price_list_effective_time"],
            ),
        )
    ),
    *each("GrantCredits", "account_id", BAD_ACCOUNT_IDS),
    *each("GrantCredits", "credits", [0, -1, 10**15 + 1, INT64_MAX, INT64_MIN]),
    *each("GrantCredits", "priority", [-1, 1_000_001]),
    *each("GrantCredits", "expire_time", [*BAD_TIMES, {"seconds": IN_2001_S}]),
    *each("GrantCredits", "note", BAD_TEXTS),
    *each("GrantCredits", "request_id", BAD_REQUEST_IDS),
    Case(
        "GrantCredits",
        {"account_id": "", "credits": 0, "priority": -1, "note": "\x00", "request_id": ""},
        ["account_id", "request_id", "credits", "priority", "note"],
    ),
    *(
        case
        for name, values in {
            "name": ["", "n" * 65, "a\x00", "daily"],
            "unit": [0, 3, -1],
            "window": [0, 7, -1],
            "maximum": [-1, 10**15 + 1, INT64_MIN],
            "time_zone": ["Europe/Nowhere", "UTC\x00"],
        }.items()
        for value in values
        for case in limit(bad=name, **{name: value})
    ),
    *limit(bad="path", method="GET"),
    *limit(bad="path", method="GET", path="v1"),
    *limit(bad="path", method="GET", path="/v1/:id"),
    *limit(bad="path", method="GET", path="/v1/<int:id>"),
    *limit(bad="method", path="/v1"),
    *limit(bad="method", method="get", path="/v1"),
    *each("CreateRecurringGrant", "account_id", BAD_ACCOUNT_IDS),
    *each("CreateRecurringGrant", "credits", [0, -1, 10**15 + 1, INT64_MAX, INT64_MIN]),
    *each("CreateRecurringGrant", "period", [0, 5, -1]),
    *each("CreateRecurringGrant", "anchor", BAD_TIMES),
    *each("CreateRecurringGrant", "time_zone", BAD_ZONES),
    *each("CreateRecurringGrant", "rollover_max", [-1, 10**15 + 1, INT64_MIN]),
    *each("CreateRecurringGrant", "priority", [-1, 1_000_001]),
    *each("CreateRecurringGrant", "note", BAD_TEXTS),
    *each("CreateRecurringGrant", "end_time", [*BAD_TIMES, {"seconds": IN_2001_S}]),
    *each("CreateRecurringGrant", "request_id", BAD_REQUEST_IDS),
    Case(
        "CreateRecurringGrant",
        {"anchor": {"seconds": IN_2040_S}, "end_time": {"seconds": IN_2040_S}},
        ["end_time"],
    ),
    Case(
        "CreateRecurringGrant",
        {"anchor": {"seconds": 253_402_300_799}, "time_zone": "Asia/Kathmandu"},
        ["anchor"],
    ),
    Case(
        "CreateRecurringGrant",
        {"account_id": "", "request_id": "", "credits": 0, "period": 0, "rollover_max": -1},
        ["account_id", "request_id", "credits", "period", "rollover_max"],
    ),
    *each("EndRecurringGrant", "account_id", BAD_ACCOUNT_IDS),
    *each("EndRecurringGrant", "recurring_grant_id", ["", "g" * 65, "é", "1\x00"]),
    *each("EndRecurringGrant", "end_time", [*BAD_TIMES, {"seconds": IN_2001_S}]),
    *each("EndRecurringGrant", "request_id", BAD_REQUEST_IDS),
    *each("ReplaceRecurringGrant", "account_id", BAD_ACCOUNT_IDS),
    *each("ReplaceRecurringGrant", "recurring_grant_id", ["", "g" * 65, "é", "1\x00"]),
    *each("ReplaceRecurringGrant", "credits", [0, -1, 10**15 + 1, INT64_MAX, INT64_MIN]),
    *each("ReplaceRecurringGrant", "period", [5, -1]),
    *each("ReplaceRecurringGrant", "rollover_max", [-1, 10**15 + 1, INT64_MIN]),
    *each("ReplaceRecurringGrant", "priority", [-1, 1_000_001]),
    *each("ReplaceRecurringGrant", "note", BAD_TEXTS),
    *each("ReplaceRecurringGrant", "when", [3, -1]),
    *each("ReplaceRecurringGrant", "request_id", BAD_REQUEST_IDS),
    Case(
        "ReplaceRecurringGrant",
        {"account_id": "", "recurring_grant_id": "", "request_id": "", "credits": 0, "when": 9},
        ["account_id", "recurring_grant_id", "request_id", "credits", "when"],
    ),
    *each("VoidGrant", "account_id", BAD_ACCOUNT_IDS),
    *each("VoidGrant", "grant_id", ["", "g" * 65, "é", "1a\x00"]),
    *each("VoidGrant", "note", BAD_TEXTS),
    *each("VoidGrant", "request_id", BAD_REQUEST_IDS),
    Case(
        "VoidGrant",
        {"account_id": "", "grant_id": "", "note": "\x00", "request_id": ""},
        ["account_id", "grant_id", "request_id", "note"],
    ),
    *each("Debit", "account_id", BAD_ACCOUNT_IDS),
    *each("Debit", "credits", [0, -1, 10**15 + 1, INT64_MAX, INT64_MIN]),
    *each("Debit", "note", BAD_TEXTS),
    *each("Debit", "request_id", BAD_REQUEST_IDS),
    Case(
        "Debit",
        {"account_id": "", "credits": 0, "note": "\x00", "request_id": ""},
        ["account_id", "request_id", "credits", "note"],
    ),
    *each("Refund", "reservation_id", BAD_RESERVATION_IDS),
    *each("Refund", "credits", [0, -1, 10**12 + 1, INT64_MAX, INT64_MIN]),
    *each("Refund", "note", BAD_TEXTS),
    *each("Refund", "expire_time", [*BAD_TIMES, {"seconds": IN_2001_S}]),
    *each("Refund", "request_id", BAD_REQUEST_IDS),
    Case(
        "Refund",
        {"reservation_id": "", "credits": 0, "note": "\x00", "request_id": "", "expire_time": {}},
        ["reservation_id", "request_id", "credits", "note", "expire_time"],
    ),
    *each("PublishPrices", "prices", [None]),
    Case("PublishPrices", price_list(prices=[]), ["prices.prices"]),
    *each("PublishPrices", "request_id", BAD_REQUEST_IDS),
    Case("PublishPrices", price_list(version=1), ["prices.version"]),
    *(
        Case("PublishPrices", price_list(effective_time=value), ["prices.effective_time"])
        for value in BAD_TIMES
    ),
    *(Case("PublishPrices", price_list(unlisted=value), ["prices.unlisted"]) for value in (3, -1)),
    *(Case("PublishPrices", price_list(note=value), ["prices.note"]) for value in BAD_TEXTS),
    *(Case("PublishPrices", price_list(name=value), ["prices.name"]) for value in BAD_LIST_NAMES),
    *(price(method=value, bad="method") for value in ("", "get", "GET ", "G\x00")),
    *(price(path=value, bad="path") for value in BAD_PATTERNS),
    price(method="GET", bad="path"),
    *(price(credits=value, bad="credits") for value in (-1, 10**12 + 1, INT64_MAX)),
    *(price(note=value, bad="note") for value in BAD_TEXTS),
    *(price(charge_on=["2xx", value], bad="charge_on[1]") for value in ("", "6xx", "20", "2xx ")),
    Case(
        "PublishPrices",
        {"request_id": "", "prices": {"version": 1, "prices": [{"credits": -1}], "unlisted": 3}},
        [
            "prices.version",
            "request_id",
            "prices.prices[0].credits",
            "prices.prices[0].method",
            "prices.prices[0].path",
            "prices.unlisted",
        ],
    ),
    *each("ListPrices", "page_size", [-1, 1_001]),
    *each("ListPrices", "page_token", BAD_TOKENS),
    *each("ListPrices", "name", BAD_LIST_NAMES),
    Case("ListPrices", {"name": "", "page_token": encode(("prices",), "1")}, ["page_token"]),
    *each("ListEntries", "account_id", BAD_ACCOUNT_IDS),
    *each("ListEntries", "start_time", BAD_TIMES),
    *each("ListEntries", "end_time", BAD_TIMES),
    Case("ListEntries", BAD_PERIOD, ["end_time"]),
    *each("ListEntries", "page_size", [-1, 1_001]),
    *each("ListEntries", "page_token", [*BAD_TOKENS, FORGED]),
    Case(
        "ListEntries",
        {"account_id": "", "page_size": -1, "page_token": "x"},
        ["account_id", "page_size", "page_token"],
    ),
    *each("ExplainReservation", "reservation_id", BAD_RESERVATION_IDS),
    Case("ExplainReservation", {"reservation_id": None}, ["which"]),
    *[
        Case("ExplainReservation", by_request(account_id=bad), ["request.account_id"])
        for bad in BAD_ACCOUNT_IDS
    ],
    *[
        Case("ExplainReservation", by_request(request_id=bad), ["request.request_id"])
        for bad in BAD_REQUEST_IDS
    ],
    Case(
        "ExplainReservation",
        {"reservation_id": None, "request": {}},
        ["request.account_id", "request.request_id"],
    ),
    *each("ListConsumption", "start_time", BAD_TIMES),
    *each("ListConsumption", "end_time", BAD_TIMES),
    Case("ListConsumption", BAD_PERIOD, ["end_time"]),
    *each("ListConsumption", "time_zone", BAD_ZONES),
    *each("ListConsumption", "prefix", ["%", "a" * 129, "a\x00"]),
    *each("ListConsumption", "page_size", [-1, 1_001]),
    *each("ListConsumption", "page_token", [*BAD_TOKENS, *FORGED_CONSUMPTION]),
    *each("GetPlatformOverview", "start_time", BAD_TIMES),
    *each("GetPlatformOverview", "end_time", BAD_TIMES),
    Case("GetPlatformOverview", BAD_PERIOD, ["end_time"]),
    *each("GetPlatformOverview", "granularity", [4, -1]),
    *each("GetPlatformOverview", "time_zone", BAD_ZONES),
    *each("ListEvents", "account_id", BAD_ACCOUNT_IDS[1:]),
    *each("ListEvents", "prefix", ["%", "a" * 129, "a\x00"]),
    *each("ListEvents", "page_size", [-1, 1_001]),
    *each("ListEvents", "page_token", BAD_CURSORS),
    *each("WatchEvents", "account_id", BAD_ACCOUNT_IDS[1:]),
    *each("WatchEvents", "prefix", ["%", "a" * 129, "a\x00"]),
    *each("WatchEvents", "cursor", BAD_CURSORS),
    *(
        case
        for name in ("", "x" * 65, "a\x00")
        for case in (*alert(bad="name", name=name), *alert(bad="limit", **USE, limit=name))
    ),
    *alert(bad="name", name="half"),
    *(case for value in (0, 4, -1) for case in alert(bad="subject", subject=value)),
    *(case for value in (0, -1, 10**15 + 1) for case in alert(bad="threshold", threshold=value)),
    *alert(bad="threshold", threshold=1_001, percent=True),
    *alert(bad="threshold", threshold=-1, subject=2),
    *alert(bad="threshold", threshold=101, percent=True, subject=2),
    *(case for value in (0, 1, 3, 7, -1) for case in alert(bad="window", window=value)),
    *alert(bad="window", window=0, subject=2, percent=True),
    *alert(bad="window", subject=3, limit="daily"),
    *(case for zone in BAD_ZONES for case in alert(bad="time_zone", time_zone=zone)),
    *alert(bad="time_zone", time_zone="UTC", subject=2, window=0),
    *alert(bad="limit", limit="daily"),
    *alert(bad="limit", limit="daily", **USE),
    Case("CreateAccount", {"alerts": {"rules": [RULE] * 101}}, ["alerts.rules"]),
    Case("UpdateAccount", {"alerts": {"rules": [RULE] * 101}}, ["alerts.rules"]),
]

# Fields that no value of is bad, by method and name.
CANNOT_BE_BAD = {
    "Authorize.dry_run": "either value is good",
    "PublishPrices.allow_empty": "either value is good",
    "GetPlatformOverview.endpoint_series": "either value is good",
    "CreateAccount.limits.enforce": "either value is good",
    "CreateAccount.alerts.rules.percent": "either value is good",
    "UpdateAccount.alerts.rules.percent": "either value is good",
    "WatchEvents.only_new": "either value is good",
    "UpdateAccount.limits.limits.enforce": "either value is good",
}

# Their operations are those of the other methods, and test_batch.py holds them to the same refusals.
MADE_OF_OTHERS = {"Batch", "Session"}

INDEX = re.compile(r"\[[0-9]+\]")
INSIDES = re.compile(
    r"sqlite|psycopg|sqlalchemy|postgres|alembic|constraint|insert into|select |update |delete from"
    r"|traceback|[a-z]+(error|exception)\b|\.py\b|_pb2|<class|\bobject at\b|ledger\.db|/(tmp|var)/",
    re.IGNORECASE,
)


async def test_every_bad_field_is_named_and_nothing_changes(server: Running) -> None:
    await open_account(server)
    reservation_id = await hold(server)
    before = server.rows()

    findings: list[str] = []
    for case in CASES:
        changes = case.changes
        if case.method in {"Commit", "Release", "Extend", "Refund"}:
            changes = {"reservation_id": reservation_id} | changes
        refusal = await refusal_of(call(server, case.method, **changes))
        findings += [f"{case}: {finding}" for finding in faults_of(refusal, case.bad)]
        if (after := server.rows()) != before:
            findings.append(f"{case}: changed rows")
            before = after

    assert not findings, "\n".join(findings)


async def test_what_a_good_request_changes_is_seen(server: Running) -> None:
    await open_account(server)
    reservation_id = await hold(server)

    for method in ("Commit", "Authorize", "CreateAccount", "UpdateAccount", "GrantCredits"):
        before = server.rows()
        changes = {"reservation_id": reservation_id} if method == "Commit" else {}
        await call(server, method, **changes)
        assert server.rows() != before, method


def faults_of(refusal: Refusal, bad: list[str]) -> Iterator[str]:
    if refusal.code is not grpc.StatusCode.INVALID_ARGUMENT or refusal.reason != "INVALID_FIELD":
        yield f"{refusal.code.name} {refusal.reason}: {refusal.message}"
    if refusal.fields != bad:
        yield f"names {refusal.fields}, not {bad}"
    if not all(f"{field}: " in refusal.message for field in bad):
        yield f"says {refusal.message!r}"
    if any(word.endswith(".") or word[:1].isupper() for word in refusal.descriptions):
        yield f"is not in our style: {refusal.descriptions}"
    if INSIDES.search(refusal.words):
        yield f"tells of the inside: {refusal.words!r}"


def test_every_field_of_every_request_has_a_bad_value_here_or_a_reason() -> None:
    leaves = {
        f"{method.name}.{leaf}"
        for file in (ledger_pb2.DESCRIPTOR, admin_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
        if method.name not in MADE_OF_OTHERS
        for leaf in leaves_of(method.input_type)
    }
    tried = {f"{case.method}.{INDEX.sub('', field)}" for case in CASES for field in case.bad}

    assert leaves - tried == set(CANNOT_BE_BAD)
    assert tried - leaves == {
        "PublishPrices.prices.prices",
        "Commit.result",
        "ExplainReservation.which",
        "PublishPrices.prices",
        "CreateAccount.alerts.rules",
        "UpdateAccount.alerts.rules",
    }
    assert set(GOOD) == {leaf.partition(".")[0] for leaf in leaves}


def leaves_of(message: Descriptor) -> Iterator[str]:
    """Every field that has no fields of ours below it; a time or a duration is one value."""
    for field in message.fields:
        below = field.message_type
        if below is not None and below.file.package == "tollkeeper.v1":
            yield from (f"{field.name}.{leaf}" for leaf in leaves_of(below))
        else:
            yield field.name
