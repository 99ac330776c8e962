"""Examples that hold the reference model to the rules, before the server is held to the model."""

from typing import Any

import pytest

from tests.support.model.account import no_usage
from tests.support.model.ledger import Model, ModelError
from tests.support.thorough import thorough

S = 1_000_000
H = 3600 * S
T = 1_800_000_000 * S  # the beginning of an hour
ACME = "acme"
PAGE: list[dict[str, Any]] = [
    {"method": "GET", "path": "/v1/ip-lookup", "credits": 10},
    {"method": "GET", "path": "/v1/domain-lookup", "credits": 10},
    {"method": "POST", "path": "/v1/track", "credits": 1},
    {"method": "GET", "path": "/v1/leads", "credits": 10},
    {"method": "GET", "path": "/v1/leads/export", "credits": 10},
]


@pytest.fixture
def model() -> Model:
    """The page's prices and one account without credits."""
    model = Model()
    model.publish(T, prices=PAGE, request_id="page")
    model.create_account(T, ACME, request_id="acme")
    return model


def give(model: Model, credits_: int, key: str = "g", **more: Any) -> int:
    """Grant credits at T and tell the grant's id."""
    reply = model.grant(T, ACME, credits=credits_, request_id=key, **more)
    return reply["grant"]["id"]


def ask(model: Model, key: str, at: int = T, path: str = "/v1/leads", **more: Any) -> Any:
    """Authorize a GET."""
    reply = model.authorize(at, ACME, "GET", path, request_id=key, **more)
    model.check()
    return reply


def reprice(model: Model, at: int = T, unlisted: str = "free", **prices: int) -> None:
    """Publish a list in which each word stands for GET of its path."""
    rows = [{"method": "GET", "path": f"/{p}", "credits": c} for p, c in prices.items()]
    model.publish(at, prices=rows, unlisted=unlisted, request_id=f"reprice-{at}-{prices}")


def grants(model: Model, at: int = T) -> dict[int, tuple[int, int, int, int]]:
    """Tell what each grant has remaining, held, consumed and expired."""
    rows = model.state(at)[ACME]["grants"]
    return {g["id"]: (g["remaining"], g["held"], g["consumed"], g["expired"]) for g in rows}


def kinds(model: Model) -> list[tuple[str, int]]:
    """Tell the recorded journal."""
    return [(entry["kind"], entry["credits"]) for entry in model.rows()[ACME]["entries"]]


@pytest.mark.parametrize("price", PAGE, ids=lambda price: price["path"])
def test_each_endpoint_of_the_page_costs_what_the_page_says(
    model: Model, price: dict[str, Any]
) -> None:
    give(model, 100)

    held = model.authorize(T, ACME, price["method"], price["path"], request_id="r")
    charged = model.commit(T, held["reservation_id"], http_status=200)

    assert held["credits"] == charged["credits"] == price["credits"]
    assert charged["balance"]["settled"] == 100 - price["credits"]


def test_an_endpoint_that_the_page_does_not_name_is_free_and_leaves_no_trace_but_a_count(
    model: Model,
) -> None:
    before = model.rows()

    reply = ask(model, "r", path="/v1/status")

    assert (reply["decision"], reply["reservation_id"], reply["credits"]) == ("reserved", None, 0)
    assert (reply["state"], reply["price_version"]) == (None, 0)
    after = model.rows()
    (counted,) = after["acme"].pop("usage").values()
    assert counted == no_usage() | {"free": 1}
    assert before["acme"].pop("usage") == {}
    assert after == before


def test_with_500_available_exactly_6_of_20_requests_of_75_are_granted(model: Model) -> None:
    reprice(model, enrich=75)
    give(model, 500)

    replies = [ask(model, f"r{n}", path="/enrich") for n in range(20)]

    assert [r["decision"] for r in replies] == ["reserved"] * 6 + ["denied"] * 14
    assert replies[-1]["balance"]["available"] == 50


def test_the_last_credit_can_be_held_and_one_more_cannot(model: Model) -> None:
    give(model, 10)

    assert ask(model, "a")["balance"]["available"] == 0
    denied = ask(model, "b")

    assert (denied["reason"], denied["credits"]) == ("INSUFFICIENT_CREDITS", 10)
    assert denied["http_status"] == 402


