"""What one attempt of one batch has read and changed so far, in memory.

The rows are those that the batch has locked and read. Nothing is written here: `writes()` says what has
changed, each row once in its final form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core import settle
from tollkeeper.core.account import account_not_found
from tollkeeper.core.alerts.rules import followed
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.assignments import present
from tollkeeper.core.pricing.price_lists import UNLISTED_ENDPOINT_ID
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import DENIED, HOUR_US, QUARTER_US, UsageCounts, UsageKind
from tollkeeper.engine.ports import Charge, Loaded, ReservationKey, Writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.core.account import Account
    from tollkeeper.core.administer import AdminRecord
    from tollkeeper.core.alerts.rules import AlertRule
    from tollkeeper.core.change import Change, Denied
    from tollkeeper.core.commands import Refund
    from tollkeeper.core.grants import Grant
    from tollkeeper.core.journal import Entry
    from tollkeeper.core.limits import Limit, WindowCount
    from tollkeeper.core.pricing.price_lists import PriceBook, PriceList
    from tollkeeper.core.retention import MovedOut
    from tollkeeper.engine.ids import IdSource
    from tollkeeper.engine.settings import EngineSettings


def definitions(account: Account) -> list[Limit]:
    """Return the account's limits without their windows."""
    return [state.limit for state in account.limits]


def rules(account: Account) -> list[AlertRule]:
    """Return the account's alert rules without how far they are."""
    return [state.rule for state in account.alerts]


