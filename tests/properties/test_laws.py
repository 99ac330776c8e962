"""Laws of the core, without a store: credits are neither made nor lost, and twice is once."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.model.fields import classify as model_classify
from tests.support.model.paths import Price as ModelPrice
from tollkeeper.core import grants as laws
from tollkeeper.core.account import Account, AccountState, do_what_is_due, shard_of
from tollkeeper.core.administer import update_account
from tollkeeper.core.change import Change
from tollkeeper.core.commands import UpdateAccount
from tollkeeper.core.errors import Refused
from tollkeeper.core.grants import CREDIT_LINE, NEVER_US, Grant, Grants, Slice
from tollkeeper.core.outcome import Outcome, classify
from tollkeeper.core.pricing.price_lists import PriceBook
from tollkeeper.core.reservation import Reservation, ReservationState
from tollkeeper.core.settle import end_overdue, settle
from tollkeeper.engine.ids import IdSource

NO_BOOK = PriceBook((), version=0)
NOW_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000
LATE_WINDOW_US = 24 * HOUR_US
EPOCH_2024_US = 1_704_067_200_000_000

parts = st.integers(0, 20)
moments_us = st.one_of(
    st.integers(-2, 2).map(lambda us: NOW_US + us),
    st.integers(-40, 40).map(lambda hours: NOW_US + hours * HOUR_US),
)


@st.composite
def grants_in_burn_order(
    draw: st.DrawFn, *, held: st.SearchStrategy[int] = parts, size_max: int = 6
) -> Grants:
    """Draw the open grants of one account."""
    drawn: list[Grant] = []
    for grant_id in range(1, draw(st.integers(0, size_max)) + 1):
        places = (draw(parts), draw(held), draw(parts), draw(parts), 0)
        expires_us = draw(st.one_of(st.just(NEVER_US), moments_us))
        priority, created_us = draw(st.integers(0, 2)), NOW_US - draw(st.integers(0, 3))
        grant = Grant(grant_id, sum(places), *places, priority, created_us, expires_us, "")
        drawn.append(grant)
    return tuple(sorted(drawn, key=lambda grant: grant.burn_order))


def check_conserved(before: Grants, after: Grants) -> None:
    """Assert that no credit was made or lost, nor any grant, and that the order is the same."""
    assert [grant.grant_id for grant in after] == [grant.grant_id for grant in before]
    for grant in after:
        places = (grant.remaining, grant.held, grant.consumed, grant.expired, grant.voided)
        assert min(places) >= 0
        assert sum(places) == grant.credits


def paid_by(slices: laws.Slices) -> dict[int, int]:
    assert len(dict(slices)) == len(slices)
    return dict(slices)


@given(grants=grants_in_burn_order(), credits_=st.integers(0, 100))
def test_what_is_taken_is_taken_in_burn_order_and_adds_up(grants: Grants, credits_: int) -> None:
    slices, after = laws.take(grants, credits_)

    check_conserved(grants, after)
    paid = paid_by(slices)
    assert sum(paid.values()) == credits_
    assert paid.pop(CREDIT_LINE, 0) == max(0, credits_ - laws.remaining(grants))
    left = credits_
    for before, taken in zip(grants, after, strict=True):
        part = min(left, before.remaining)
        left -= part
        assert paid.get(before.grant_id, 0) == part
        assert taken == before.moved(remaining=-part, held=part)


@given(grants=grants_in_burn_order(), credits_=st.integers(0, 100))
def test_what_is_held_and_given_back_was_never_held(grants: Grants, credits_: int) -> None:
    slices, held = laws.take(grants, credits_)

    assert laws.give_back(held, slices) == grants


@given(grants=grants_in_burn_order(), credits_=st.integers(0, 100))
def test_to_hold_and_consume_is_to_consume_at_once(grants: Grants, credits_: int) -> None:
    slices, held = laws.take(grants, credits_)

    assert (slices, laws.consume(held, slices)) == laws.take(grants, credits_, consumed=True)


@given(grants=grants_in_burn_order(), owed=st.integers(-5, 150))
def test_what_is_owed_is_repaid_from_what_remains_and_no_more(grants: Grants, owed: int) -> None:
    after = laws.repay(grants, owed)

    check_conserved(grants, after)
    repaid = laws.remaining(grants) - laws.remaining(after)
    assert repaid == min(max(owed, 0), laws.remaining(grants))
    assert [grant.held for grant in after] == [grant.held for grant in grants]


@given(grants=grants_in_burn_order(), void=st.sets(st.integers(1, 6)))
def test_to_expire_twice_is_to_expire_once(grants: Grants, void: set[int]) -> None:
    grants = tuple(grant._replace(void=grant.grant_id in void) for grant in grants)
    due, after = laws.take_due(grants, NOW_US)

    check_conserved(grants, after)
    assert laws.is_due(grants, NOW_US) == bool(due)
    assert not laws.is_due(after, NOW_US)
    assert laws.take_due(after, NOW_US) == ((), after)
    assert laws.remaining(due) == laws.remaining(grants) - laws.remaining(after)
    for before, grant in zip(grants, after, strict=True):
        rest = before.remaining
        if before.void:
            assert grant == before.moved(remaining=-rest, voided=rest)
        elif before.expires_us <= NOW_US:
            assert grant == before.moved(remaining=-rest, expired=rest)
        else:
            assert grant == before


@given(grants=grants_in_burn_order(), given_=st.integers(1, 20), priority=st.integers(0, 2))
def test_a_grant_finds_its_place_in_the_burn_order(
    grants: Grants, given_: int, priority: int
) -> None:
    new = Grant(99, given_, given_, 0, 0, 0, 0, priority, NOW_US, NOW_US + 1, "")

    after = laws.inserted(grants, new)

    assert sorted([*grants, new], key=lambda grant: grant.burn_order) == list(after)


# One hold of an account


@st.composite
def accounts_with_a_hold(draw: st.DrawFn) -> tuple[Account, Reservation]:
    """Draw an account that holds one reservation, or whose reservation has expired."""
    before = draw(grants_in_burn_order(held=st.just(0)))
    credits_ = draw(st.integers(0, 60))
    expired = draw(st.booleans())
    slices, held = laws.take(before, credits_)
    grants = before if expired else held
    if draw(st.booleans()):
        given_ = draw(st.integers(1, 20))
        since = Grant(99, given_, given_, 0, 0, 0, 0, draw(st.integers(0, 2)), NOW_US, NEVER_US, "")
        grants = laws.inserted(grants, since)
    # While anything is owed, nothing remains.
    owed = 0 if laws.remaining(grants) else draw(st.integers(0, 20))
    account = Account(
        key=64,
        account_id="acme",
        display_name="",
        state=AccountState.ACTIVE,
        credit_limit=draw(st.integers(0, 50)),
        settled=sum(grant.remaining + grant.held for grant in grants) - owed,
        held=0 if expired else credits_,
        charged=draw(st.integers(0, 20)),
        sequence=draw(st.integers(0, 5)),
        created_us=NOW_US - HOUR_US,
        grants=grants,
    )
    expires_us = NOW_US - draw(st.integers(0, 30)) * HOUR_US if expired else draw(moments_us)
    reservation = Reservation(
        reservation_id=7,
        account_key=64,
        request_digest=b"0" * 16,
        endpoint_id=2,
        method="GET",
        path="/v1/leads",
        credits=credits_,
        price_version=1,
        charge_on=(),
        slices=slices,
        state=ReservationState.EXPIRED if expired else ReservationState.HELD,
        outcome=None,
        late=False,
        created_us=expires_us - HOUR_US,
        expires_us=expires_us,
        hold_us=0,
        settled_us=expires_us if expired else 0,
    )
    return account, reservation


def check_change(before: Account, reservation: Reservation, change: Change) -> None:
    """Assert what every change of one hold keeps."""
    after = change.account
    check_conserved(before.grants, after.grants)
    assert after.settled - before.settled == sum(entry.credits for entry in change.entries)
    settled = before.settled
    for sequence, entry in enumerate(change.entries, start=before.sequence + 1):
        settled += entry.credits
        assert (entry.sequence, entry.settled) == (sequence, settled)
    assert after.sequence == before.sequence + len(change.entries)
    was_held = reservation.state is ReservationState.HELD
    assert before.held - after.held == (reservation.credits if was_held else 0)
    assert after.owed >= 0
    assert after.owed == 0 or laws.remaining(after.grants) == 0
    assert change.reservation is not None
    assert sum(paid_by(change.reservation.slices).values()) == reservation.credits


@given(
    drawn=accounts_with_a_hold(),
    outcome=st.sampled_from(Outcome),
    again_us=st.integers(0, 2 * HOUR_US),
)
def test_to_settle_twice_is_to_settle_once(
    drawn: tuple[Account, Reservation], outcome: Outcome, again_us: int
) -> None:
    account, reservation = drawn
    assume(reservation.expires_us + LATE_WINDOW_US > NOW_US)

    answer, change = settle(
        account,
        reservation,
        outcome,
        field="outcome",
        now_us=NOW_US,
        late_window_us=LATE_WINDOW_US,
    )
    if change is None:
        change = Change(account, (), reservation)
    check_change(account, reservation, change)
    assert change.reservation is not None
    again, nothing = settle(
        change.account,
        change.reservation,
        outcome,
        field="outcome",
        now_us=NOW_US + again_us,
        late_window_us=LATE_WINDOW_US,
    )

    assert nothing is None
    charged = outcome is Outcome.VALID_RESPONSE
    assert answer.credits == (reservation.credits if charged else 0)
    assert change.account.charged - account.charged == answer.credits
    ended = answer.state is not ReservationState.EXPIRED
    later, _ = do_what_is_due(change.account, NOW_US + again_us)
    assert again == answer._replace(replayed=ended, balance=later.balance)


@given(drawn=accounts_with_a_hold())
def test_to_end_an_overdue_hold_twice_is_to_end_it_once(
    drawn: tuple[Account, Reservation],
) -> None:
    account, reservation = drawn

    change = end_overdue(account, reservation, now_us=NOW_US)

    held = reservation.state is ReservationState.HELD
    assert (change is not None) == (held and reservation.expires_us <= NOW_US)
    if change is not None:
        check_change(account, reservation, change)
        assert change.reservation is not None
        assert end_overdue(change.account, change.reservation, now_us=NOW_US) is None


@given(drawn=accounts_with_a_hold())
def test_an_account_is_closed_just_when_nothing_is_in_it(
    drawn: tuple[Account, Reservation],
) -> None:
    account, _ = drawn
    due, _ = do_what_is_due(account, NOW_US)
    command = UpdateAccount("acme", "r-1", state=AccountState.CLOSED)

    try:
        change = update_account(account, command, book=NO_BOOK, now_us=NOW_US)
    except Refused:
        assert due.settled != 0 or due.held != 0
    else:
        assert (due.settled, due.held) == (0, 0)
        assert change.account.state is AccountState.CLOSED


@given(
    status=st.integers(100, 599),
    charge_on=st.lists(
        st.sampled_from(
            ["1xx", "2xx", "3xx", "4xx", "5xx", "200", "404", "301", "304", "499", "503"]
        ),
        max_size=4,
    ).map(tuple),
)
def test_a_status_means_what_the_model_says(status: int, charge_on: tuple[str, ...]) -> None:
    price = ModelPrice("GET", "/v1/leads", 1, charge_on)

    assert classify(status, charge_on).name == model_classify(status, price)


# Ids


@given(
    asked=st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 63)),
            st.integers(0, 3).map(lambda ms: ms * 1_000),
            st.integers(1, 5_000),
        ),
        min_size=1,
        max_size=8,
    ),
    begin_us=st.integers(EPOCH_2024_US, EPOCH_2024_US + 69 * 365 * 24 * HOUR_US),
)
def test_ids_rise_strictly_whatever_the_clock_does(
    asked: list[tuple[int | None, int, int]], begin_us: int
) -> None:
    source = IdSource()
    ids: list[int] = []
    keys: list[int] = []

    for shard, later_us, count in asked:
        if shard is None:
            ids += [source.next(begin_us + later_us) for _ in range(count)]
        else:
            keys.append(source.next_account_key(begin_us + later_us, shard))
            assert shard_of(keys[-1]) == shard

    assert ids == sorted(set(ids))
    assert keys == sorted(set(keys))
    assert all(0 < each < 2**63 for each in (*ids, *keys))


def test_a_slice_of_nothing_is_drawn_on_the_credit_line() -> None:
    assert laws.take((), 0) == ((Slice(CREDIT_LINE, 0),), ())