def test_grants_burn_by_priority_then_expiry_then_creation(model: Model) -> None:
    never = give(model, 3, "a")
    late = give(model, 3, "b", expires_us=T + 9 * H)
    soon = give(model, 3, "c", expires_us=T + 8 * H)
    same = give(model, 3, "d", expires_us=T + 8 * H)
    first = give(model, 3, "e", priority=0, expires_us=T + 7 * H)
    last = give(model, 3, "f", priority=1, expires_us=T + 6 * H)
    reprice(model, all=18)

    ask(model, "r", path="/all")

    slices = model.rows()[ACME]["reservations"][0]["slices"]
    assert slices == [(grant, 3) for grant in (first, soon, same, late, never, last)]


def test_what_grants_do_not_cover_comes_from_the_credit_line(model: Model) -> None:
    model.update_account(T, ACME, credit_limit=6, request_id="line")
    grant = give(model, 4)

    held = ask(model, "r")
    charged = model.commit(T, held["reservation_id"], http_status=200)

    assert model.rows()[ACME]["reservations"][0]["slices"] == [(grant, 4), (None, 6)]
    assert charged["balance"] == {"available": 0, "settled": -6, "held": 0, "credit_limit": 6}


def test_what_is_owed_is_repaid_by_the_next_grant_before_anything_else(model: Model) -> None:
    model.update_account(T, ACME, credit_limit=10, request_id="line")
    model.commit(T, ask(model, "r")["reservation_id"], http_status=200)

    grant = give(model, 25)

    assert grants(model) == {grant: (15, 0, 10, 0)}
    assert kinds(model) == [("CHARGE", -10), ("GRANT", 25)]
    assert model.rows()[ACME]["balance"]["settled"] == 15


def test_a_credit_line_slice_is_paid_by_a_grant_that_came_before_its_commit(model: Model) -> None:
    model.update_account(T, ACME, credit_limit=10, request_id="line")
    held = ask(model, "r")["reservation_id"]
    grant = give(model, 25)

    model.commit(T, held, http_status=200)

    model.check()
    assert grants(model) == {grant: (15, 0, 10, 0)}
    assert model.rows()[ACME]["reservations"][0]["slices"] == [(None, 10)]


def test_what_is_owed_is_repaid_by_a_slice_that_comes_back(model: Model) -> None:
    grant = give(model, 10)
    late = ask(model, "late", hold_us=S)["reservation_id"]
    model.sweep(T + S)
    kept = ask(model, "kept", at=T + S)["reservation_id"]
    model.commit(T + S, late, http_status=200)

    model.release(T + S, kept)

    model.check()
    assert grants(model, T + S) == {grant: (0, 0, 10, 0)}
    assert model.rows()[ACME]["owed"] == 0


def test_a_late_valid_response_is_charged_in_full_even_below_the_limit(model: Model) -> None:
    give(model, 10)
    late = ask(model, "a", hold_us=S)["reservation_id"]
    other = ask(model, "b", at=T + S)["reservation_id"]
    model.commit(T + S, other, http_status=200)

    reply = model.commit(T + 2 * S, late, http_status=200)

    model.check()
    assert (reply["state"], reply["credits"], reply["late"]) == ("COMMITTED", 10, True)
    assert reply["balance"]["available"] == -10
    assert kinds(model)[-1] == ("LATE_CHARGE", -10)


def test_a_late_charge_takes_the_expiry_back_in_its_hour(model: Model) -> None:
    give(model, 10)
    late = ask(model, "a")["reservation_id"]
    expired = model.state(T + 60 * S)[ACME]["usage"][T, "GET", "/v1/leads"]["expired"]

    model.commit(T + 2 * H, late, http_status=200)

    assert expired == 1
    assert list(model.rows()[ACME]["usage"]) == [(T + 2 * H, "GET", "/v1/leads")]


