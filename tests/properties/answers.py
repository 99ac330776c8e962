"""The engine's answers in the words of the model, so that the two can be compared with `==`.

Ids differ: which of the engine's stands for which of the model's is learnt from the first answer
that tells both, and holds for good.
"""

from typing import Any, Generic, NamedTuple, TypeVar

from tests.properties.calls import NO_GRANT, OTHERS_RESERVATION, Call
from tests.support.model.account import Row
from tests.support.model.recurring import BELOW_ALL_IDS
from tollkeeper.core.alerts.events import Event
from tollkeeper.core.alerts.rules import AlertRule
from tollkeeper.core.answers.views import (
    AccountView,
    Debited,
    EntryView,
    GrantView,
    Published,
    RecurringEnded,
    RecurringReplaced,
    RecurringView,
    Refunded,
)
from tollkeeper.core.change import Authorized, Denied, Extended, Settled
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Refused
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.limits import Limit
from tollkeeper.core.pricing.price_lists import Price, PriceList
from tollkeeper.core.recurring.recurring_grants import RecurringGrant
from tollkeeper.core.reservation import ReservationName

Theirs = TypeVar("Theirs", ReservationName, "GrantName")
Reply = (
    Authorized
    | Denied
    | Settled
    | Extended
    | AccountView
    | GrantView
    | RecurringView
    | RecurringEnded
    | RecurringReplaced
    | Debited
    | Refunded
    | Published
    | Refused
)

RECURRING_IDS_MAX = BELOW_ALL_IDS // 2
RESERVED_BITS = 1023 << 12
NEVER_GIVEN = ReservationName(account_key=4_242_424_242_424_242, reservation_id=4_242)
GRANT_FIELDS = ("id", "credits", "remaining", "priority", "create_us", "expires_us", "note")


class GrantName(NamedTuple):
    """A grant of the engine's. Its id alone may be another account's as well."""

    account_id: str
    grant_id: int


class Pairs(Generic[Theirs]):
    """Pairs of an id of the model and the one of the engine that stands for the same thing."""

    def __init__(self) -> None:
        self._theirs: dict[int, Theirs] = {}
        self._ours: dict[Theirs, int] = {}

    def meet(self, ours: int, theirs: Theirs) -> None:
        """Learn a pair; neither may be in another."""
        assert self._theirs.setdefault(ours, theirs) == theirs
        assert self._ours.setdefault(theirs, ours) == ours

    def theirs(self, ours: int) -> Theirs:
        """Return the engine's id."""
        return self._theirs[ours]

    def ours(self, theirs: Theirs) -> int | str:
        """Return the model's id, or words for one that was never met."""
        return self._ours.get(theirs, f"unknown {theirs}")

    def all_theirs(self) -> list[Theirs]:
        """Return the engine's ids, oldest first."""
        return list(self._theirs.values())


class GrantPairs(Pairs[GrantName]):
    """Pairs of grants. Those of recurring grants need not be met: both sides make their ids of the same numbers."""

    def meet(self, ours: int, theirs: GrantName) -> None:
        """Learn a pair."""
        if ours <= RECURRING_IDS_MAX:
            assert self.ours(theirs) == ours
        else:
            super().meet(ours, theirs)

    def theirs(self, ours: int) -> GrantName:
        """Return the engine's id; that of a recurring grant's is the same in every account."""
        if ours > RECURRING_IDS_MAX:
            return super().theirs(ours)
        number, rest = divmod(ours - BELOW_ALL_IDS, 10**8)
        place, kind = divmod(rest, 10)
        return GrantName("", number << 44 | place << 22 | RESERVED_BITS | kind)

    def ours(self, theirs: GrantName) -> int | str:
        """Return the model's id."""
        number, rest = divmod(theirs.grant_id, 1 << 44)
        place, rest = divmod(rest, 1 << 22)
        if rest & RESERVED_BITS != RESERVED_BITS:
            return super().ours(theirs)
        return BELOW_ALL_IDS + number * 10**8 + place * 10 + rest - RESERVED_BITS


class Names:
    """The ids of both sides."""

    def __init__(self) -> None:
        self.reservations: Pairs[ReservationName] = Pairs()
        self.grants = GrantPairs()
        self.account_ids: dict[int, str] = {}

    def grant(self, ours: int) -> int:
        """Return the id that the engine is asked by, also for what does not exist."""
        return NEVER_GIVEN.reservation_id if ours == NO_GRANT else self.grants.theirs(ours).grant_id

    def reservation(self, ours: int) -> ReservationName:
        """Return the name that the engine is asked by, also for what does not exist."""
        if ours >= 0:
            return self.reservations.theirs(ours)
        given = self.reservations.all_theirs()
        others = [each for each in given if given[-1].account_key != each.account_key]
        if ours == OTHERS_RESERVATION and others:
            name = ReservationName(others[-1].account_key, given[-1].reservation_id)
            return NEVER_GIVEN if name in given else name
        return NEVER_GIVEN


