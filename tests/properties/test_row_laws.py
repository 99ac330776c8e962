"""A law of the store: what is written into a row is what is read from it."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.core.account import Account, AccountState, shard_of
from tollkeeper.core.administer import AdminRecord
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import AlertRule, AlertState
from tollkeeper.core.grants import Grant, Slice, Slices
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.limits import Counted, Limit, LimitState, LimitUnit, LimitWindow
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import Reservation, ReservationState
from tollkeeper.storage.rows import hot, written
from tollkeeper.storage.schema.tables import RESERVATION_READ_BY_LANES

numbers = st.integers(0, 2**63 - 1)
balances = st.integers(-(10**18), 10**18)
texts = st.text(max_size=20)
limits = st.builds(
    Limit,
    numbers,
    texts,
    st.sampled_from(LimitUnit),
    st.sampled_from(LimitWindow),
    numbers,
    texts,
    texts,
    texts,
    st.booleans(),
)
rules = st.builds(
    AlertRule,
    numbers,
    texts,
    st.sampled_from(AlertSubject),
    numbers,
    st.booleans(),
    st.sampled_from([None, LimitWindow.DAY, LimitWindow.WEEK, LimitWindow.MONTH]),
    texts,
    texts,
)
alerts = st.lists(
    st.builds(AlertState, rules, numbers, numbers, numbers, numbers, st.booleans()), max_size=3
)
account_keys = st.integers(64, 2**63 - 1)


@given(
    account=st.builds(
        Account,
        account_keys,
        texts,
        texts,
        st.sampled_from(AccountState),
        numbers,
        balances,
        numbers,
        numbers,
        numbers,
        numbers,
        st.just(()),
        st.lists(st.builds(LimitState, limits, st.none()), max_size=3).map(tuple),
        alerts.map(tuple),
    )
)
def test_an_account_is_read_as_it_was_written(account: Account) -> None:
    row = written.account_row(account)

    assert hot.account_of(row, ()) == account
    assert row[0] == shard_of(account.key)


@given(
    grant=st.builds(
        Grant, *[numbers] * 7, st.integers(0, 10**6), numbers, numbers, texts, st.booleans()
    ),
    key=account_keys,
)
def test_a_grant_is_read_as_it_was_written(grant: Grant, key: int) -> None:
    row = written.grant_row(key, grant)

    assert hot.grant_of(row) == grant
    assert row[:2] == (shard_of(key), key)
    assert row[-2] == (grant.remaining > 0 or grant.held > 0)


@st.composite
def slices_of_a_price(draw: st.DrawFn) -> tuple[int, Slices]:
    """Draw a price and who pays for it: each grant once, the credit line at most once."""
    payers = draw(st.lists(numbers, min_size=1, max_size=5, unique=True))
    paid = tuple(Slice(payer, draw(st.integers(1, 10**12))) for payer in payers)
    if draw(st.booleans()):
        paid = (Slice(draw(st.sampled_from([0, 5])), draw(st.integers(0, 10**12))),)
    return sum(each.credits for each in paid), paid


@given(paid=slices_of_a_price())
def test_who_pays_is_read_as_it_was_written(paid: tuple[int, Slices]) -> None:
    credits_, slices = paid

    assert hot.slices_of(*insert_credits(hot.slices_columns(slices), credits_)) == slices


def insert_credits(columns: tuple[int, str | None], credits_: int) -> tuple[int, int, str | None]:
    grant_id, text = columns
    return grant_id, credits_, text


@given(
    paid=slices_of_a_price(),
    charge_on=st.lists(st.sampled_from(["2xx", "404", "5xx"]), max_size=3).map(tuple),
    state=st.sampled_from(ReservationState),
    outcome=st.one_of(st.none(), st.sampled_from(Outcome)),
    late=st.booleans(),
    windows=st.lists(st.builds(Counted, numbers, numbers, numbers, st.booleans())).map(tuple),
    text=texts,
    digest=st.binary(min_size=16, max_size=16),
    ids=st.tuples(numbers, account_keys, numbers),
    times=st.tuples(numbers, numbers, numbers, numbers, numbers),
)
def test_a_reservation_is_read_as_it_was_written(
    paid: tuple[int, Slices],
    charge_on: tuple[str, ...],
    state: ReservationState,
    outcome: Outcome | None,
    *,
    late: bool,
    windows: tuple[Counted, ...],
    text: str,
    digest: bytes,
    ids: tuple[int, int, int],
    times: tuple[int, int, int, int, int],
) -> None:
    credits_, slices = paid
    reservation_id, account_key, endpoint_id = ids
    created_us, expires_us, hold_us, settled_us, refunded = times
    reservation = Reservation(
        reservation_id,
        account_key,
        digest,
        endpoint_id,
        "GET",
        text,
        credits_,
        3,
        charge_on,
        slices,
        state,
        outcome,
        late,
        created_us,
        expires_us,
        hold_us,
        settled_us,
        refunded,
        windows,
        http_status=200,
        settled_by="gateway-2",
        charge_sequence=17,
        request_id="r-1",
        authorized_by="gateway-1",
    )

    row = written.reservation_row(reservation)
    read_by_a_lane = row[: len(RESERVATION_READ_BY_LANES)]

    assert hot.reservation_of(row) == reservation
    assert hot.reservation_of(read_by_a_lane) == reservation._replace(
        request_id="", authorized_by=""
    )
    assert row[0] == shard_of(account_key)


@given(
    entry=st.builds(
        Entry,
        account_keys,
        numbers,
        st.sampled_from(EntryKind),
        balances,
        balances,
        numbers,
        numbers,
        numbers,
        numbers,
        numbers,
        texts,
    )
)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    row = written.entry_row(entry)

    assert hot.entry_of(row) == entry
    assert row[0] == shard_of(entry.account_key)


@given(
    content=st.dictionaries(
        texts, st.one_of(st.none(), texts, numbers, st.sampled_from(AccountState))
    ),
    result=st.dictionaries(texts, numbers),
)
def test_an_admin_record_is_read_as_it_was_written(
    content: Mapping[str, str | int | None], result: Mapping[str, int]
) -> None:
    record = AdminRecord(b"0123456789abcdef", "GrantCredits", content, result, created_us=17)

    row = written.admin_row(record, 17)

    assert hot.admin_record_of(row) == record
