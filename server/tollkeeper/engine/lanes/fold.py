"""Folds the core over the operations of one batch, in arrival order, in memory.

One Fold is used for one attempt of one batch. What gateways and the sweeper ask for is here, what operators
ask for is in `administrative.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core import retention, settle
from tollkeeper.core.account import Account, do_what_is_due
from tollkeeper.core.administer import digest_of
from tollkeeper.core.authorize import authorize, may_be_freed, repeat
from tollkeeper.core.change import Authorized, Change, Denied, Extended, Settled
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    DoAllThatIsDue,
    DoWhatIsDue,
    EndOverdue,
    Extend,
    MoveOut,
    Release,
)
from tollkeeper.core.extend import extend
from tollkeeper.core.fast_tuples import new_tuple
from tollkeeper.core.outcome import Outcome, classify
from tollkeeper.core.reservation import How, Reservation
from tollkeeper.engine.lanes import administrative
from tollkeeper.engine.lanes.administrative import Administrative, AdministrativeAnswer
from tollkeeper.engine.lanes.working_copy import Working
from tollkeeper.engine.ports import Needs, RequestKey

if TYPE_CHECKING:
    from collections.abc import Iterable

Command = (
    Authorize
    | Commit
    | Release
    | Extend
    | Administrative
    | EndOverdue
    | MoveOut
    | DoWhatIsDue
    | DoAllThatIsDue
)
Reply = Authorized | Denied | Settled | Extended | AdministrativeAnswer | None


def needs_of(commands: Iterable[Command]) -> Needs:
    """Return what must be read to decide these operations."""
    needs = Needs()
    for command in commands:
        match command:
            case Authorize():
                needs.account_ids.add(command.account_id)
                digest = digest_of(command.request_id)
                needs.requests.add(new_tuple(RequestKey, (command.account_id, digest)))
            case Commit() | Release() | Extend() | EndOverdue():
                name = command.reservation
                needs.account_keys.add(name.account_key)
                needs.reservations.add(name)
            case DoWhatIsDue():
                needs.account_keys.add(command.account_key)
            case MoveOut():
                needs.reservations.add(command.reservation)
            case DoAllThatIsDue():
                needs.account_ids.add(command.account_id)
            case _:
                administrative.need(needs, command)
    return needs


class Fold(Working):
    """Carries operations out, one after the other."""

    def apply(self, command: Command) -> Reply:
        """Carry out one operation. Raises Refused, having changed nothing."""
        match command:
            case Authorize():
                return self._authorize(command)
            case Commit():
                return self._commit(command)
            case Release():
                return self._settle(command, command.outcome, field="outcome")
            case Extend():
                return self._extend(command)
            case EndOverdue():
                return self._end_overdue(command)
            case MoveOut():
                return self._move_out(command)
            case DoWhatIsDue():
                return self._do_what_is_due(command)
            case DoAllThatIsDue():
                return self._do_all_that_is_due(command)
            case _:
                return administrative.carry_out(self, command)

    # -- gateways

    def _authorize(self, command: Authorize) -> Authorized | Denied:
        key = self.keys.get(command.account_id)
        account = None if key is None else self.accounts[key]
        digest = digest_of(command.request_id)
        if account is not None:
            known = self.requests.get((account.key, digest))
            if known is not None:
                return self._repeat(self.reservations[account.key, known], command)
        answer, change = self._decide(account, command, digest)
        if (
            type(answer) is Denied
            and account is not None
            and may_be_freed(account, answer, self.now_us)
        ):
            answer, change = self._decide_again(account, command, digest, answer)
        if change is not None:
            self.keep(change)
            assert change.reservation is not None  # noqa: S101 - a granted Authorize makes one
            self.requests[change.account.key, digest] = change.reservation.reservation_id
        elif account is not None and not command.dry_run:
            if type(answer) is Denied:
                self.count_denial(account.key, answer)
            else:
                self.count_free(account.key)
        return answer

    def _repeat(self, reservation: Reservation, command: Authorize) -> Authorized:
        """Answer with the reservation as it is now: ended, if it is past its deadline."""
        account = self.accounts[reservation.account_key]
        ended = settle.end_overdue(account, reservation, now_us=self.now_us)
        if ended is None:
            return repeat(reservation, command, do_what_is_due(account, self.now_us)[0].balance)
        answer = repeat(ended.reservation or reservation, command, ended.account.balance)
        if not command.dry_run:
            self.keep(ended)
        return answer

    def _decide(
        self, account: Account | None, command: Authorize, digest: bytes
    ) -> tuple[Authorized | Denied, Change | None]:
        prices = self.prices
        if account is not None and account.pricing:
            prices = self.prices_of(account)
        return authorize(
            account,
            command,
            prices,
            now_us=self.now_us,
            hold_us=command.hold_us or self.settings.hold_default_us,
            new_id=self.ids.next(self.now_us),
            request_digest=digest,
        )

    def _decide_again(
        self, account: Account, command: Authorize, digest: bytes, refusal: Denied
    ) -> tuple[Authorized | Denied, Change | None]:
        """End the account's overdue holds first (rules 4.3); a dry run only imagines it."""
        ended = self.overdue_ended(account)
        if not ended:
            return refusal, None
        if not command.dry_run:
            for change in ended:
                self.keep(change)
        return self._decide(ended[-1].account, command, digest)

    def _commit(self, command: Commit) -> Settled:
        reservation = self.reservation(command.reservation)
        if command.http_status is None:
            outcome = command.outcome or Outcome.VALID_RESPONSE
            return self._settle(command, outcome, field="outcome")
        outcome = classify(command.http_status, reservation.charge_on)
        return self._settle(command, outcome, field="http_status", http_status=command.http_status)

    def _settle(
        self, command: Commit | Release, outcome: Outcome, *, field: str, http_status: int = 0
    ) -> Settled:
        name = command.reservation
        reservation = self.reservation(name)
        answer, change = settle.settle(
            self.accounts[name.account_key],
            reservation,
            outcome,
            field=field,
            now_us=self.now_us,
            late_window_us=self.settings.late_window_us,
            how=new_tuple(How, (http_status, command.caller)),
        )
        if change is not None:
            self.keep(change)
        return answer

    def _extend(self, command: Extend) -> Extended:
        reservation = self.reservation(command.reservation)
        answer, change = extend(
            self.accounts[reservation.account_key],
            reservation,
            now_us=self.now_us,
            hold_us=command.hold_us or self.settings.hold_default_us,
            hold_total_max_us=self.settings.hold_total_max_us,
        )
        if change is not None:
            self.keep(change)
        return answer

    # -- the lane's own

    def _end_overdue(self, command: EndOverdue) -> None:
        name = command.reservation
        reservation = self.reservation(name)
        account = self.accounts[name.account_key]
        change = settle.end_overdue(account, reservation, now_us=self.now_us)
        if change is not None:
            self.keep(change)

    def _move_out(self, command: MoveOut) -> None:
        reservation = self.reservations.get(command.reservation)
        if reservation is None:  # another server was faster
            return
        moved = retention.move_out(
            reservation,
            now_us=self.now_us,
            retention_us=self.settings.retention_us,
            late_window_us=self.settings.late_window_us,
        )
        if moved is not None:
            self.keep_moved_out(moved)

    def _do_what_is_due(self, command: DoWhatIsDue) -> None:
        account = self.accounts.get(command.account_key)
        if account is None:
            return
        due, entries = do_what_is_due(account, self.now_us)
        if entries:
            self.keep(Change(due, entries))

    def _do_all_that_is_due(self, command: DoAllThatIsDue) -> None:
        key = self.keys.get(command.account_id)
        if key is None:
            return
        self._do_what_is_due(DoWhatIsDue(key))
        for change in self.overdue_ended(self.accounts[key]):
            self.keep(change)