def expected_answer(call: Call, answer: Row) -> Row:
    """Return what the engine's answer has to say; the model's says a little more."""
    if call.name in {"grant", "void_grant"} and "grant" in answer:
        grant = {name: answer["grant"][name] for name in GRANT_FIELDS}
        return answer | {"grant": grant}
    left_out = {"create_account": "replayed", "update_account": "replayed"}
    without = left_out.get(call.name, "http_status")
    return {name: value for name, value in answer.items() if name != without}


def learn_ids(call: Call, answer: Row, reply: Reply, names: Names) -> None:
    """Learn which ids stand for the same thing, where both sides say that they made one."""
    if isinstance(reply, Authorized) and reply.reservation is not None:
        ours = answer.get("reservation_id")
        if ours is not None:
            names.reservations.meet(ours, reply.reservation)
            names.account_ids[reply.reservation.account_key] = call.fields["account_id"]
    if isinstance(reply, Refunded) and reply.grant_id and answer.get("grant_id"):
        reservation = names.reservations.theirs(call.fields["reservation_id"])
        account_id = names.account_ids[reservation.account_key]
        names.grants.meet(answer["grant_id"], GrantName(account_id, reply.grant_id))
    if isinstance(reply, GrantView) and "grant" in answer:
        name = GrantName(call.fields["account_id"], reply.grant_id)
        names.grants.meet(answer["grant"]["id"], name)


def answer_of(call: Call, reply: Reply, names: Names) -> Row:
    """Say what the engine answered to a call, in the model's words."""
    match reply:
        case Authorized():
            return authorized_answer(reply, names)
        case Denied():
            return {
                "decision": "denied",
                "reason": reply.reason.name,
                "credits": reply.credits,
                "balance": balance_row(reply.balance),
                "limit": reply.limit,
                "retry_after_us": reply.retry_after_us,
                "replayed": False,
            }
        case Settled():
            return {
                "state": reply.state.name,
                "outcome": reply.outcome.name,
                "credits": reply.credits,
                "balance": balance_row(reply.balance),
                "late": reply.late,
                "replayed": reply.replayed,
            }
        case Extended():
            return {"expire_us": reply.expires_us, "balance": balance_row(reply.balance)}
        case Refused():
            return refusal_row(reply)
        case _:
            return operators_answer(call, reply, names)


def operators_answer(
    call: Call,
    reply: AccountView
    | GrantView
    | RecurringView
    | RecurringEnded
    | RecurringReplaced
    | Debited
    | Refunded
    | Published,
    names: Names,
) -> Row:
    match reply:
        case AccountView():
            return account_row(reply)
        case GrantView():
            return grant_answer(call.fields["account_id"], reply, names)
        case RecurringView() | RecurringEnded() | RecurringReplaced():
            return recurring_answer(reply)
        case Debited():
            return {
                "credits": reply.credits,
                "balance": balance_row(reply.balance),
                "replayed": reply.replayed,
            }
        case Refunded():
            return refund_answer(call, reply, names)
        case Published():
            return price_list_row(reply.prices) | {"replayed": reply.replayed}


def authorized_answer(reply: Authorized, names: Names) -> Row:
    name, held = reply.reservation, reply.state is not None
    return {
        "decision": "reserved",
        "reservation_id": None if name is None else names.reservations.ours(name),
        "credits": reply.credits,
        "price_version": reply.price_version,
        "state": reply.state.name if reply.state else None,
        "create_us": reply.created_us if held else reply.created_us or None,
        "expire_us": reply.expires_us if held else reply.expires_us or None,
        "balance": balance_row(reply.balance),
        "replayed": reply.replayed,
    }


def grant_answer(account_id: str, reply: GrantView, names: Names) -> Row:
    return {
        "grant": {
            "id": names.grants.ours(GrantName(account_id, reply.grant_id)),
            "credits": reply.credits,
            "remaining": reply.remaining,
            "priority": reply.priority,
            "create_us": reply.created_us,
            "expires_us": never_is_none(reply.expires_us),
            "note": reply.note,
        },
        "balance": balance_row(reply.balance),
        "replayed": reply.replayed,
    }


