"""Values that are made by position for speed hold what they would hold if they were made by name."""

import pytest

from tollkeeper.core.account import Account, AccountState
from tollkeeper.core.authorize import authorize
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Authorize
from tollkeeper.core.fast_tuples import new_tuple, replacer
from tollkeeper.core.grants import Grant, Slice
from tollkeeper.core.limits import Counted
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted
from tollkeeper.core.recurring.recurring_grants import NO_RECURRING
from tollkeeper.core.reservation import How, Reservation, ReservationName, ReservationState
from tollkeeper.core.settle import settle
from tollkeeper.core.usage import Usage, UsageKind

WINDOWS = (Counted(1, 2, 3, False),)
GRANT = Grant(7, 100, 50, 20, 15, 10, 5, 3, 1_001, 9_999_999, "a note")
ACCOUNT = Account(
    65,
    "acme",
    "Acme",
    AccountState.ACTIVE,
    30,
    70,
    20,
    15,
    4,
    1_000,
    (GRANT,),
    (),
    (),
    (),
    NO_RECURRING,
)
PRICE = Price("GET", "/v1/leads", 10, endpoint_id=12, charge_on=("2xx",))
PRICES = PriceList(version=3, effective_us=0, prices=(PRICE,), unlisted=Unlisted.FREE, note="")
COMMAND = Authorize("acme", "GET", parse("/v1/leads"), "r-1", 5_000, caller="gateway")
DIGEST = b"0123456789abcdef"
HELD = Reservation(
    reservation_id=99,
    account_key=65,
    request_digest=DIGEST,
    endpoint_id=12,
    method="GET",
    path="/v1/leads",
    credits=10,
    price_version=3,
    charge_on=("2xx",),
    slices=(Slice(7, 10),),
    state=ReservationState.HELD,
    outcome=None,
    late=False,
    created_us=2_000,
    expires_us=7_000,
    hold_us=5_000,
    settled_us=0,
    request_id="r-1",
    authorized_by="gateway",
)


def test_an_authorize_makes_what_its_names_say() -> None:
    answer, change = authorize(
        ACCOUNT, COMMAND, PRICES, now_us=2_000, hold_us=5_000, new_id=99, request_digest=DIGEST
    )

    held_grant = GRANT._replace(remaining=40, held=30)
    after = ACCOUNT._replace(held=30, grants=(held_grant,))
    assert change is not None
    assert change.reservation == HELD
    assert change.account == after
    assert (change.entries, change.usage, change.windows) == ((), (), ())
    assert answer == Authorized(
        reservation=ReservationName(account_key=65, reservation_id=99),
        credits=10,
        price_version=3,
        state=ReservationState.HELD,
        created_us=2_000,
        expires_us=7_000,
        balance=after.balance,
    )


def test_a_commit_makes_what_its_names_say() -> None:
    how = How(http_status=200, caller="other")
    answer, change = settle(
        ACCOUNT,
        HELD,
        Outcome.VALID_RESPONSE,
        field="http_status",
        now_us=3_000,
        late_window_us=1,
        how=how,
    )

    charged = GRANT._replace(held=10, consumed=25)
    after = ACCOUNT._replace(settled=60, held=10, charged=25, sequence=5, grants=(charged,))
    assert change is not None
    assert change.account == after
    assert change.reservation == HELD._replace(
        state=ReservationState.COMMITTED,
        outcome=Outcome.VALID_RESPONSE,
        settled_us=3_000,
        http_status=200,
        settled_by="other",
        charge_sequence=5,
    )
    (entry,) = change.entries
    assert entry._asdict() == {
        "account_key": 65,
        "sequence": 5,
        "kind": 2,
        "credits": -10,
        "settled": 60,
        "created_us": 3_000,
        "reservation_id": 99,
        "grant_id": 0,
        "endpoint_id": 12,
        "price_version": 3,
        "note": "",
    }
    assert change.usage == (
        Usage(
            account_key=65,
            endpoint_id=12,
            at_us=3_000,
            kind=UsageKind.CHARGED,
            requests=1,
            credits=10,
        ),
    )
    assert (answer.state, answer.outcome) == (ReservationState.COMMITTED, Outcome.VALID_RESPONSE)
    assert (answer.credits, answer.balance, answer.late) == (10, after.balance, False)
    assert answer.replayed is False


def test_credits_move_and_the_rest_of_a_grant_stays() -> None:
    moved = GRANT.moved(remaining=-1, held=-2, consumed=-3, expired=1, voided=5)

    assert moved == GRANT._replace(remaining=49, held=18, consumed=12, expired=11, voided=10)


def test_an_ending_with_other_payers_keeps_the_rest() -> None:
    ended = HELD._replace(refunded=4, windows=WINDOWS).ended(
        ReservationState.COMMITTED,
        outcome=Outcome.VALID_RESPONSE,
        settled_us=8_000,
        slices=(Slice(8, 10),),
        late=True,
    )

    assert ended.slices == (Slice(8, 10),)
    assert (ended.late, ended.refunded, ended.windows) == (True, 4, WINDOWS)
    assert (ended.request_id, ended.authorized_by) == ("r-1", "gateway")


def test_what_is_made_is_of_its_class() -> None:
    name = new_tuple(ReservationName, (65, 99))
    _, change = authorize(
        ACCOUNT, COMMAND, PRICES, now_us=2_000, hold_us=5_000, new_id=99, request_digest=DIGEST
    )

    assert type(name) is ReservationName
    assert name.account_key == 65
    assert change is not None
    assert [type(each) for each in change[:3]] == [Account, tuple, Reservation]
    assert [type(each) for each in change.account.grants] == [Grant]


def test_a_replacer_does_what_replace_does() -> None:
    hold = replacer(Account, "held", "grants")

    assert hold(ACCOUNT, held=7, grants=()) == ACCOUNT._replace(held=7, grants=())
    assert type(hold(ACCOUNT, held=7, grants=())) is Account


def test_a_replacer_takes_fields_of_its_class_and_all_of_them() -> None:
    with pytest.raises(ValueError, match="helt"):
        replacer(Account, "helt")
    with pytest.raises(TypeError, match="grants"):
        replacer(Account, "held", "grants")(ACCOUNT, held=7)