def test_after_the_late_window_a_valid_response_is_refused_and_nothing_is_recorded(
    model: Model,
) -> None:
    give(model, 10)
    held = ask(model, "a", hold_us=S)["reservation_id"]
    before = model.rows()

    with pytest.raises(ModelError, match="RESERVATION_EXPIRED"):
        model.commit(T + S + 24 * H, held, http_status=200)

    assert model.rows() == before
    assert model.release(T + S + 24 * H, held)["state"] == "EXPIRED"
    assert model.rows()[ACME]["reservations"][0]["state"] == "EXPIRED"


def test_a_late_release_is_a_no_op_that_ends_the_hold(model: Model) -> None:
    give(model, 10)
    held = ask(model, "a", hold_us=S)["reservation_id"]

    reply = model.release(T + S, held, outcome="SERVER_ERROR")

    assert (reply["state"], reply["late"], reply["replayed"]) == ("EXPIRED", True, False)
    assert model.rows()[ACME]["balance"]["available"] == 10


def test_a_hold_is_extended_from_now_and_never_shortened(model: Model) -> None:
    give(model, 10)
    held = ask(model, "r")

    longer = model.extend(T + 30 * S, held["reservation_id"], hold_us=2 * H)
    shorter = model.extend(T + 40 * S, held["reservation_id"])
    charged = model.commit(T + 2 * H, held["reservation_id"], http_status=200)

    assert longer["expire_us"] == shorter["expire_us"] == T + 30 * S + 2 * H
    assert longer["balance"]["available"] == 0
    assert (charged["state"], charged["late"]) == ("COMMITTED", False)
    model.check()


def test_a_hold_lasts_seven_days_in_all(model: Model) -> None:
    give(model, 10)
    held = ask(model, "r", hold_us=24 * H)

    answers = [
        model.extend(T + day * (24 * H - S), held["reservation_id"], hold_us=24 * H)
        for day in range(1, 8)
    ]

    assert answers[-2]["expire_us"] == T + 7 * 24 * H - 6 * S
    assert answers[-1]["expire_us"] == T + 7 * 24 * H
    with pytest.raises(ModelError) as refused:
        model.extend(T + 7 * 24 * H, held["reservation_id"])
    assert refused.value.reason == "RESERVATION_EXPIRED"


def test_what_is_settled_or_overdue_is_not_extended(model: Model) -> None:
    give(model, 30)
    committed, released, overdue = [ask(model, key)["reservation_id"] for key in "abc"]
    model.commit(T, committed, http_status=200)
    model.release(T, released)
    before = model.rows()

    reasons: list[str] = []
    for reservation in (committed, released, overdue, 4_242):
        with pytest.raises(ModelError) as refused:
            model.extend(T + 60 * S, reservation, hold_us=H)
        reasons.append(refused.value.reason)

    assert reasons == [
        "ALREADY_COMMITTED",
        "ALREADY_RELEASED",
        "RESERVATION_EXPIRED",
        "RESERVATION_NOT_FOUND",
    ]
    assert model.rows() == before


def test_a_grant_that_expires_under_a_hold_still_pays_for_it(model: Model) -> None:
    grant = give(model, 15, expires_us=T + 10 * S)
    held = ask(model, "a")["reservation_id"]

    model.commit(T + 20 * S, held, http_status=200)

    model.check()
    assert grants(model) == {grant: (0, 0, 10, 5)}
    assert kinds(model) == [("GRANT", 15), ("GRANT_EXPIRED", -5), ("CHARGE", -10)]


def test_what_is_released_after_its_grant_expired_is_expired_too(model: Model) -> None:
    grant = give(model, 15, expires_us=T + 10 * S)
    held = ask(model, "a")["reservation_id"]

    reply = model.release(T + 10 * S, held)

    assert grants(model) == {grant: (0, 0, 0, 15)}
    assert kinds(model)[1:] == [("GRANT_EXPIRED", -5), ("GRANT_EXPIRED", -10)]
    assert reply["balance"]["available"] == 0


def test_a_denial_and_a_dry_run_record_no_expiry_but_answer_as_if(model: Model) -> None:
    give(model, 15, expires_us=T + S)
    before = model.rows()

    dry = ask(model, "a", at=T + S, dry_run=True)

    assert (dry["decision"], dry["balance"]["settled"]) == ("denied", 0)
    assert model.rows() == before
    assert ask(model, "a", at=T + S)["balance"]["settled"] == 0
    assert kinds(model) == [("GRANT", 15)]


