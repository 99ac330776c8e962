"""What operators and billing do: open and change accounts, give credits, publish prices.

Each call has a request_id. Its record keeps the content of the first call, so that a repeat answers as the
first did and a request_id that comes again with other content is refused by the field that differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Protocol

from tollkeeper.core.account import Account, AccountState, do_what_is_due, granted
from tollkeeper.core.alerts import rules as alerts
from tollkeeper.core.alerts.rules import AlertRule, Alerts
from tollkeeper.core.change import Change
from tollkeeper.core.commands import (
    CreateAccount,
    GrantCredits,
    PublishPrices,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.content import Content
from tollkeeper.core.credits import BALANCE_MAX
from tollkeeper.core.errors import (
    FieldViolation,
    Reason,
    Refused,
    invalid,
    invalid_fields,
    key_reused,
)
from tollkeeper.core.grants import NEVER_US, Grant
from tollkeeper.core.limits import Limits, replaced
from tollkeeper.core.operators import create_recurring
from tollkeeper.core.pricing.assignments import assigned
from tollkeeper.core.pricing.price_lists import PriceBook, PriceList


class AdminCommand(Protocol):
    """A command with a record: its class has a `content`, and its name is the method's."""

    @property
    def request_id(self) -> str:
        """The key of the call."""
        ...

    def content(self) -> Content:
        """Return the fields that a repeat is compared with."""
        ...


class AdminRecord(NamedTuple):
    """The first call with a request_id: which method, with what content, and what came of it.

    `result` holds the numbers that a repeat needs: a grant's id and first figures, or a price list's version.
    `created_us` is the time of the call, 0 until the record is kept.
    """

    digest: bytes
    method: str
    content: Content
    result: Mapping[str, int]
    created_us: int = 0


@lru_cache(maxsize=8_192)  # asked for twice: when a batch is read and when it is decided
def digest_of(request_id: str) -> bytes:
    """Return the 16 bytes that stand for a request_id in the ledger's keys."""
    return blake2b(request_id.encode("ascii"), digest_size=16).digest()


def check_repeat(record: AdminRecord, command: AdminCommand) -> None:
    """Raise Refused unless `command` is the call that the record is of."""
    method, request_id = type(command).__name__, command.request_id
    if record.method != method:
        raise key_reused("request_id", request_id, "request_id", before=record.method, now=method)
    for field, value in command.content().items():
        before = record.content.get(field)
        if before != value:
            raise key_reused(
                "request_id",
                request_id,
                field,
                before=f"{field} {before if before is not None else 'unset'}",
                now=f"{field} {value if value is not None else 'unset'}",
            )


def record_of(command: AdminCommand, **result: int) -> AdminRecord:
    """Return the record of a first call."""
    return AdminRecord(
        digest_of(command.request_id), type(command).__name__, command.content(), result
    )


def create_account(
    existing: Account | None,
    command: CreateAccount,
    *,
    book: PriceBook,
    now_us: int,
    new_key: int,
    new_ids: Iterable[int] = (),
) -> Account:
    """Open an account under `new_key`.

    Raises Refused where there is one of that id, no such price list, or a rule watches no limit.
    """
    if existing is not None:
        raise Refused(
            Reason.ACCOUNT_EXISTS,
            f"there is an account {command.account_id} already",
            metadata={"account_id": command.account_id},
        )
    account = Account(
        key=new_key,
        account_id=command.account_id,
        display_name=command.display_name,
        state=AccountState.ACTIVE,
        credit_limit=command.credit_limit,
        settled=0,
        held=0,
        charged=0,
        sequence=0,
        created_us=now_us,
        grants=(),
        limits=replaced((), command.limits, new_ids),
        pricing=assigned(
            (), command.price_list, command.price_list_effective_us, book=book, now_us=now_us
        ),
    )
    return account._replace(alerts=_alerts(account, command.alerts, account.limits, new_ids))


