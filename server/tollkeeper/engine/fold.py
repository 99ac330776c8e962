"""Folds the core over the operations of one batch, in arrival order, in memory.

The rows are those that the batch has locked and read. Nothing is written here: `writes()` says what has
changed, each row once in its final form. One Fold is used for one attempt of one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core import administer, settle
from tollkeeper.core.account import Account, expire_grants
from tollkeeper.core.administer import AdminRecord, digest_of
from tollkeeper.core.authorize import authorize, repeat
from tollkeeper.core.change import Authorized, Change, DenialReason, Denied, Settled
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    CreateAccount,
    EndOverdue,
    ExpireGrants,
    GrantCredits,
    Release,
    UpdateAccount,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.outcome import Outcome, classify
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import DENIED, HOUR_US, UsageKind
from tollkeeper.core.views import AccountView, GrantView
from tollkeeper.engine.ports import Loaded, Needs, RequestKey, UsageCounts, Writes
from tollkeeper.engine.shards import shard_of_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.core.grants import Grant
    from tollkeeper.core.prices import PriceBook
    from tollkeeper.engine.ids import IdSource
    from tollkeeper.engine.settings import EngineSettings

Command = (
    Authorize
    | Commit
    | Release
    | CreateAccount
    | UpdateAccount
    | GrantCredits
    | EndOverdue
    | ExpireGrants
)
Reply = Authorized | Denied | Settled | AccountView | GrantView | None


def needs_of(commands: Iterable[Command]) -> Needs:
    """Return what must be read to decide these operations."""
    needs = Needs()
    for command in commands:
        match command:
            case Authorize():
                needs.account_ids.add(command.account_id)
                needs.requests.add(RequestKey(command.account_id, digest_of(command.request_id)))
            case Commit() | Release() | EndOverdue():
                needs.account_keys.add(command.reservation.account_key)
                needs.reservations.add(command.reservation)
            case ExpireGrants():
                needs.account_keys.add(command.account_key)
            case CreateAccount() | UpdateAccount() | GrantCredits():
                needs.account_ids.add(command.account_id)
                needs.admin_digests.add(digest_of(command.request_id))
    return needs


class Fold:
    """The state of one attempt. `starved` names the accounts that were refused credits while they hold some."""

    def __init__(
        self,
        loaded: Loaded,
        book: PriceBook,
        settings: EngineSettings,
        ids: IdSource,
        overdue: Sequence[Reservation] = (),
    ) -> None:
        self._loaded = loaded
        self._now_us = loaded.now_us
        self._prices = book.in_force(loaded.now_us)
        self._settings = settings
        self._ids = ids
        self._keys = dict(loaded.keys)
        self._accounts = dict(loaded.accounts)
        self._reservations = dict(loaded.reservations)
        self._requests = dict(loaded.requests)
        self._admin = dict(loaded.admin)
        self._overdue: dict[int, list[int]] = {}
        for reservation in overdue:
            self._reservations.setdefault(reservation.reservation_id, reservation)
            self._overdue.setdefault(reservation.account_key, []).append(reservation.reservation_id)
        self._overdue_loaded = {each.reservation_id: each for each in overdue}
        self._touched_accounts: set[int] = set()
        self._touched_reservations: dict[int, None] = {}
        self._writes = Writes()
        self.starved: set[int] = set()
        self.denials: UsageCounts = {}

    def apply(self, command: Command) -> Reply:
        """Carry out one operation. Raises Refused, having changed nothing."""
        match command:
            case Authorize():
                return self._authorize(command)
            case Commit():
                return self._commit(command)
            case Release():
                return self._settle(command.reservation, command.outcome, field="outcome")
            case EndOverdue():
                return self._end_overdue(command)
            case ExpireGrants():
                return self._expire_grants(command)
            case CreateAccount():
                return self._create_account(command)
            case UpdateAccount():
                return self._update_account(command)
            case GrantCredits():
                return self._grant_credits(command)

    # -- gateways

    def _authorize(self, command: Authorize) -> Authorized | Denied:
        key = self._keys.get(command.account_id)
        account = None if key is None else self._accounts[key]
        digest = digest_of(command.request_id)
        if account is not None:
            known = self._requests.get((account.key, digest))
            if known is not None:
                return self._repeat(self._reservations[known], command)
        answer, change = self._decide(account, command, digest)
        if (
            type(answer) is Denied
            and answer.reason is DenialReason.INSUFFICIENT_CREDITS
            and account is not None
            and account.held > 0
        ):
            answer, change = self._decide_again(account, command, digest, answer)
        if change is not None:
            self._keep(change)
            assert change.reservation is not None  # noqa: S101 - a granted Authorize makes one
            self._requests[change.account.key, digest] = change.reservation.reservation_id
        elif type(answer) is Denied and account is not None and not command.dry_run:
            self._count_denial(account.key, answer)
        return answer

    def _repeat(self, reservation: Reservation, command: Authorize) -> Authorized:
        """Answer with the reservation as it is now: ended, if it is past its deadline."""
        account = self._accounts[reservation.account_key]
        ended = settle.end_overdue(account, reservation, now_us=self._now_us)
        if ended is None:
            return repeat(reservation, command, expire_grants(account, self._now_us)[0].balance)
        answer = repeat(ended.reservation or reservation, command, ended.account.balance)
        if not command.dry_run:
            self._keep(ended)
        return answer

    def _decide(
        self, account: Account | None, command: Authorize, digest: bytes
    ) -> tuple[Authorized | Denied, Change | None]:
        return authorize(
            account,
            command,
            self._prices,
            now_us=self._now_us,
            hold_us=command.hold_us or self._settings.hold_default_us,
            new_id=self._ids.next(self._now_us),
            request_digest=digest,
        )

    def _decide_again(
        self, account: Account, command: Authorize, digest: bytes, refusal: Denied
    ) -> tuple[Authorized | Denied, Change | None]:
        """End the account's overdue holds first (SEMANTICS 4.3); a dry run only imagines it."""
        self.starved.add(account.key)
        ended: list[Change] = []
        for reservation_id in self._overdue.get(account.key, ()):
            reservation = self._reservations[reservation_id]
            change = settle.end_overdue(account, reservation, now_us=self._now_us)
            if change is not None:
                ended.append(change)
                account = change.account
        if not ended:
            return refusal, None
        if not command.dry_run:
            for change in ended:
                self._keep(change)
        return self._decide(account, command, digest)

    def _commit(self, command: Commit) -> Settled:
        reservation = self._reservation(command.reservation)
        if command.http_status is None:
            outcome = command.outcome or Outcome.VALID_RESPONSE
            return self._settle(command.reservation, outcome, field="outcome")
        outcome = classify(command.http_status, reservation.charge_on)
        return self._settle(command.reservation, outcome, field="http_status")

    def _settle(self, name: ReservationName, outcome: Outcome, *, field: str) -> Settled:
        reservation = self._reservation(name)
        answer, change = settle.settle(
            self._accounts[name.account_key],
            reservation,
            outcome,
            field=field,
            now_us=self._now_us,
            late_window_us=self._settings.late_window_us,
        )
        if change is not None:
            self._keep(change)
        return answer

    def _reservation(self, name: ReservationName) -> Reservation:
        reservation = self._reservations.get(name.reservation_id)
        if (
            reservation is None
            or reservation.account_key != name.account_key
            or name.account_key not in self._accounts
        ):
            raise Refused(
                Reason.RESERVATION_NOT_FOUND,
                f"there is no reservation {name}",
                metadata={"reservation_id": str(name)},
            )
        return reservation

    # -- the sweeper

    def _end_overdue(self, command: EndOverdue) -> None:
        name = command.reservation
        reservation = self._reservation(name)
        account = self._accounts[name.account_key]
        change = settle.end_overdue(account, reservation, now_us=self._now_us)
        if change is not None:
            self._keep(change)

    def _expire_grants(self, command: ExpireGrants) -> None:
        account = self._accounts.get(command.account_key)
        if account is None:
            return
        due, entries = expire_grants(account, self._now_us)
        if entries:
            self._keep(Change(due, entries))

    # -- operators

    def _create_account(self, command: CreateAccount) -> AccountView:
        key = self._keys.get(command.account_id)
        existing = None if key is None else self._accounts[key]
        record = self._admin_record(command)
        if record is not None and existing is not None:
            return self._view(existing)
        new_key = self._ids.next_account_key(self._now_us, shard_of_id(command.account_id))
        account = administer.create_account(existing, command, now_us=self._now_us, new_key=new_key)
        self._keys[command.account_id] = new_key
        self._keep(Change(account))
        self._keep_record(administer.record_of(command))
        return self._view(account)

    def _update_account(self, command: UpdateAccount) -> AccountView:
        record = self._admin_record(command)
        account = self._account(command.account_id)
        if record is None:
            change = administer.update_account(account, command, now_us=self._now_us)
            self._keep(change)
            self._keep_record(administer.record_of(command))
            account = change.account
        return self._view(account)

    def _grant_credits(self, command: GrantCredits) -> GrantView:
        record = self._admin_record(command)
        if record is None:
            administer.check_expiry(command, now_us=self._now_us)
        account = self._account(command.account_id)
        if record is not None:
            return self._grant_view(command, record, account, replayed=True)
        grant, change = administer.grant_credits(
            account, command, now_us=self._now_us, new_id=self._ids.next(self._now_us)
        )
        self._keep(change)
        record = administer.record_of(
            command,
            grant_id=grant.grant_id,
            remaining=grant.remaining,
            created_us=grant.created_us,
            expires_us=grant.expires_us,
        )
        self._keep_record(record)
        return self._grant_view(command, record, change.account, replayed=False)

    def _account(self, account_id: str) -> Account:
        key = self._keys.get(account_id)
        if key is None:
            raise Refused(
                Reason.ACCOUNT_NOT_FOUND,
                f"there is no account {account_id}",
                metadata={"account_id": account_id},
            )
        return self._accounts[key]

    def _admin_record(
        self, command: CreateAccount | UpdateAccount | GrantCredits
    ) -> AdminRecord | None:
        record = self._admin.get(digest_of(command.request_id))
        if record is not None:
            administer.check_repeat(record, command)
        return record

    def _keep_record(self, record: AdminRecord) -> None:
        self._admin[record.digest] = record
        self._writes.admin.append(record)

    def _view(self, account: Account) -> AccountView:
        due, _ = expire_grants(account, self._now_us)
        return AccountView(
            due.account_id,
            due.display_name,
            due.state,
            due.credit_limit,
            due.created_us,
            due.balance,
        )

    def _grant_view(
        self, command: GrantCredits, record: AdminRecord, account: Account, *, replayed: bool
    ) -> GrantView:
        due, _ = expire_grants(account, self._now_us)
        return GrantView(
            grant_id=record.result["grant_id"],
            credits=command.credits,
            remaining=record.result["remaining"],
            priority=command.priority,
            created_us=record.result["created_us"],
            expires_us=record.result["expires_us"],
            note=command.note,
            balance=due.balance,
            replayed=replayed,
        )

    # -- what has changed

    def _keep(self, change: Change) -> None:
        account, entries, reservation, usage = change
        self._accounts[account.key] = account
        self._touched_accounts.add(account.key)
        if entries:
            self._writes.entries.extend(entries)
        if reservation is not None:
            self._reservations[reservation.reservation_id] = reservation
            self._touched_reservations[reservation.reservation_id] = None
        counts = self._writes.usage
        for account_key, endpoint_id, at_us, kind, requests, credits in usage:
            counter = (account_key, at_us // HOUR_US, endpoint_id, kind)
            before = counts.get(counter, (0, 0))
            counts[counter] = (before[0] + requests, before[1] + credits)

    def _count_denial(self, account_key: int, denied: Denied) -> None:
        kind = UsageKind(DENIED.start + denied.reason)
        counter = (account_key, self._now_us // HOUR_US, denied.endpoint_id, kind)
        requests, _ = self.denials.get(counter, (0, 0))
        self.denials[counter] = (requests + 1, 0)

    def writes(self) -> Writes:
        """Return every changed row once, in its final form; rows of one kind are in key order."""
        writes = self._writes
        for key in sorted(self._touched_accounts):
            self._add_account(writes, self._accounts[key], self._loaded.accounts.get(key))
        for reservation_id in self._touched_reservations:
            reservation = self._reservations[reservation_id]
            before = self._loaded.reservations.get(
                reservation_id, self._overdue_loaded.get(reservation_id)
            )
            if before is None:
                writes.new_reservations.append(reservation)
                continue
            writes.reservations.append(reservation)
            if before.state is ReservationState.HELD:
                writes.holds_ended.append(reservation)
        writes.admin.sort(key=lambda record: record.digest)
        return writes

    @staticmethod
    def _add_account(writes: Writes, account: Account, before: Account | None) -> None:
        grants_before: dict[int, Grant] = {}
        if before is None:
            writes.new_accounts.append(account)
        else:
            writes.accounts.append(account)
            grants_before = {grant.grant_id: grant for grant in before.grants}
        for grant in account.grants:
            known = grants_before.get(grant.grant_id)
            if known is None:
                writes.new_grants.append((account.key, grant))
            elif known is not grant:
                writes.grants.append((account.key, grant))