def test_a_request_short_of_credits_first_ends_overdue_holds(model: Model) -> None:
    give(model, 10)
    ask(model, "a", hold_us=S)

    dry = ask(model, "b", at=T + S, dry_run=True)
    reply = ask(model, "b", at=T + S)

    states = [hold["state"] for hold in model.rows()[ACME]["reservations"]]
    assert (dry["decision"], dry["reservation_id"]) == ("reserved", None)
    assert (reply["decision"], states) == ("reserved", ["EXPIRED", "HELD"])


def test_overdue_holds_ended_for_a_denial_stay_ended(model: Model) -> None:
    give(model, 10)
    ask(model, "a", hold_us=S)
    reprice(model, at=T + S, leads=11)

    denied = ask(model, "b", at=T + S, path="/leads")

    assert denied["reason"] == "INSUFFICIENT_CREDITS"
    assert model.rows()[ACME]["reservations"][0]["state"] == "EXPIRED"


def test_a_repeat_answers_with_the_reservation_as_it_is_now(model: Model) -> None:
    give(model, 10)
    first = ask(model, "a")
    model.commit(T, first["reservation_id"], http_status=204)
    model.update_account(T, ACME, state="BLOCKED", request_id="block")

    again = ask(model, "a", path="/v1//leads/?page=2")

    assert again["reservation_id"] == first["reservation_id"]
    assert (again["state"], again["replayed"]) == ("COMMITTED", True)


@pytest.mark.parametrize(
    ("altered", "field"),
    [({"path": "/v1/ip-lookup"}, "path"), ({"hold_us": 60 * S}, "hold")],
)
def test_altered_content_under_a_used_key_is_refused_by_name(
    model: Model, altered: dict[str, Any], field: str
) -> None:
    give(model, 10)
    ask(model, "a")

    with pytest.raises(ModelError, match="IDEMPOTENCY_KEY_REUSED") as refused:
        ask(model, "a", **altered)

    assert refused.value.field == field


def test_an_admin_key_is_one_across_methods_and_accounts(model: Model) -> None:
    first = model.grant(T, ACME, credits=5, expires_us=T + S, request_id="k")

    again = model.grant(T + H, ACME, credits=5, expires_us=T + S, request_id="k")

    assert (again["grant"]["id"], again["replayed"]) == (first["grant"]["id"], True)
    with pytest.raises(ModelError) as other_content:
        model.grant(T, ACME, credits=6, expires_us=T + S, request_id="k")
    with pytest.raises(ModelError) as other_method:
        model.create_account(T, "other", request_id="k")
    assert (other_content.value.field, other_method.value.field) == ("credits", "request_id")


def test_the_same_end_is_replayed_and_the_opposite_end_refused(model: Model) -> None:
    give(model, 20)
    charged = ask(model, "a")["reservation_id"]
    released = ask(model, "b")["reservation_id"]
    model.commit(T, charged, http_status=200)
    model.commit(T, released, http_status=500)

    assert model.commit(T, charged, http_status=204)["replayed"]
    assert model.release(T, released, outcome="SERVER_ERROR")["replayed"]
    for reason, end in {
        "ALREADY_COMMITTED": lambda: model.release(T, charged),
        "ALREADY_RELEASED": lambda: model.commit(T, released, outcome="VALID_RESPONSE"),
        "IDEMPOTENCY_KEY_REUSED": lambda: model.commit(T, released, http_status=429),
    }.items():
        with pytest.raises(ModelError, match=reason):
            end()


def test_a_new_price_list_never_reprices_a_hold(model: Model) -> None:
    give(model, 100)
    held = ask(model, "a")["reservation_id"]
    model.publish(T, prices=[PAGE[3] | {"credits": 40}], effective_us=T + S, request_id="v2")

    before, after = ask(model, "b"), ask(model, "c", at=T + S)

    assert (before["credits"], before["price_version"]) == (10, 1)
    assert (after["credits"], after["price_version"]) == (40, 2)
    assert model.commit(T + S, held, http_status=200)["credits"] == 10
    with pytest.raises(ModelError, match="PRICES_BACKDATED"):
        model.publish(T + S, prices=PAGE, effective_us=T, request_id="v3")


