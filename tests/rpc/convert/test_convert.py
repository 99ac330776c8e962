"""What the services' happy paths do not show: unset values, bounds, and every member of an enum."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tollkeeper.core.answers.views import AccountPage, EntryPage, EntryView, Overview, PricePage
from tollkeeper.core.change import Authorized, Denied, Settled
from tollkeeper.core.commands import Commit, Extend, GetOverview, GrantCredits, Granularity, Release
from tollkeeper.core.credits import BALANCE_MAX, Balance
from tollkeeper.core.grants import NEVER_US, Grant
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.price_lists import PriceList, Unlisted
from tollkeeper.core.reservation import ReservationName, ReservationState
from tollkeeper.core.usage import HTTP_STATUSES, DenialReason, UsageTotals
from tollkeeper.rpc.convert import admin, ledger, values
from tollkeeper.v1 import admin_pb2, ledger_pb2, prices_pb2

NAME = ReservationName(0x1A, 0x2B)
BALANCE = Balance(available=-5, settled=-5, held=0, credit_limit=0)
HOLD_MAX_US = 86_400_000_000


def authorize(**fields: object) -> ledger_pb2.AuthorizeRequest:
    good = {"account_id": "a", "method": "GET", "path": "/", "request_id": "r"}
    return ledger_pb2.AuthorizeRequest(**(good | fields))  # pyright: ignore[reportArgumentType] -- by name


@pytest.mark.parametrize(
    ("hold", "hold_us"),
    [(None, None), ({"seconds": 1}, 1_000_000), ({"seconds": 2, "nanos": 3_999}, 2_000_003)],
)
def test_a_hold_that_is_unset_is_left_to_the_engine(hold: object, hold_us: int | None) -> None:
    command = ledger.authorize_command(authorize(hold=hold), "", hold_max_us=HOLD_MAX_US)

    assert command.hold_us == hold_us


@pytest.mark.parametrize("time_us", [0, 1, 999_999, 1_700_000_000_123_456, 253_402_300_799_999_999])
def test_a_time_is_exact_to_the_microsecond(time_us: int) -> None:
    message = Timestamp()

    values.set_time(message, time_us)

    assert message.ToMicroseconds() == time_us


def test_a_commit_has_one_result() -> None:
    by_status = ledger_pb2.CommitRequest(reservation_id=str(NAME), http_status=204)
    by_outcome = ledger_pb2.CommitRequest(reservation_id=str(NAME), outcome=5)  # pyright: ignore[reportArgumentType] -- BLOCKED

    commit = ledger.commit_command
    assert commit(by_status, "me") == Commit(NAME, http_status=204, caller="me")
    assert commit(by_outcome, "me") == Commit(NAME, outcome=Outcome.BLOCKED, caller="me")


def test_a_release_without_an_outcome_is_cancelled() -> None:
    request = ledger_pb2.ReleaseRequest(reservation_id=str(NAME))

    assert ledger.release_command(request, "me") == Release(NAME, Outcome.CANCELLED, "me")


def test_an_extension_that_says_no_hold_is_left_to_the_engine() -> None:
    extend = ledger.extend_command
    unset = ledger_pb2.ExtendRequest(reservation_id=str(NAME))
    given = ledger_pb2.ExtendRequest(reservation_id=str(NAME), hold=Duration(seconds=5))

    assert extend(unset, hold_max_us=HOLD_MAX_US) == Extend(NAME)
    assert extend(given, hold_max_us=HOLD_MAX_US) == Extend(NAME, 5_000_000)


def test_an_overview_without_bounds_is_left_to_the_ledger() -> None:
    query = ledger.overview_query(ledger_pb2.GetOverviewRequest(account_id="acme"))

    assert query == GetOverview("acme", None, None, Granularity.DAY, "UTC")


def test_a_grant_without_an_expiry_has_none() -> None:
    message = admin_pb2.GrantCreditsRequest(account_id="acme", credits=5, request_id="r")

    assert admin.grant_credits_command(message) == GrantCredits("acme", "r", 5)


@pytest.mark.parametrize("state", list(ReservationState))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_state_and_outcome_has_its_name_on_the_wire(
    state: ReservationState, outcome: Outcome
) -> None:
    message = ledger.commit_response(Settled(state, outcome, 0, BALANCE))

    assert ledger_pb2.ReservationState.Name(message.state) == f"RESERVATION_STATE_{state.name}"
    assert ledger_pb2.Outcome.Name(message.outcome) == f"OUTCOME_{outcome.name}"


@pytest.mark.parametrize("reason", list(DenialReason))
def test_every_denial_has_its_name_and_its_http_status(reason: DenialReason) -> None:
    message = ledger.authorize_response(Denied(reason, "no", 7, None)).denial

    assert ledger_pb2.DenialReason.Name(message.reason) == f"DENIAL_REASON_{reason.name}"
    assert message.http_status == HTTP_STATUSES[reason]
    assert (message.message, message.credits) == ("no", 7)


@pytest.mark.parametrize("kind", list(EntryKind))
def test_every_kind_of_entry_has_its_name_on_the_wire(kind: EntryKind) -> None:
    entry = Entry(0x1A, 1, kind, -5, 5, 1_000_000)
    page = EntryPage((EntryView(entry, "", ""),), next_after=0)

    message = admin.entries_response(admin_pb2.ListEntriesRequest(), page)

    assert admin_pb2.Entry.Kind.Name(message.entries[0].kind) == f"KIND_{kind.name}"
    assert (message.entries[0].reservation_id, message.entries[0].grant_id) == ("", "")
    assert message.next_page_token == ""


def test_a_late_charge_and_a_repeat_say_so() -> None:
    late = Settled(ReservationState.COMMITTED, Outcome.VALID_RESPONSE, 7, BALANCE, late=True)

    message = ledger.commit_response(late._replace(replayed=True))

    assert (message.late, message.replayed, message.credits) == (True, True, 7)
    assert (message.balance.available, message.balance.settled) == (-5, -5)


def test_an_authorize_that_is_repeated_says_so() -> None:
    answer = Authorized(
        NAME, 7, 3, ReservationState.COMMITTED, 1, 2_000_003, BALANCE, replayed=True
    )

    message = ledger.authorize_response(answer)

    assert message.replayed
    assert message.reservation == ledger_pb2.Reservation(
        reservation_id="1a-2b",
        credits=7,
        price_version=3,
        state=ledger_pb2.RESERVATION_STATE_COMMITTED,
        create_time=Timestamp(nanos=1_000),
        expire_time=Timestamp(seconds=2, nanos=3_000),
    )


def test_a_balance_of_nothing_is_a_balance() -> None:
    free = Authorized(None, 0, 0, None, 0, 0, Balance(0, 0, 0, 0))

    message = ledger.authorize_response(free)

    assert message.HasField("balance")
    assert message.WhichOneof("decision") == "reservation"
    assert not message.reservation.HasField("create_time")
    assert not message.reservation.HasField("expire_time")


def test_the_largest_figures_fit() -> None:
    largest = Balance(2 * BALANCE_MAX, BALANCE_MAX, 0, BALANCE_MAX)

    message = ledger_pb2.Balance()
    values.set_balance(message, largest)

    assert message.available == 2 * 10**18


def test_an_overview_before_the_first_price_list_has_none() -> None:
    nothing = UsageTotals()
    answer = Overview("acme", 1, BALANCE, 0, 0, 1, nothing, (), (), (), None)

    message = ledger.overview_response(answer)

    assert not message.HasField("prices")
    assert message.HasField("total")


def test_a_grant_shows_what_it_has_left() -> None:
    grant = Grant(0x1F, 10, 4, 3, 2, 1, 0, 7, 1_000_000, NEVER_US, "gift")

    assert values.grant_message(grant) == ledger_pb2.Grant(
        grant_id="1f",
        credits=10,
        remaining=4,
        priority=7,
        create_time=Timestamp(seconds=1),
        note="gift",
    )


@pytest.mark.parametrize("unlisted", list(Unlisted))
def test_what_becomes_of_unlisted_endpoints_has_its_name_on_the_wire(unlisted: Unlisted) -> None:
    prices = PriceList(version=1, effective_us=0, prices=(), unlisted=unlisted, note="")

    message = values.price_list_message(prices)

    assert prices_pb2.PriceList.Unlisted.Name(message.unlisted) == f"UNLISTED_{unlisted.name}"


def test_a_token_goes_on_where_its_page_ended_whatever_the_next_size_is() -> None:
    accounts = admin_pb2.ListAccountsRequest(prefix="a", page_size=1)
    prices = admin_pb2.ListPricesRequest(page_size=1)
    entries = admin_pb2.ListEntriesRequest(account_id="acme", start_time=Timestamp(seconds=10**9))

    accounts.page_token = admin.accounts_response(accounts, AccountPage((), "ab")).next_page_token
    prices.page_token = admin.prices_response(prices, PricePage((), 7)).next_page_token
    entries.page_token = admin.entries_response(entries, EntryPage((), 17)).next_page_token
    accounts.page_size = prices.page_size = entries.page_size = 500

    assert admin.accounts_query(accounts).after == "ab"
    assert admin.prices_query(prices).before == 7
    assert admin.entries_query(entries).after == 17
