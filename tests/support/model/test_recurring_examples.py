"""Examples that hold the reference model's recurring grants to the rules, before the server is held to the model."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.model.ledger import Model, ModelError
from tests.support.model.recurring import BELOW_ALL_IDS, first_moment, is_skipped

S = 1_000_000
DAY = 86_400 * S
T = 1_800_000_000 * S
ACME = "acme"


@pytest.fixture
def model() -> Model:
    """One account without credits, and an endpoint that costs 10."""
    model = Model()
    model.publish(
        T, prices=[{"method": "GET", "path": "/v1/leads", "credits": 10}], request_id="page"
    )
    model.create_account(T, ACME, request_id="acme")
    return model


def plan(model: Model, key: str = "plan", at: int = T, **more: Any) -> Any:
    """Give 50 a day."""
    given: dict[str, Any] = {"credits": 50, "period": "DAY"} | more
    reply = model.create_recurring(at, ACME, request_id=key, **given)
    model.check()
    return reply


def settled(model: Model, at: int) -> int:
    return model.state(at)[ACME]["balance"]["settled"]


def journal(model: Model, at: int) -> list[tuple[str, int]]:
    model.sweep(at)
    model.check()
    return [(entry["kind"], entry["credits"]) for entry in model.rows()[ACME]["entries"]]


def test_a_period_is_granted_at_its_beginning_and_expires_at_its_end(model: Model) -> None:
    assert plan(model)["balance"]["settled"] == 50

    assert settled(model, T + DAY - 1) == 50
    assert journal(model, T + DAY) == [("GRANT", 50), ("GRANT_EXPIRED", -50), ("GRANT", 50)]


def test_what_is_left_rolls_over_up_to_the_cap_and_rolls_again(model: Model) -> None:
    plan(model, rollover_max=80)

    assert [settled(model, T + days * DAY) for days in range(4)] == [50, 100, 130, 130]


def test_what_is_held_does_not_roll_over(model: Model) -> None:
    plan(model, rollover_max=80)
    held = model.authorize(T + DAY - 1, ACME, "GET", "/v1/leads", request_id="r")

    assert settled(model, T + DAY) == 10 + 50 + 40
    model.release(T + DAY, held["reservation_id"])
    assert settled(model, T + DAY) == 90


def test_an_anchor_in_the_past_puts_now_into_a_period(model: Model) -> None:
    reply = plan(model, anchor_us=T - 36 * 3600 * S)

    assert reply["recurring"]["next_us"] == T + 12 * 3600 * S
    (grant,) = model.state(T)[ACME]["grants"]
    assert (grant["create_us"], grant["expires_us"]) == (T, T + 12 * 3600 * S)


def test_an_end_is_no_beginning(model: Model) -> None:
    plan(model, rollover_max=80, end_us=T + DAY)

    assert [settled(model, T + DAY - 1), settled(model, T + DAY)] == [50, 0]
    with pytest.raises(ModelError, match="INVALID_FIELD"):
        plan(model, "late", at=T + DAY, end_us=T + DAY)


def test_what_has_ended_stays_ended(model: Model) -> None:
    plan(model)
    model.end_recurring(T + 1, ACME, number=1, request_id="end")

    later = model.end_recurring(T + 2, ACME, number=1, request_id="again", end_us=T + DAY)

    assert later["end_us"] == T + 1


def test_one_that_has_ended_makes_room_and_its_number_is_gone(model: Model) -> None:
    for number in range(20):
        plan(model, f"plan {number}")
    with pytest.raises(ModelError, match="TOO_MANY_RECURRING_GRANTS"):
        plan(model, "one more")

    model.end_recurring(T, ACME, number=5, request_id="end")

    assert plan(model, "one more")["recurring"]["number"] == 21
    assert 5 not in {each["number"] for each in model.state(T)[ACME]["recurring"]}


def test_closing_ends_and_a_closed_account_gets_none(model: Model) -> None:
    plan(model, anchor_us=T + DAY)
    model.update_account(T, ACME, state="CLOSED", request_id="close")

    assert settled(model, T + 2 * DAY) == 0
    with pytest.raises(ModelError, match="ACCOUNT_CLOSED"):
        plan(model, "other")


def test_ids_are_made_of_the_number_and_the_place_of_the_period(model: Model) -> None:
    plan(model, rollover_max=80)

    ids = [grant["id"] - BELOW_ALL_IDS for grant in model.state(T + DAY)[ACME]["grants"]]

    assert ids == [1_0000_0001, 1_0000_0010, 1_0000_0011]


@pytest.mark.parametrize(
    ("wall", "zone", "shown"),
    [
        ("2026-05-20T12:00", "UTC", "2026-05-20T12:00"),
        ("2026-05-20T12:00", "Asia/Kathmandu", "2026-05-20T06:15"),
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00"),  # it does not exist
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"),  # it comes twice
        ("2011-12-30T10:00", "Pacific/Apia", "2011-12-30T10:00"),  # the day does not exist
    ],
)
def test_the_clocks_are_watched_for_the_first_moment(wall: str, zone: str, shown: str) -> None:
    found = first_moment(datetime.fromisoformat(wall), zone)

    assert found == datetime.fromisoformat(shown).replace(tzinfo=UTC).timestamp() * S


def test_samoa_left_out_one_day() -> None:
    days = [datetime(2011, 12, day, tzinfo=UTC).date() for day in (29, 30, 31)]

    assert [is_skipped(day, "Pacific/Apia") for day in days] == [False, True, False]


# Replacements


def swap(model: Model, credits_: int, *, at: int, number: int = 1, **more: Any) -> Any:
    """Replace a recurring grant by one of so many credits."""
    key = f"swap {number} at {at} {more}"
    reply = model.replace_recurring(
        at, ACME, number=number, credits=credits_, request_id=key, **more
    )
    model.check()
    return reply


def use(model: Model, times: int) -> None:
    for n in range(times):
        held = model.authorize(T, ACME, "GET", "/v1/leads", request_id=f"use {n}")
        model.commit(T, held["reservation_id"], http_status=200)


@pytest.mark.parametrize(
    ("used", "voided", "given"), [(0, 25, 100), (2, 25, 100), (3, 20, 95), (5, 0, 75)]
)
def test_a_plan_is_replaced_in_proportion_less_what_was_used_ahead(
    model: Model, used: int, voided: int, given: int
) -> None:
    plan(model)
    use(model, used)

    reply = swap(model, 200, at=T + DAY // 2)

    assert (reply["voided"], reply["given"], reply["end_us"]) == (voided, given, T + DAY // 2)
    assert reply["balance"]["settled"] == 50 - 10 * used - 25 + 100
    assert settled(model, T + DAY) == 200


def test_a_share_is_rounded_down_on_both_sides(model: Model) -> None:
    plan(model)

    reply = swap(model, 200, at=T + DAY - DAY // 80)

    assert (reply["voided"], reply["given"]) == (0, 2)


def test_an_equal_plan_leaves_what_there_was(model: Model) -> None:
    plan(model)
    use(model, 4)

    for number in range(1, 6):
        swap(model, 50, number=number, at=T + number * DAY // 7)
        assert settled(model, T + number * DAY // 7) == 10

    assert settled(model, T + DAY) == 50


def test_another_period_begins_now_in_full(model: Model) -> None:
    plan(model)

    reply = swap(model, 700, at=T + DAY // 2, period="WEEK")

    assert (reply["voided"], reply["given"]) == (25, 700)
    assert reply["recurring"]["anchor_us"] == T + DAY // 2
    assert settled(model, T + DAY) == 700
    assert settled(model, T + DAY // 2 + 7 * DAY) == 700


def test_the_next_period_can_be_the_first_of_another(model: Model) -> None:
    plan(model, rollover_max=50)

    reply = swap(model, 200, at=T + 1, when="NEXT_PERIOD")

    assert (reply["voided"], reply["given"], reply["end_us"]) == (0, 0, T + DAY)
    assert [settled(model, T + DAY - 1), settled(model, T + DAY)] == [50, 200]


def test_one_that_has_not_begun_gives_and_takes_nothing(model: Model) -> None:
    plan(model, anchor_us=T + DAY)

    reply = swap(model, 200, at=T)

    assert (reply["voided"], reply["given"], reply["end_us"]) == (0, 0, T)
    assert [settled(model, T + DAY - 1), settled(model, T + DAY)] == [0, 200]


@pytest.mark.parametrize(
    ("more", "reason", "field"),
    [
        ({"number": 7}, "RECURRING_GRANT_NOT_FOUND", None),
        ({"number": 1}, "INVALID_FIELD", "recurring_grant_id"),
        ({"number": 2, "when": "NEXT_PERIOD"}, "INVALID_FIELD", "when"),
        ({"number": 2, "credits_": 0}, "INVALID_FIELD", "credits"),
    ],
)
def test_what_cannot_be_replaced_is_refused(
    model: Model, more: dict[str, Any], reason: str, field: str | None
) -> None:
    plan(model)
    model.end_recurring(T, ACME, number=1, request_id="end")
    plan(model, "last", end_us=T + DAY)

    with pytest.raises(ModelError, match=reason) as refused:
        swap(model, **({"credits_": 200, "at": T} | more))

    assert refused.value.field == field


def test_a_repeat_of_a_replacement_answers_as_the_first(model: Model) -> None:
    plan(model)
    first = swap(model, 200, at=T + DAY // 2)

    again = model.replace_recurring(
        T + 3 * DAY, ACME, number=1, credits=200, request_id=f"swap 1 at {T + DAY // 2} {{}}"
    )

    assert again["replayed"]
    assert {name: again[name] for name in ("recurring", "end_us", "voided", "given")} == {
        name: first[name] for name in ("recurring", "end_us", "voided", "given")
    }