@pytest.mark.parametrize(
    ("charge_on", "http_status", "outcome"),
    [
        ([], 200, "VALID_RESPONSE"),
        ([], 304, "VALID_RESPONSE"),
        ([], 301, "REDIRECTED"),
        ([], 399, "REDIRECTED"),
        ([], 100, "BLOCKED"),
        ([], 401, "AUTHENTICATION_FAILED"),
        ([], 404, "VALIDATION_FAILED"),
        ([], 418, "BLOCKED"),
        ([], 429, "RATE_LIMITED"),
        ([], 499, "CANCELLED"),
        ([], 503, "SERVER_ERROR"),
        (["2xx", "404"], 404, "VALID_RESPONSE"),
        (["2xx", "404"], 302, "REDIRECTED"),
        (["2xx", "404"], 304, "BLOCKED"),
        (["2xx", "3xx"], 302, "VALID_RESPONSE"),
        (["301"], 301, "VALID_RESPONSE"),
        (["2xx", "404"], 403, "AUTHENTICATION_FAILED"),
        (["201"], 200, "BLOCKED"),
    ],
)
def test_the_charge_rule_of_the_endpoint_tells_a_valid_response(
    model: Model, charge_on: list[str], http_status: int, outcome: str
) -> None:
    give(model, 10)
    model.publish(T, prices=[PAGE[3] | {"charge_on": charge_on}], request_id="rule")

    reply = model.commit(T, ask(model, "a")["reservation_id"], http_status=http_status)

    assert reply["outcome"] == outcome
    assert reply["credits"] == (10 if outcome == "VALID_RESPONSE" else 0)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/leads/",
        "//v1///leads",
        "/v1/leads?page=1",
        "/v1/leads#top",
        "/v1/l%65ads",
        "/v1%2Fleads",
        "/v1%5cleads",
        "/v1/leads;v=1",
        "/v1/leads%3Bv=1",
        "/v1/leads%3Fpage=1",
        "/v1/leads%23top",
    ],
)
def test_no_spelling_of_a_path_is_cheaper_than_another(model: Model, path: str) -> None:
    give(model, 10)

    assert ask(model, "a", path=path)["credits"] == 10


@pytest.mark.parametrize(
    "path",
    [
        "v1/leads",
        "/v1/./leads",
        "/v1/x/%2e%2E/leads",
        "/v1/x/..;/leads",
        "/v1/x%2F..%2Fleads",
        "/v1/le%00ads",
        "/v1/leads\n",
        "/v1/leads%",
        "/v1/%ff",
        "/v1/%2565ads",
        "/" + "a" * 2048,
    ],
)
def test_a_path_that_hides_what_it_names_is_refused(model: Model, path: str) -> None:
    with pytest.raises(ModelError, match="INVALID_FIELD") as refused:
        ask(model, "a", path=path)

    assert refused.value.fields == ("path",)


def test_one_unlisted_reading_is_enough_to_deny_where_unlisted_is_denied(model: Model) -> None:
    give(model, 10)
    reprice(model, unlisted="denied", a=1)

    replies = [ask(model, path, path=path) for path in ("/a", "/a;b", "/b")]

    assert [r["decision"] for r in replies] == ["reserved", "denied", "denied"]
    assert (replies[1]["reason"], replies[1]["http_status"]) == ("ENDPOINT_NOT_LISTED", 404)


def test_of_the_patterns_that_match_the_most_particular_wins(model: Model) -> None:
    better_first = [
        ("GET", "/a/b/**"),  # two literal segments before a wildcard
        ("GET", "/a/{x}/c"),  # a named method, two literal segments in all
        ("GET", "/a/{x}/{y}"),  # {name} over **
        ("GET", "/a/{x}"),  # nothing over **
        ("GET", "/a/{x}/**"),  # more segments
        ("GET", "/a/**"),
        ("*", "/a/b/c"),  # literal, but for any method: it wins by its prefix
        ("*", "/{x}/b/c"),
        ("GET", "/**"),
    ]
    expected = {"/a/b/c": 6, "/a/b": 0, "/a/z/c": 1, "/a/z/z": 2, "/a/z": 3, "/a/z/z/z": 4}
    expected |= {"/a": 5, "/z/b/c": 8, "/z": 8}
    prices = [
        {"method": method, "path": path, "credits": cost}
        for cost, (method, path) in enumerate(better_first)
    ]
    model.publish(T, prices=prices, request_id="patterns")
    give(model, 100)

    assert {path: ask(model, path, path=path)["credits"] for path in expected} == expected