def update_account(
    account: Account,
    command: UpdateAccount,
    *,
    book: PriceBook,
    now_us: int,
    new_ids: Iterable[int] = (),
) -> Change:
    """Change what the command sets. Raises Refused for closing an account that is not empty, or no such price list.

    `new_ids` are for the limits and the alert rules that are new. A rule that watches no limit of the account is
    refused where it is set; where its limit is taken away, it stays and is not met. Closing ends the account's
    recurring grants.
    """
    due, entries = do_what_is_due(account, now_us)
    pricing = due.pricing
    if command.price_list is not None:
        pricing = assigned(
            pricing, command.price_list, command.price_list_effective_us, book=book, now_us=now_us
        )
    closing = command.state is AccountState.CLOSED
    if closing and (due.settled != 0 or due.held != 0):
        raise Refused(
            Reason.ACCOUNT_NOT_EMPTY,
            f"account {due.account_id} has {due.settled} credits settled and {due.held} held; "
            "both must be 0 to close it",
            metadata={"account_id": due.account_id},
        )
    limits = due.limits if command.limits is None else replaced(due.limits, command.limits, new_ids)
    return Change(
        due._replace(
            display_name=due.display_name if command.display_name is None else command.display_name,
            state=due.state if command.state is None else command.state,
            credit_limit=due.credit_limit if command.credit_limit is None else command.credit_limit,
            limits=limits,
            alerts=_alerts(due, command.alerts, limits, new_ids),
            pricing=pricing,
            recurring=create_recurring.all_ended(due.recurring, now_us)
            if closing
            else due.recurring,
        ),
        entries,
    )


def _alerts(
    account: Account, wanted: Sequence[AlertRule] | None, limits: Limits, new_ids: Iterable[int]
) -> Alerts:
    names = {state.limit.name for state in limits}
    bad = [
        FieldViolation(f"alerts.rules[{index}].limit", "must name a limit of the account")
        for index, rule in enumerate(wanted or ())
        if rule.limit and rule.limit not in names
    ]
    if bad:
        raise invalid_fields(bad)
    return alerts.replaced(account, wanted, limits, new_ids)


def check_expiry(expires_us: int | None, *, now_us: int) -> None:
    """Raise Refused for a grant that would have expired when it is made."""
    if expires_us is not None and expires_us <= now_us:
        raise invalid("expire_time", "must be in the future")


def grant_credits(
    account: Account, command: GrantCredits, *, now_us: int, new_id: int
) -> tuple[Grant, Change]:
    """Give credits under the grant id `new_id`; what is owed is repaid from them before anything else."""
    due, entries = do_what_is_due(account, now_us)
    if due.settled + command.credits > BALANCE_MAX:
        raise invalid("credits", f"would lead to a balance over {BALANCE_MAX}")

    grant = Grant(
        grant_id=new_id,
        credits=command.credits,
        remaining=command.credits,
        held=0,
        consumed=0,
        expired=0,
        voided=0,
        priority=command.priority,
        created_us=now_us,
        expires_us=NEVER_US if command.expires_us is None else command.expires_us,
        note=command.note,
    )
    after, entry = granted(due, grant, now_us=now_us)
    given = next(each for each in after.grants if each.grant_id == new_id)
    return given, Change(after, (*entries, entry))


def void_grant(account: Account, command: VoidGrant, *, now_us: int) -> tuple[Grant, Change]:
    """Take back what the grant has left; what others hold of it is taken back if it is released.

    The account has all its grants here, not only the open ones. Raises Refused where this is none of them.
    """
    due, entries = do_what_is_due(account, now_us)
    if all(each.grant_id != command.grant_id for each in due.grants):
        raise grant_not_found(command.account_id, f"{command.grant_id:x}")
    marked = tuple(
        each._replace(void=True) if each.grant_id == command.grant_id else each
        for each in due.grants
    )
    after, voided = do_what_is_due(due._replace(grants=marked), now_us)
    grant = next(each for each in after.grants if each.grant_id == command.grant_id)
    noted = tuple(entry._replace(note=command.note) for entry in voided)
    return grant, Change(after, (*entries, *noted))


def grant_not_found(account_id: str, grant: str) -> Refused:
    """Return the refusal of a call that names a grant which the account does not have."""
    return Refused(
        Reason.GRANT_NOT_FOUND,
        f"account {account_id} has no grant {grant}",
        metadata={"account_id": account_id, "grant_id": grant},
    )


def publish_prices(book: PriceBook, command: PublishPrices, *, now_us: int) -> PriceList:
    """Return the list as it will hold: the next version of all names. Raises Refused for one that is back-dated."""
    effective_us = now_us if command.effective_us is None else command.effective_us
    if effective_us < now_us:
        raise Refused(
            Reason.PRICES_BACKDATED,
            "effective_time is in the past; a price list holds from now on or later",
            metadata={"field": "prices.effective_time"},
        )
    return PriceList(
        version=book.version + 1,
        effective_us=effective_us,
        prices=command.prices,
        unlisted=command.unlisted,
        note=command.note,
        name=command.name,
    )
