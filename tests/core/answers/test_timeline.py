"""What support pastes into a mail: the life of a reservation in sentences, in the order of time."""

from tollkeeper.core.answers.explanation import Explanation, Payment, PriceOrigin
from tollkeeper.core.answers.timeline import timeline
from tollkeeper.core.answers.views import EntryView
from tollkeeper.core.grants import Slice
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState

SECOND_US = 1_000_000
BEGIN_US = 1_795_404_994 * SECOND_US
HELD = Reservation(
    reservation_id=0x2B,
    account_key=0x1A,
    request_digest=b"",
    endpoint_id=2,
    method="GET",
    path="/v1/leads/7",
    credits=10,
    price_version=3,
    charge_on=(),
    slices=(Slice(0, 10),),
    state=ReservationState.HELD,
    outcome=None,
    late=False,
    created_us=BEGIN_US,
    expires_us=BEGIN_US + 60 * SECOND_US,
    hold_us=0,
    settled_us=0,
    request_id="r-7",
    authorized_by="gateway-1",
)
COMMITTED = HELD._replace(
    state=ReservationState.COMMITTED,
    outcome=Outcome.VALID_RESPONSE,
    settled_us=BEGIN_US + SECOND_US,
    http_status=200,
    settled_by="gateway-2",
    charge_sequence=12,
)
CHARGE = Entry(0x1A, 12, EntryKind.CHARGE, -10, 990, COMMITTED.settled_us, 0x2B, 0, 2, 3)
REFUND = Entry(
    0x1A, 14, EntryKind.REFUND, 4, 994, BEGIN_US + 90 * SECOND_US, 0x2B, note="ticket 12"
)
AUTHORIZED = (
    "authorized by gateway-1: 10 credits held for GET /v1/leads/7 by price list 3,"
    " which names it GET /v1/leads/{id}"
)
PLACE = "entry 12 of the journal, settled 990 after it"


def told(
    held: Reservation | None, *entries: Entry, payments: tuple[Payment, ...] = ()
) -> list[tuple[int, str]]:
    """Return the events, in seconds since the first."""
    explanation = Explanation(
        as_of_us=BEGIN_US + 100 * SECOND_US,
        account_id="acme",
        name=ReservationName(0x1A, 0x2B),
        created_us=BEGIN_US,
        reservation=held,
        price=PriceOrigin("GET", "/v1/leads/{id}", 3, "", 1, "the third"),
        payments=payments,
        windows=(),
        entries=tuple(EntryView(each, "GET", "/v1/leads/{id}") for each in entries),
    )
    return [(at // SECOND_US - BEGIN_US // SECOND_US, text) for at, text in timeline(explanation)]


def test_a_charge_tells_why_and_where_it_is() -> None:
    assert told(COMMITTED, CHARGE) == [
        (0, AUTHORIZED),
        (
            1,
            "charged by gateway-2: 10 credits, because status 200 counts as VALID_RESPONSE; "
            + PLACE,
        ),
    ]


def test_a_charge_names_who_paid_and_the_rule_that_made_it_one() -> None:
    by_rule = COMMITTED._replace(http_status=404, charge_on=("2xx", "404"), settled_by="")
    payments = (
        Payment(4, 0x1F, note="welcome"),
        Payment(3, 0x20),
        *(Payment(1, 0x21 + number) for number in range(2)),
        Payment(1, 0),
    )

    assert told(by_rule, CHARGE, payments=payments)[1][1] == (
        'charged: 10 credits (4 of grant 1f "welcome", 3 of grant 20, 1 of grant 21, 2 of 2 more),'
        " because status 404 counts as VALID_RESPONSE under the charge rule 2xx, 404;"
        " entry 12 of the journal, settled 990 after it"
    )
    assert "(10 of the credit line)" in told(COMMITTED, CHARGE, payments=(Payment(10, 0),))[1][1]


def test_a_refund_comes_after_its_charge() -> None:
    events = told(COMMITTED, CHARGE, REFUND)

    assert [at for at, _ in events] == [0, 1, 90]
    assert events[2][1] == (
        "refunded: 4 credits given back (ticket 12); entry 14 of the journal, settled 994 after it"
    )


def test_a_release_says_why_nothing_was_charged() -> None:
    released = COMMITTED._replace(
        state=ReservationState.RELEASED, outcome=Outcome.SERVER_ERROR, http_status=503
    )
    cancelled = released._replace(outcome=Outcome.CANCELLED, http_status=0)

    assert told(released)[1] == (
        1,
        "released by gateway-2: nothing was charged, because status 503 counts as SERVER_ERROR",
    )
    assert told(cancelled)[1][1].endswith("because its outcome was CANCELLED")


def test_an_expiry_is_told_at_the_deadline_and_not_when_it_was_noticed() -> None:
    expired = HELD._replace(state=ReservationState.EXPIRED, settled_us=BEGIN_US + 99 * SECOND_US)

    assert told(expired)[1] == (
        60,
        "expired: it was not settled before its deadline, so nothing was charged",
    )


def test_a_late_charge_tells_of_its_expiry_too() -> None:
    late = COMMITTED._replace(late=True, settled_us=BEGIN_US + 80 * SECOND_US)

    events = told(late, CHARGE._replace(kind=EntryKind.LATE_CHARGE))

    assert [(at, text.split(":")[0]) for at, text in events] == [
        (0, "authorized by gateway-1"),
        (60, "expired"),
        (80, "charged late by gateway-2"),
    ]


def test_what_is_still_held_says_until_when() -> None:
    assert told(HELD._replace(path="/v1/leads/{id}"))[0][1].endswith("by price list 3")
    assert told(HELD)[1] == (
        100,
        "still held: until 2026-11-23 03:37:34 UTC, unless it is settled before",
    )


def test_a_reservation_that_is_gone_is_told_by_the_journal() -> None:
    assert told(None, CHARGE, REFUND)[:2] == [
        (0, "authorized: the reservation is no longer kept, only what the journal says of it"),
        (
            1,
            "charged: 10 credits for GET /v1/leads/{id} by price list 3; " + PLACE,
        ),
    ]