def test_patterns_that_differ_only_in_names_are_refused_in_one_list(model: Model) -> None:
    prices = [
        {"method": "GET", "path": "/a/{x}", "credits": 1},
        {"method": "GET", "path": "/a/{y}", "credits": 2},
    ]

    with pytest.raises(ModelError, match="INVALID_FIELD") as refused:
        model.publish(T, prices=prices, request_id="twice")

    assert refused.value.field == "prices"


def test_denials_come_in_the_documented_order(model: Model) -> None:
    reprice(model, unlisted="denied", a=1)

    def reason(path: str) -> str:
        return ask(model, "r", path=path)["reason"]

    unknown = model.authorize(T, "nobody", "GET", "/b", request_id="r")
    poor, unlisted = reason("/a"), reason("/b")
    model.update_account(T, ACME, state="BLOCKED", request_id="block")

    assert unknown["reason"] == "ACCOUNT_NOT_FOUND"
    assert (poor, unlisted) == ("INSUFFICIENT_CREDITS", "ENDPOINT_NOT_LISTED")
    assert reason("/a") == reason("/b") == "ACCOUNT_BLOCKED"
    usage = model.rows()[ACME]["usage"]
    assert usage[T, "*", "/**"]["denied"] == {"ENDPOINT_NOT_LISTED": 1, "ACCOUNT_BLOCKED": 1}
    assert usage[T, "GET", "/a"]["denied"] == {"INSUFFICIENT_CREDITS": 1, "ACCOUNT_BLOCKED": 1}


def test_an_account_is_closed_only_when_it_is_empty(model: Model) -> None:
    give(model, 10)
    with pytest.raises(ModelError, match="ACCOUNT_NOT_EMPTY"):
        model.update_account(T, ACME, state="CLOSED", request_id="close")
    model.commit(T, ask(model, "a")["reservation_id"], http_status=200)

    closed = model.update_account(T, ACME, state="CLOSED", request_id="close")

    assert closed["state"] == "CLOSED"
    assert ask(model, "b")["reason"] == "ACCOUNT_BLOCKED"
    give(model, 5, "repay")
    assert model.state(T)[ACME]["balance"]["settled"] == 5


def test_a_debit_takes_what_remains_and_the_rest_is_owed_until_the_next_grant(
    model: Model,
) -> None:
    first = give(model, 25)
    model.commit(T, ask(model, "a")["reservation_id"], http_status=200)

    reply = model.debit(T, ACME, credits=40, request_id="d")
    model.check()

    assert (reply["balance"]["settled"], model.rows()[ACME]["owed"]) == (-25, 25)
    assert kinds(model)[-1] == ("DEBIT", -40)
    assert model.rows()[ACME]["lifetime_credits"] == 10
    second = give(model, 30, "again")
    model.check()
    assert grants(model) == {first: (0, 0, 25, 0), second: (5, 0, 25, 0)}


def test_a_closed_account_is_debited_and_repaid(model: Model) -> None:
    model.update_account(T, ACME, state="CLOSED", request_id="close")

    model.debit(T, ACME, credits=40, request_id="d")
    assert model.debit(T, ACME, credits=40, request_id="d")["replayed"]
    give(model, 40)

    model.check()
    row = model.rows()[ACME]
    assert (row["state"], row["balance"]["settled"], row["owed"]) == ("CLOSED", 0, 0)


@thorough
def test_a_debit_ends_at_the_lower_bound_of_the_balance(model: Model) -> None:
    for number in range(1_000):
        model.debit(T, ACME, credits=10**15, request_id=f"d{number}")

    with pytest.raises(ModelError, match="INVALID_FIELD") as refused:
        model.debit(T, ACME, credits=1, request_id="one more")

    assert refused.value.field == "credits"