class Working:
    """The working copy. `starved` names the accounts whose overdue holds are asked for."""

    def __init__(
        self,
        loaded: Loaded,
        book: PriceBook,
        settings: EngineSettings,
        ids: IdSource,
        overdue: Sequence[Reservation] = (),
    ) -> None:
        self.loaded = loaded
        self.now_us = loaded.now_us
        self.book = book
        self.prices = book.in_force(loaded.now_us)
        self.settings = settings
        self.ids = ids
        self.keys = dict(loaded.keys)
        self.accounts = dict(loaded.accounts)
        self.reservations = dict(loaded.reservations)
        self.requests = dict(loaded.requests)
        self.admin = dict(loaded.admin)
        self.charges = dict(loaded.charges)
        self.overdue: dict[int, list[ReservationKey]] = {}
        self.overdue_loaded: dict[ReservationKey, Reservation] = {}
        for reservation in overdue:
            key = (reservation.account_key, reservation.reservation_id)
            self.overdue_loaded[key] = reservation
            self.reservations.setdefault(key, reservation)
            self.overdue.setdefault(reservation.account_key, []).append(key)
        self.touched_accounts: set[int] = set()
        self.touched_reservations: dict[ReservationKey, None] = {}
        self.pending = Writes()
        self.starved: set[int] = set()
        self.uncounted: UsageCounts = {}
        """Denials and free requests: they write nothing, and are counted a moment late."""

    def reservation(self, name: ReservationName) -> Reservation:
        """Return a reservation. Raises Refused where there is none of this name."""
        reservation = self.reservations.get(name)
        if reservation is None or name.account_key not in self.accounts:
            raise Refused(
                Reason.RESERVATION_NOT_FOUND,
                f"there is no reservation {name}; one that has ended is kept for the retention time",
                metadata={"reservation_id": str(name)},
            )
        return reservation

    def account(self, account_id: str) -> Account:
        """Return an account. Raises Refused where there is none of this id."""
        key = self.keys.get(account_id)
        if key is None:
            raise account_not_found(account_id)
        return self.accounts[key]

    def prices_of(self, account: Account) -> PriceList | None:
        """Return the list that an account with assignments pays by now."""
        return self.book.in_force(self.now_us, present(account.pricing, self.now_us).name)

    def charge(self, command: Refund) -> Charge | None:
        """Return the charge of a reservation that was moved out, where it was looked for."""
        name = command.reservation
        charge = self.charges.get((name.account_key, name.reservation_id))
        return charge if charge and charge.entry.sequence == command.charge_sequence else None

    def overdue_ended(self, account: Account) -> list[Change]:
        """Return what ends the holds of an account that are past their deadline, one after the other.

        They are read when they are asked for, and all that was decided before is decided again then.
        """
        self.starved.add(account.key)
        ended: list[Change] = []
        for key in self.overdue.get(account.key, ()):
            change = settle.end_overdue(account, self.reservations[key], now_us=self.now_us)
            if change is not None:
                ended.append(change)
                account = change.account
        return ended

    # -- what has changed

    def keep_charge(self, charge: Charge) -> None:
        """Remember what was refunded of a charge whose reservation was moved out."""
        self.charges[charge.entry.account_key, charge.entry.reservation_id] = charge

    def keep_record(self, record: AdminRecord) -> None:
        """Remember the first call with a request_id."""
        kept = record._replace(created_us=self.now_us)
        self.admin[record.digest] = kept
        self.pending.admin.append(kept)

    def keep(self, change: Change) -> Account:
        """Go on from what an operation has changed; return the account, with what its alert rules make of it."""
        account, entries, reservation, usage, windows = change
        if account.alerts:
            account = self._follow_alerts(account, entries)
        self.accounts[account.key] = account
        self.touched_accounts.add(account.key)
        if entries:
            self.pending.entries.extend(entries)
        if reservation is not None:
            key = (reservation.account_key, reservation.reservation_id)
            self.reservations[key] = reservation
            self.touched_reservations[key] = None
        counts = self.pending.usage
        for account_key, endpoint_id, at_us, kind, requests, credits in usage:
            counter = (account_key, at_us // QUARTER_US, endpoint_id, kind)
            before = counts.get(counter, (0, 0))
            counts[counter] = (before[0] + requests, before[1] + credits)
        if windows:
            self._count_windows(windows)
        return account

    def _follow_alerts(self, account: Account, entries: Sequence[Entry]) -> Account:
        before = self.accounts.get(account.key)
        if before is None:  # it is being opened, and has had nothing yet
            return account
        alerts, crossings = followed(
            before, account, entries, now_us=self.now_us, new_ids=self.new_ids()
        )
        self.pending.events.extend(crossings)
        return account._replace(alerts=alerts)

    def new_ids(self) -> Iterator[int]:
        """Yield ids, each greater than every one before it."""
        while True:
            yield self.ids.next(self.now_us)

    def keep_moved_out(self, moved: MovedOut) -> None:
        """Go on without a reservation. It is one that was read and that nothing else in the batch has changed."""
        reservation, usage, windows = moved
        del self.reservations[reservation.account_key, reservation.reservation_id]
        self.requests.pop((reservation.account_key, reservation.request_digest), None)
        self.pending.moved_out.append(reservation)
        counter = (usage.account_key, usage.at_us // HOUR_US, usage.endpoint_id, usage.kind)
        counts = self.pending.usage_moved_out
        counts[counter] = counts.get(counter, 0) + usage.requests
        for account_key, limit_id, start_us, used, _, over in windows:
            window = (account_key, limit_id, start_us)
            before = self.pending.windows_moved_out.get(window, (0, 0))
            self.pending.windows_moved_out[window] = (before[0] + used, before[1] + over)

    def _count_windows(self, windows: Iterable[WindowCount]) -> None:
        counts = self.pending.windows
        for account_key, limit_id, start_us, used, held, over in windows:
            window = (account_key, limit_id, start_us)
            before = counts.get(window, (0, 0, 0))
            counts[window] = (before[0] + used, before[1] + held, before[2] + over)

    def count_denial(self, account_key: int, denied: Denied) -> None:
        """Count a denial; it is written later, with others."""
        self._count_later(account_key, denied.endpoint_id, UsageKind(DENIED.start + denied.reason))

    def count_free(self, account_key: int) -> None:
        """Count a request that costs nothing since no price list names it; written later too."""
        self._count_later(account_key, UNLISTED_ENDPOINT_ID, UsageKind.FREE)

    def _count_later(self, account_key: int, endpoint_id: int, kind: UsageKind) -> None:
        counter = (account_key, self.now_us // QUARTER_US, endpoint_id, kind)
        requests, _ = self.uncounted.get(counter, (0, 0))
        self.uncounted[counter] = (requests + 1, 0)

    def writes(self) -> Writes:
        """Return every changed row once, in its final form; rows of one kind are in key order."""
        writes = self.pending
        for key in sorted(self.touched_accounts):
            self._add_account(writes, self.accounts[key], self.loaded.accounts.get(key))
        for key in self.touched_reservations:
            reservation = self.reservations[key]
            before = self.loaded.reservations.get(key, self.overdue_loaded.get(key))
            if before is None:
                writes.new_reservations.append(reservation)
                continue
            if reservation.expires_us != before.expires_us:
                writes.extended.append(reservation)
                if reservation.state is ReservationState.HELD:
                    writes.holds_ended.append(before)
                    continue
            writes.reservations.append(reservation)
            if reservation.slices is not before.slices or reservation.refunded != before.refunded:
                writes.repaid.append(reservation)
            if before.state is ReservationState.HELD:
                writes.holds_ended.append(before)
        writes.admin.sort(key=lambda record: record.digest)
        return writes

    @staticmethod
    def _add_account(writes: Writes, account: Account, before: Account | None) -> None:
        grants_before: dict[int, Grant] = {}
        if before is None:
            writes.new_accounts.append(account)
        else:
            writes.accounts.append(account)
            if account[2:5] != before[2:5]:  # from `display_name` to `credit_limit`
                writes.detailed.append(account)
            if account[11:] != before[11:]:  # from `limits`
                _add_columns(writes, account, before)
            grants_before = {grant.grant_id: grant for grant in before.grants}
        for grant in account.grants:
            known = grants_before.get(grant.grant_id)
            if known is None:
                writes.new_grants.append((account.key, grant))
            elif known is not grant:
                writes.grants.append((account.key, grant))
                if grant[5:7] != known[5:7] or grant.void is not known.void:  # expired, voided
                    writes.lapsed.append((account.key, grant))


def _add_columns(writes: Writes, account: Account, before: Account) -> None:
    """Add what is written only where it has changed, of what most accounts have nothing of."""
    if account.limits is not before.limits and definitions(account) != definitions(before):
        writes.limited.append(account)
    if account.alerts is not before.alerts:
        if rules(account) != rules(before):
            writes.ruled.append(account)
        elif account.alerts != before.alerts:
            writes.alerted.append(account)
    if account.pricing != before.pricing:
        writes.priced.append(account)
    if account.recurring is not before.recurring and account.recurring != before.recurring:
        writes.recurring.append(account)