def recurring_answer(reply: RecurringView | RecurringEnded | RecurringReplaced) -> Row:
    answer: Row = {"balance": balance_row(reply.balance), "replayed": reply.replayed}
    if isinstance(reply, RecurringEnded):
        return answer | {"number": reply.number, "end_us": reply.end_us}
    answer |= {"recurring": recurring_row(reply.recurring)}
    if isinstance(reply, RecurringReplaced):
        answer |= {"end_us": reply.end_us, "voided": reply.voided, "given": reply.given}
    return answer


def refund_answer(call: Call, reply: Refunded, names: Names) -> Row:
    reservation = names.reservation(call.fields["reservation_id"])
    account_id = names.account_ids[reservation.account_key]
    name = GrantName(account_id, reply.grant_id)
    return {
        "credits": reply.credits,
        "grant_id": names.grants.ours(name) if reply.grant_id else None,
        "balance": balance_row(reply.balance),
        "replayed": reply.replayed,
    }


def account_row(view: AccountView) -> Row:
    return {
        "account_id": view.account_id,
        "display_name": view.display_name,
        "state": view.state.name,
        "credit_limit": view.credit_limit,
        "create_us": view.created_us,
        "balance": balance_row(view.balance),
        "limits": list(map(limit_row, view.limits)),
        "price_list": view.pricing.present.name,
        "price_list_since": view.pricing.present.effective_us or None,
        "price_lists_to_come": [(at_us, name) for name, at_us in view.pricing.to_come],
        "recurring": list(map(recurring_row, view.recurring)),
        "alerts": list(map(alert_row, view.alerts)),
    }


def recurring_row(recurring: RecurringGrant) -> Row:
    return {
        "number": recurring.number,
        "credits": recurring.credits,
        "period": recurring.period.name,
        "anchor_us": recurring.anchor_us,
        "time_zone": recurring.time_zone,
        "rollover_max": recurring.rollover_max,
        "priority": recurring.priority,
        "note": recurring.note,
        "end_us": never_is_none(recurring.end_us),
        "create_us": recurring.created_us,
        "next_us": never_is_none(recurring.next_us),
    }


def limit_row(limit: Limit) -> Row:
    return {
        "name": limit.name,
        "unit": limit.unit.name,
        "window": limit.window.name,
        "maximum": limit.maximum,
        "method": limit.method,
        "path": limit.path,
        "time_zone": limit.time_zone,
        "enforce": limit.enforce,
    }


def alert_row(rule: AlertRule) -> Row:
    return {
        "name": rule.name,
        "subject": rule.subject.name,
        "threshold": rule.threshold,
        "percent": rule.percent,
        "window": rule.window.name if rule.window else None,
        "time_zone": rule.time_zone,
        "limit": rule.limit,
    }


def event_row(event: Event) -> Row:
    """Return an event as it is delivered."""
    return {
        "rule": event.rule,
        "subject": event.subject.name,
        "limit": event.limit,
        "threshold": event.threshold,
        "percent": event.percent,
        "value": event.value,
        "base": event.base,
        "begin": event.window_start_us,
        "end": event.window_end_us,
        "occur_us": event.occurred_us,
    }


def entry_view_row(account_id: str, view: EntryView, names: Names) -> Row:
    entry = view.entry
    name = ReservationName(entry.account_key, entry.reservation_id)
    grant = GrantName(account_id, entry.grant_id)
    return {
        "sequence": entry.sequence,
        "kind": entry.kind.name,
        "credits": entry.credits,
        "settled": entry.settled,
        "create_us": entry.created_us,
        "grant": names.grants.ours(grant) if entry.grant_id else None,
        "reservation": names.reservations.ours(name) if entry.reservation_id else None,
        "method": view.method,
        "path": view.path,
        "price_version": entry.price_version,
        "note": entry.note,
    }


def price_list_row(prices: PriceList) -> Row:
    return {
        "version": prices.version,
        "effective_us": prices.effective_us,
        "prices": [price_row(each) for each in prices.prices],
        "unlisted": prices.unlisted.name.lower(),
        "note": prices.note,
        "name": prices.name,
    }


def price_row(price: Price) -> tuple[Any, ...]:
    return (price.method, price.path, price.credits, price.charge_on, price.note)


def refusal_row(refused: Refused) -> Row:
    """Name the reason and the fields; within a price list, the model knows only its own fields."""
    fields = [each.field for each in refused.fields] or [refused.metadata.get("field", "")]
    short = {field.removeprefix("prices.").split("[")[0].removesuffix(".rules") for field in fields}
    return {"error": refused.reason.name, "fields": sorted(short - {""})}


def balance_row(balance: Balance | None) -> Row | None:
    return None if balance is None else balance._asdict()


def never_is_none(expires_us: int) -> int | None:
    return None if expires_us == NEVER_US else expires_us
